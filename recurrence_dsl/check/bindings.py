"""Which name has which axes: what an axis error shows."""

from __future__ import annotations

from collections.abc import Iterable

from ..expr import Expr, Now, Prev, Renamed, walk
from .scope import Scope


def bindings(expressions: Iterable[Expr], scope: Scope) -> tuple[str, ...]:
    """One note that lists each name of the expressions with its axes, as `q : [K]`."""
    seen: dict[str, str] = {}
    for node in (node for e in expressions for node in walk(e)):
        match node:
            case Now() | Prev():
                symbol = scope.symbols.get(node.name)
                axes = node.axes if symbol is None or symbol.axes is None else symbol.axes
                seen[node.name] = f"`{node.name} : [{', '.join(axes)}]`"
            case Renamed():
                key = f"{node.source} -> {node.target}"
                seen[key] = f"`[{key}]` gives `[{', '.join(node.axes)}]`"
            case _:
                pass
    return (f"the axes here: {', '.join(seen.values())}",) if seen else ()
