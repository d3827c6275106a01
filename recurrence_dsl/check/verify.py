"""Checks a typed spec: names refer to what is declared, the order is one of evaluation, axes follow from operands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..expr import Apply, AxisFn, Expr, Fn, Head, Heads, Kind, Now, Number, Over, Prev, Renamed, Size, walk
from ..stage_error import require
from .functions import OPERATORS
from .spec import Declared, Spec, State, expression

STAGE = "check"
BINARY = frozenset((*OPERATORS.values(), Fn.MIN, Fn.MAX))
Meaning = tuple[Kind, tuple[str, ...], bool]
"""Kind, axes in the order of the dims, complex or not."""


def verify_spec(spec: Spec) -> None:
    """Raises StageError where the spec does not hold together."""
    _declarations(spec)
    _order(spec)
    typing = Typing(STAGE, tuple(d.name for d in spec.dims), meanings(spec))
    for d in spec.definitions:
        value = expression(d)
        typing.verify(value)
        own = set(d.axes)
        fits = set(value.axes) <= own if isinstance(d, State) else value.axes == d.axes
        require(fits, STAGE, f"`{d.name}` has the axes {d.axes}, its value {value.axes}")
        require(d.is_complex or not value.is_complex, STAGE, f"the real `{d.name}` has a complex value")


def _declarations(spec: Spec) -> None:
    dims = [d.name for d in spec.dims]
    named = [d.name for d in (*spec.inputs, *spec.params, *spec.consts, *spec.lets, *spec.states, *spec.outputs)]
    require(len(set(dims + named)) == len(dims + named), STAGE, "a name is declared twice")
    require(spec.outputs, STAGE, "no output")
    for d in (*spec.inputs, *spec.params, *spec.lets, *spec.states, *spec.outputs):
        require(len(set(d.axes)) == len(d.axes), STAGE, f"`{d.name}` has an axis twice")
        require(set(d.axes) <= set(dims), STAGE, f"`{d.name}` has an axis that is not declared")
        if spec.source.text:
            require(0 <= d.span.start <= d.span.end <= len(spec.source.text), STAGE, f"the span of `{d.name}`")


def _order(spec: Spec) -> None:
    """Every let, state and output once, and behind what it reads at the same token."""
    names = sorted(d.name for d in (*spec.lets, *spec.states, *spec.outputs))
    require(sorted(spec.order) == names, STAGE, "the order does not list every let, state and output once")
    done: set[str] = set()
    for d in spec.definitions:
        for node in walk(expression(d)):
            if isinstance(node, Now) and node.kind in (Kind.LET, Kind.STATE, Kind.OUTPUT):
                require(node.name in done, STAGE, f"`{d.name}` comes before what it reads")
        done.add(d.name)


def meanings(spec: Spec) -> dict[str, Meaning]:
    """What every name of a spec refers to."""
    order = tuple(d.name for d in spec.dims)
    groups: tuple[tuple[Kind, tuple[Declared, ...]], ...] = (
        (Kind.INPUT, spec.inputs), (Kind.PARAM, spec.params), (Kind.CONST, spec.consts), (Kind.LET, spec.lets),
        (Kind.STATE, spec.states), (Kind.OUTPUT, spec.outputs),
    )  # fmt: skip
    return {
        d.name: (kind, tuple(a for a in order if a in d.axes), getattr(d, "is_complex", False))
        for kind, group in groups
        for d in group
    }


@dataclass(frozen=True, slots=True)
class Typing:
    """Infers axes and complexity of expressions again and compares."""

    stage: str
    order: tuple[str, ...]
    names: Mapping[str, Meaning]

    def verify(self, e: Expr) -> None:
        """The expression and all inside it."""
        for node in walk(e):
            require(node.axes == self.axes(node), self.stage, f"{node} should have the axes {self.axes(node)}")
            require(node.is_complex == self.is_complex(node), self.stage, f"{node} is wrong about being complex")

    def axes(self, e: Expr) -> tuple[str, ...]:
        match e:
            case Number() | Size() | Head() | Heads():
                return ()
            case Now() | Prev():
                kind, axes, _ = self.meaning(e)
                require(kind is e.kind, self.stage, f"`{e.name}` is called {e.kind.value}, but is {kind.value}")
                return axes
            case Apply():
                require(len(e.args) == (2 if e.fn in BINARY else 1), self.stage, f"{e.fn} has {len(e.args)} operands")
                return self.ordered({a for arg in e.args for a in arg.axes})
            case Over():
                require(e.over and set(e.over) <= set(e.arg.axes), self.stage, f"{e.fn} over axes that are not there")
                return tuple(a for a in e.arg.axes if a not in e.over) if e.fn.reduces else e.arg.axes
            case Renamed():
                fits = e.source in e.arg.axes and e.target not in e.arg.axes
                require(fits, self.stage, f"{e.source} -> {e.target} over {e.arg.axes}")
                return self.ordered({e.target if a == e.source else a for a in e.arg.axes})

    def is_complex(self, e: Expr) -> bool:
        match e:
            case Number():
                return isinstance(e.value, complex)
            case Now() | Prev():
                return self.meaning(e)[2]
            case Apply():
                return e.fn not in (Fn.RE, Fn.IM, Fn.ABS) and any(a.is_complex for a in e.args)
            case Over():
                return e.arg.is_complex and e.fn in (AxisFn.SUM, AxisFn.MEAN, AxisFn.L2NORM, AxisFn.RMSNORM)
            case Renamed():
                return e.arg.is_complex
            case _:
                return False

    def meaning(self, e: Now | Prev) -> Meaning:
        require(e.name in self.names, self.stage, f"`{e.name}` is not declared")
        return self.names[e.name]

    def ordered(self, axes: set[str]) -> tuple[str, ...]:
        require(axes <= set(self.order), self.stage, f"an axis of {sorted(axes)} is not declared")
        return tuple(a for a in self.order if a in axes)
