"""Spec -> the program of a single step: the spec's own expressions, the states in full."""

from __future__ import annotations

from ..check.spec import Spec
from ..expr import Expr, Kind, Now, Prev
from .builder import Builder
from .lower import Known, Lowering
from .ops import BATCH, HEAD, Op, Program


def declared_dims(spec: Spec, name: str) -> frozenset[str]:
    """A declared name's dims without time: batch, head and axes, as far as it has them."""
    for p in spec.params:
        if p.name == name:
            return frozenset(p.axes if p.shared else (HEAD, *p.axes))
    found = next(d for d in (*spec.inputs, *spec.states, *spec.lets, *spec.outputs) if d.name == name)
    return frozenset((BATCH, HEAD, *found.axes))


def is_complex(spec: Spec, name: str) -> bool:
    found = next(d for d in (*spec.inputs, *spec.params, *spec.states, *spec.lets, *spec.outputs) if d.name == name)
    return found.is_complex


def carried_names(spec: Spec) -> tuple[str, ...]:
    """What a step leaves for the next: the states, and every other name read at [t-1]."""
    return (*(s.name for s in spec.states), *(c.name for c in spec.carried))


class _Step:
    def __init__(self, spec: Spec, known: Known) -> None:
        self.spec = spec
        self.bodies: dict[str, Expr] = {d.name: d.value for d in (*spec.lets, *spec.outputs)}
        self.bodies |= {s.name: s.update for s in spec.states}
        self.b = Builder(tuple(d.name for d in spec.dims))
        self.lower = Lowering(self.b, self.now, self.prev, known)

    def now(self, e: Now) -> int:
        match e.kind:
            case Kind.INPUT | Kind.PARAM:
                op = Op.INPUT if e.kind is Kind.INPUT else Op.PARAM
                return self.b.leaf(op, e.name, declared_dims(self.spec, e.name), e.is_complex)
            case Kind.STATE:
                return self.whole(e.name)
            case _:
                return self.b.named(self.lower(self.bodies[e.name]), e.name)

    def prev(self, e: Prev) -> int:
        return self.b.leaf(Op.STATE, e.name, declared_dims(self.spec, e.name), is_complex(self.spec, e.name))

    def whole(self, name: str) -> int:
        """A name's value at t with all its dims."""
        kind = next((Kind.INPUT for i in self.spec.inputs if i.name == name), None)
        if kind is Kind.INPUT:
            return self.now(Now(name=name, kind=kind, is_complex=is_complex(self.spec, name)))
        value = self.b.expand(self.lower(self.bodies[name]), declared_dims(self.spec, name))
        return self.b.named(value, name)

    def program(self) -> Program:
        outputs = [(f"output:{o.name}", self.whole(o.name)) for o in self.spec.outputs]
        outputs += [(f"state:{n}", self.whole(n)) for n in carried_names(self.spec)]
        return self.b.program(f"{self.spec.name}_step", outputs)


def step_program(spec: Spec, known: Known | None = None) -> Program:
    """One token: inputs, params and the previous state in; outputs and the next state out."""
    return _Step(spec, known or Known()).program()
