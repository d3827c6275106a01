"""Which names depend on which, at the same time step or through the past."""

from __future__ import annotations

from ..check.spec import Spec
from ..expr import Expr, Kind, Now, Prev, children


def mentioned(e: Expr) -> frozenset[tuple[str, Kind, bool]]:
    """(name, kind, read at t-1?) of every name in an expression."""
    found: set[tuple[str, Kind, bool]] = set()
    stack = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, (Now, Prev)):
            found.add((node.name, node.kind, isinstance(node, Prev)))
        stack.extend(children(node))
    return frozenset(found)


class Dependence:
    """The graph over a spec's lets, states and outputs."""

    def __init__(self, spec: Spec) -> None:
        self.states = tuple(s.name for s in spec.states)
        bodies = {d.name: d.value for d in (*spec.lets, *spec.outputs)} | {s.name: s.update for s in spec.states}
        self.edges = {
            name: frozenset(n for n, kind, _ in mentioned(body) if kind in (Kind.LET, Kind.STATE, Kind.OUTPUT))
            for name, body in bodies.items()
        }

    def reach(self, name: str) -> frozenset[str]:
        """Everything that a name depends on, now or through the past."""
        seen: set[str] = set()
        stack = list(self.edges[name])
        while stack:
            n = stack.pop()
            if n not in seen:
                seen.add(n)
                stack.extend(self.edges[n])
        return frozenset(seen)

    def coupled(self, state: str) -> frozenset[str]:
        """The states that a state depends on and that depend on it, itself included."""
        own = self.reach(state)
        return frozenset({state, *(s for s in self.states if s in own and state in self.reach(s))})

    def dependents(self, states: frozenset[str]) -> frozenset[str]:
        """Lets and outputs that depend on any of the states."""
        return frozenset(n for n in self.edges if n not in self.states and self.reach(n) & states)
