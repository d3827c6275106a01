"""Ast -> Spec: names, axes, time indices and ranges, with every error collected."""

from __future__ import annotations

import math

from ..diagnostics import Diagnostic
from ..expr import Expr, Kind
from ..syntax import ast
from .bindings import bindings
from .declare import check_outline, declare
from .expressions import Typer
from .fold import const_value
from .initialisers import initialiser
from .order import time_order, typing_order
from .report import Report
from .scope import Scope, Symbol
from .size import check_sizes
from .spec import Const, Initialiser, Input, Let, Output, Param, Spec, State
from .usage import warn_unused


def check(tree: ast.Ast) -> tuple[Spec | None, tuple[Diagnostic, ...]]:
    """The checked spec, or None, and every finding about it; with a spec, all findings are warnings."""
    report = Report(tree.source)
    scope = declare(tree, report)
    check_outline(tree, scope, report)
    order, on_cycle = time_order(scope, report)
    values = _values(scope, report, on_cycle)
    consts = _consts(scope, report)
    _check_ranges(scope, report)
    inits = {s.name: init for s in _kind(scope, Kind.PARAM) if (init := initialiser(s, scope)) is not None}
    check_sizes(order, values, scope, report)
    if report.failed:
        return None, report.sorted()
    layer = next((s for s in tree.statements if isinstance(s, ast.LayerStatement)), None)
    warn_unused(scope, values, inits, layer, report)
    return _spec(tree, scope, order, values, consts, inits, layer, report), report.sorted()


def _kind(scope: Scope, kind: Kind) -> tuple[Symbol, ...]:
    return tuple(symbol for symbol in scope.symbols.values() if symbol.kind is kind)


def _values(scope: Scope, report: Report, on_cycle: frozenset[str]) -> dict[str, Expr]:
    """The typed expression of each let, state and output that has no error."""
    typer = Typer(scope, report)
    derived, without_axes = typing_order(scope, report, on_cycle)
    typer.derived = dict.fromkeys(without_axes)
    values: dict[str, Expr] = {}
    for name in (*derived, *(state.name for state in _kind(scope, Kind.STATE))):
        symbol = scope.symbols[name]
        assert symbol.definition is not None
        value = typer.typed(symbol.definition)
        if symbol.kind is not Kind.STATE:
            typer.derived[name] = None if name in without_axes else value
        elif value is not None:
            _check_state(symbol, value, scope, report)
        if value is not None:
            values[name] = value
    return values


def _check_state(state: Symbol, value: Expr, scope: Scope, report: Report) -> None:
    """A state's update has no axis that the state lacks, and is complex only where the state is."""
    extra = tuple(axis for axis in value.axes if axis not in (state.axes or ()))
    if extra:
        own, theirs = ", ".join(state.axes or ()), ", ".join(value.axes)
        word = "axis" if len(extra) == 1 else "axes"
        report.error(
            "R0207", f"the state `{state.name} : [{own}]` is updated by a value with axes [{theirs}]", value.span,
            f"has the {word} `{'`, `'.join(extra)}` too", notes=bindings((value,), scope),
            help=f"declare `state {state.name} : [{', '.join((*(state.axes or ()), *extra))}]`, "
            f"or sum over it: `sum[{', '.join(extra)}](..)`",
        )  # fmt: skip
    if value.is_complex and not state.is_complex:
        message = f"the state `{state.name}` is real, but its update is complex"
        axes = ", ".join(state.axes or ())
        report.error("R0215", message, value.span, "complex", help=f"declare `state {state.name} : complex [{axes}]`")


def _consts(scope: Scope, report: Report) -> tuple[Const, ...]:
    found = []
    for symbol in _kind(scope, Kind.CONST):
        assert isinstance(symbol.statement, ast.ConstStatement)
        value = const_value(symbol.statement, report)
        if value is not None:
            found.append(Const(symbol.name, span=symbol.span, value=value))
    return tuple(found)


def _check_ranges(scope: Scope, report: Report) -> None:
    """A promised range holds at least one number, and belongs to a real input."""
    seen: set[int] = set()
    for symbol in _kind(scope, Kind.INPUT):
        bounds = getattr(symbol.statement, "range", None)
        if bounds is None or id(bounds) in seen:
            continue
        seen.add(id(bounds))
        if symbol.is_complex:
            report.error("R0221", f"the input `{symbol.name}` is complex and cannot have a range", bounds.span)
        elif not _holds_a_number(bounds):
            report.error("R0221", "the promised range is empty", bounds.span, "no number lies in it")


def _holds_a_number(r: ast.Range) -> bool:
    if r.low == r.high:
        return not (r.low_open or r.high_open or math.isinf(r.low))
    return r.low < r.high


def _spec(
    tree: ast.Ast,
    scope: Scope,
    order: tuple[str, ...],
    values: dict[str, Expr],
    consts: tuple[Const, ...],
    inits: dict[str, Initialiser],
    layer: ast.LayerStatement | None,
    report: Report,
) -> Spec:
    mixer = next(s for s in tree.statements if isinstance(s, ast.MixerStatement))
    return Spec(
        name=mixer.name.name,
        doc=mixer.doc,
        dims=tuple(scope.dims.values()),
        inputs=tuple(_input(symbol) for symbol in _kind(scope, Kind.INPUT)),
        params=tuple(_param(symbol, inits.get(symbol.name)) for symbol in _kind(scope, Kind.PARAM)),
        consts=consts,
        lets=tuple(_let(symbol, values[symbol.name]) for symbol in _kind(scope, Kind.LET)),
        states=tuple(_state(symbol, values[symbol.name]) for symbol in _kind(scope, Kind.STATE)),
        outputs=tuple(_output(symbol, values[symbol.name]) for symbol in _kind(scope, Kind.OUTPUT)),
        order=order,
        layer=layer,
        source=tree.source,
        warnings=report.sorted(),
    )


def _input(symbol: Symbol) -> Input:
    s = symbol.statement
    assert isinstance(s, ast.InputStatement)
    bounds = s.range or ast.Range(-math.inf, math.inf, low_open=True, high_open=True)
    return Input(
        symbol.name, symbol.axes or (), span=symbol.span, per_group=s.per_group, is_complex=s.complex,
        low=bounds.low, high=bounds.high, low_open=bounds.low_open, high_open=bounds.high_open,
    )  # fmt: skip


def _param(symbol: Symbol, init: Initialiser | None) -> Param:
    s = symbol.statement
    assert isinstance(s, ast.ParamStatement)
    axes = symbol.axes or ()
    return Param(symbol.name, axes, span=symbol.span, shared=s.shared, is_complex=s.complex, init=init)


def _let(symbol: Symbol, value: Expr) -> Let:
    s = symbol.statement
    assert isinstance(s, ast.LetStatement)
    return Let(symbol.name, value.axes, span=symbol.span, value=value, decay=s.decay)


def _state(symbol: Symbol, update: Expr) -> State:
    return State(symbol.name, symbol.axes or (), span=symbol.span, update=update, is_complex=symbol.is_complex)


def _output(symbol: Symbol, value: Expr) -> Output:
    return Output(symbol.name, value.axes, span=symbol.span, value=value)
