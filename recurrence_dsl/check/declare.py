"""Statements -> Scope: every name of the file, before any expression is looked at."""

from __future__ import annotations

from ..diagnostics import Label
from ..expr import Kind
from ..source import Span
from ..syntax import ast
from .report import Report
from .scope import Declaration, Scope, Symbol


def declare(tree: ast.Ast, report: Report) -> Scope:
    """The scope of a file: dims first, so that axes may be named before their `dim` line."""
    scope = Scope(report)
    for statement in tree.statements:
        if isinstance(statement, ast.DimStatement):
            for ident in statement.names:
                scope.declare_dim(ident, statement.default)
    for statement in tree.statements:
        match statement:
            case ast.InputStatement():
                _declare_all(scope, statement, Kind.INPUT)
            case ast.ParamStatement():
                _declare_all(scope, statement, Kind.PARAM)
            case ast.ConstStatement():
                scope.declare(statement.name, _symbol(statement.name, Kind.CONST, statement, ()))
            case ast.LetStatement():
                scope.declare(statement.name, _symbol(statement.name, Kind.LET, statement, None))
            case ast.OutputStatement():
                scope.declare(statement.name, _symbol(statement.name, Kind.OUTPUT, statement, None))
            case ast.StateStatement():
                axes = scope.axes(statement.axes)
                scope.declare(statement.name, _symbol(statement.name, Kind.STATE, statement, axes, statement.complex))
            case _:
                pass
    return scope


def _declare_all(scope: Scope, statement: ast.InputStatement | ast.ParamStatement, kind: Kind) -> None:
    axes = scope.axes(statement.axes)
    for ident in statement.names:
        scope.declare(ident, _symbol(ident, kind, statement, axes, statement.complex))


def _symbol(
    ident: ast.Ident, kind: Kind, statement: Declaration, axes: tuple[str, ...] | None, is_complex: bool = False
) -> Symbol:
    return Symbol(ident.name, kind, ident.span, statement, axes, is_complex)


def check_outline(tree: ast.Ast, scope: Scope, report: Report) -> None:
    """One `mixer`, first; at least one input, state and output; at most one layer block."""
    mixers = [s for s in tree.statements if isinstance(s, ast.MixerStatement)]
    whole = tree.statements[0].span if tree.statements else Span(0, 0)
    if not mixers:
        report.error("R0218", "the spec has no name", whole, "`mixer NAME` comes first", help="begin with `mixer NAME`")
    elif tree.statements[0] is not mixers[0]:
        report.error("R0218", "`mixer` is not the first statement", mixers[0].span, "move this to the top")
    for again in mixers[1:]:
        also = (Label(mixers[0].span, "the first one"),)
        report.error("R0218", "a second `mixer` statement", again.span, "one file describes one mixer", also=also)
    here = mixers[0].name.span if mixers else whole
    kinds = {type(statement) for statement in tree.statements}
    if ast.StateStatement not in kinds:
        report.error(
            "R0219", "the mixer has no state", here, "nothing is carried from token to token",
            help="declare one: `state S : [K, V] = S[t-1] + k * v`",
        )  # fmt: skip
    if ast.OutputStatement not in kinds:
        report.error("R0220", "the mixer has no output", here, "", help="declare one: `output o = sum[K](q * S)`")
    if ast.InputStatement not in kinds:
        report.error("R0225", "the mixer has no input", here, "", help="declare one: `input v : [V]`")
    layers = [s for s in tree.statements if isinstance(s, ast.LayerStatement)]
    for again in layers[1:]:
        also = (Label(layers[0].input.span, "the first one"),)
        report.error("R0224", "a second layer block", again.input.span, "a spec has one layer block", also=also)
