"""Names that no output depends on: warnings."""

from __future__ import annotations

from collections.abc import Iterator

from ..expr import Expr, Kind, Now, Over, Prev, Renamed, Size, walk
from ..syntax import ast, operands
from .report import Report
from .scope import Scope
from .spec import Initialiser


def warn_unused(
    scope: Scope,
    values: dict[str, Expr],
    inits: dict[str, Initialiser],
    layer: ast.LayerStatement | None,
    report: Report,
) -> None:
    """Warn about values that no output depends on, and axes that no value has."""
    outputs = [name for name, symbol in scope.symbols.items() if symbol.kind is Kind.OUTPUT]
    used = _reachable([*outputs, *_layer_names(layer)], values, inits)
    for symbol in scope.symbols.values():
        if symbol.name not in used:
            report.warning(
                "R0222", f"the {symbol.word} `{symbol.name}` is never used", symbol.span, "no output depends on it"
            )
    axes = {axis for symbol in scope.symbols.values() for axis in symbol.axes or ()}
    for value in values.values():
        axes |= set(_axes(value))
    for name, dim in scope.dims.items():
        if name not in axes and name not in used:
            report.warning("R0222", f"the axis `{name}` is never used", dim.span, "no value has it")


def _axes(e: Expr) -> Iterator[str]:
    for node in walk(e):
        match node:
            case Size():
                yield node.axis
            case Over():
                yield from node.over
            case Renamed():
                yield from (node.source, node.target)
            case _:
                pass


def _reachable(roots: list[str], values: dict[str, Expr], inits: dict[str, Initialiser]) -> set[str]:
    """Every name that the roots read, now or in the past, through whatever lies between."""
    found: set[str] = set()
    pending = list(roots)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        if name in values:
            pending.extend(node.name for node in walk(values[name]) if isinstance(node, Now | Prev))
        if name in inits:
            pending.extend(_init_names(inits[name]))
    return found


def _init_names(init: Initialiser) -> Iterator[str]:
    if init.name:
        yield init.name
    for argument in init.arguments:
        yield from _init_names(argument)


def _layer_names(layer: ast.LayerStatement | None) -> Iterator[str]:
    """The names that a layer block reads."""
    pending = list(operands(layer)) if layer is not None else []
    while pending:
        e = pending.pop()
        if isinstance(e, ast.Name | ast.Previous):
            yield e.name
        pending.extend(operands(e))
