"""The checked layer block: every name resolved, every value typed with its axes and with whether it varies over time.

Beside the spec's own axes a layer value may carry `heads`, `groups` and `layers`, the model axis (the one in
`layer x : [D]`), and plain widths, whose name is the number itself (`linear[32](x)`). A value's axes stand in
one order: `layers`, `heads`, `groups`, the model axis, the spec's dims as declared, plain widths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ..check.spec import Spec
from ..expr import AxisFn, Fn
from ..source import NOWHERE, Span
from ..syntax.ast import Expression

HEADS, GROUPS, LAYERS = "heads", "groups", "layers"
COUNTS = (LAYERS, HEADS, GROUPS)
"""The axes that every layer has without declaring them."""


class Source(Enum):
    """Where a read value comes from."""

    INPUT = "the layer's input"
    LINE = "an earlier line"
    PARAM = "a param"
    OUTPUT = "the mixer's output"
    MIXER_PARAM = "a param of the mixer"


@dataclass(frozen=True, slots=True)
class Node:
    """A value: [B, T, *axes] when `timed`, [*axes] otherwise."""

    axes: tuple[str, ...] = ()
    timed: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Static(Node):
    """A number that is known when the layer is built: literals, consts, sizes, and arithmetic on them."""

    expression: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Index(Node):
    """0, 1, 2, .. along its only axis; `head` in the language is the index along `heads`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position(Node):
    """The index of the token in its sequence, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Node):
    name: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous(Node):
    """A value one token earlier; zero, or given by the state, before the first token."""

    arg: Value
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointwise(Node):
    fn: Fn
    args: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Over(Node):
    """A function over axes of its argument, with nothing learned in it."""

    fn: AxisFn
    over: tuple[str, ...]
    arg: Value
    eps: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CumulativeSum(Node):
    axis: str
    arg: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class At(Node):
    """The entry at one place of an axis, which it removes."""

    axis: str
    place: Expression
    arg: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed(Node):
    arg: Value
    source: str
    target: str


Option = bool | str | Expression
"""An option's value: a flag, a word, or an expression that is evaluated when the layer is built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply(Node):
    """A layer function that owns a torch module; `path` is the module's place, and so its keys' prefix."""

    function: str
    path: str
    brackets: tuple[str, ...]
    arg: Value
    options: Mapping[str, Option]


Value = Static | Index | Position | Read | Previous | Pointwise | Over | CumulativeSum | At | Renamed | Apply


@dataclass(frozen=True, slots=True)
class Line:
    """`name = value`."""

    name: str
    value: Value
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LayerParam:
    """A learned tensor [*axes]; one with the axis `layers` is the same tensor in every layer of a model."""

    name: str
    axes: tuple[str, ...]
    init: Expression | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LayerConst:
    name: str
    value: Expression
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LayerGraph:
    """A whole layer. `spec` is the mixer that it drives: consts that a line assigns have become inputs of it.

    `counts` are those of `heads`, `groups`, `layers` and `layer` that the block names.
    """

    spec: Spec
    input: str
    model_axis: str
    params: tuple[LayerParam, ...]
    consts: tuple[LayerConst, ...]
    lines: tuple[Line, ...]
    result: Value
    counts: frozenset[str] = frozenset()

    def line(self, name: str) -> Line | None:
        return next((line for line in self.lines if line.name == name), None)


def children(value: Value) -> tuple[Value, ...]:
    """The direct operands of a value, left to right."""
    match value:
        case Pointwise():
            return value.args
        case Previous() | Over() | CumulativeSum() | At() | Renamed() | Apply():
            return (value.arg,)
        case _:
            return ()
