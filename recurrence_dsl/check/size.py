"""How deep and how large a definition is once its lets are written out: what later passes will hold."""

from __future__ import annotations

from ..expr import Expr, Kind, Now, children
from .report import Report
from .scope import Scope

MAX_INLINED_DEPTH = 250
"""Levels of an expression with every let written out."""

MAX_INLINED_SIZE = 5_000
"""Nodes of an expression with every let written out."""


def check_sizes(order: tuple[str, ...], values: dict[str, Expr], scope: Scope, report: Report) -> None:
    """Report definitions that grow beyond the limits; one that builds on a reported one is not reported again."""
    measures: dict[str, tuple[int, int]] = {}
    for name in (name for name in order if name in values):
        depth, size = _measure(values[name], measures)
        measures[name] = (depth, size)
        if depth > MAX_INLINED_DEPTH or size > MAX_INLINED_SIZE:
            much = f"{depth} levels deep" if depth > MAX_INLINED_DEPTH else f"{size} operations large"
            message = f"`{name}` is too large: with its lets written out it is {much}"
            limit = f"at most {MAX_INLINED_DEPTH} levels and {MAX_INLINED_SIZE} operations"
            report.error("R0223", message, scope.symbols[name].span, limit)
            measures[name] = (1, 1)
        if scope.symbols[name].kind is not Kind.LET:
            measures[name] = (1, 1)


def _measure(e: Expr, lets: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Depth and size of an expression; recursion is safe because the parser bounds its depth."""
    match e:
        case Now(kind=Kind.LET):
            return lets.get(e.name, (1, 1))
        case _:
            inner = [_measure(child, lets) for child in children(e)]
            return 1 + max((depth for depth, _ in inner), default=0), 1 + sum(size for _, size in inner)
