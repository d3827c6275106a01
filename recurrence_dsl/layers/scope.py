"""What the names of a layer block stand for while it is checked, and how a finding is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from ..check.report import nearest
from ..check.spec import Spec
from ..diagnostics import Diagnostic, Label
from ..source import Span
from ..syntax.ast import Ident, Number
from .graph import COUNTS, GROUPS, HEADS, LayerConst, LayerParam, Line, Node

STATIC_COUNTS = ("heads", "groups", "layer", "layers")
"""Numbers that every layer knows: how many heads, groups and layers, and which layer this is, from 0."""


class Fault(Exception):
    """A finding that ends the checking of one line; without a finding, one that an earlier line already has."""

    def __init__(self, finding: Diagnostic | None = None) -> None:
        super().__init__(finding.message if finding else "")
        self.finding = finding


@dataclass(slots=True)
class Scope:
    spec: Spec
    input: str
    model_axis: str
    params: dict[str, LayerParam] = field(default_factory=dict)
    consts: dict[str, LayerConst] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    assigned_later: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)

    @property
    def axes(self) -> tuple[str, ...]:
        """Every axis that may be named, in the order in which values carry them."""
        return (*COUNTS, self.model_axis, *(dim.name for dim in self.spec.dims))

    def sorted(self, axes: Iterable[str]) -> tuple[str, ...]:
        """Axes without repetition in a value's order; plain widths come last."""
        order = {axis: place for place, axis in enumerate(self.axes)}
        return tuple(sorted(dict.fromkeys(axes), key=lambda axis: (order.get(axis, len(order)), axis)))

    @property
    def static(self) -> frozenset[str]:
        """Names of numbers known when the layer is built."""
        consts = {const.name for const in self.spec.consts} - self.assigned_later
        return frozenset({*STATIC_COUNTS, *self.axes, *self.consts, *consts}) - set(self.lines) - set(self.params)

    @property
    def missing(self) -> tuple[str, ...]:
        """The mixer's inputs that no line has assigned yet."""
        return tuple(i.name for i in self.spec.inputs if i.name not in self.lines and i.name not in self.failed)

    def fault(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        notes: Iterable[str] = (),
        help: str | None = None,
    ) -> Fault:
        return Fault(Diagnostic(code, message, Label(span, label), (), tuple(notes), help, source=self.spec.source))

    def axis(self, part: Ident | Number) -> str:
        """The axis that stands in brackets."""
        if isinstance(part, Number):
            return str(int(part.value))
        if part.name not in self.axes:
            close = nearest(part.name, self.axes)
            raise self.fault(
                "R0504",
                f"unknown axis `{part.name}` in the layer block",
                part.span,
                "not declared with `dim`",
                notes=(f"axes here: {', '.join(self.axes)}",),
                help=f"did you mean `{close}`?" if close else None,
            )
        self.used.add(part.name)
        return part.name

    def join(self, values: Iterable[Node], span: Span) -> tuple[str, ...]:
        """The axes of a pointwise result."""
        values = tuple(values)
        axes = self.sorted(axis for value in values for axis in value.axes)
        if HEADS in axes and GROUPS in axes:
            self.mixed(values, span)
        return axes

    def mixed(self, values: tuple[Node, ...], span: Span) -> NoReturn:
        raise self.fault(
            "R0503",
            "a value per head meets a value per group",
            span,
            "these axes do not align",
            notes=(f"the axes here: {', '.join(shown(v.axes) for v in values)}",),
            help="give both `heads`, or both `groups`, in the brackets of the `linear` that makes them",
        )


def shown(axes: Iterable[str]) -> str:
    return f"`[{', '.join(axes)}]`"
