"""The typed expression: what a checked spec, its interpreter and the lift all speak.

Every node knows its named axes (a tuple in the order in which the spec declares its dims) and whether it is complex.
Spans point back into the source and never take part in equality, so that equal mathematics compares equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from .source import NOWHERE, Span


class Fn(Enum):
    """Pointwise functions; the value is the name in the language."""

    # arithmetic
    NEG = "neg"
    ADD = "+"
    SUB = "-"
    MUL = "*"
    DIV = "/"
    POW = "**"
    # one argument
    EXP = "exp"
    LOG = "log"
    SQRT = "sqrt"
    ABS = "abs"
    SIGMOID = "sigmoid"
    LOGSIGMOID = "logsigmoid"
    SOFTPLUS = "softplus"
    TANH = "tanh"
    RELU = "relu"
    SILU = "silu"
    GELU = "gelu"  # the exact form, x * Phi(x)
    ELU = "elu"
    SIN = "sin"
    COS = "cos"
    SQUARE = "square"
    # two arguments
    MIN = "min"
    MAX = "max"
    # complex numbers
    RE = "re"
    IM = "im"


class AxisFn(Enum):
    """Functions over axes. The first three remove their axes, the others keep them."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    SOFTMAX = "softmax"
    L2NORM = "l2norm"  # x / sqrt(sum x^2 + 1e-6)
    RMSNORM = "rmsnorm"  # x / sqrt(mean x^2 + 1e-6)

    @property
    def reduces(self) -> bool:
        return self in (AxisFn.SUM, AxisFn.MEAN, AxisFn.MAX)


class Kind(Enum):
    """What a name stands for."""

    INPUT = "input"
    PARAM = "param"
    CONST = "const"
    LET = "let"
    STATE = "state"
    OUTPUT = "output"
    READ = "read"  # made by the lift: a contraction of a state


@dataclass(frozen=True, slots=True)
class Node:
    axes: tuple[str, ...] = ()
    is_complex: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Node):
    value: float | complex


@dataclass(frozen=True, slots=True, kw_only=True)
class Now(Node):
    """A name's value at time t."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Prev(Node):
    """A name's value one step earlier: zero, or given by the initial state, before the first step."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Size(Node):
    """An axis name used as a number."""

    axis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head(Node):
    """`head`: the index of the head, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads(Node):
    """`heads`: how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply(Node):
    """A pointwise function; arguments are aligned by axis name and broadcast over the axes that they lack."""

    fn: Fn
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Over(Node):
    """A function over axes `over` of its argument."""

    fn: AxisFn
    over: tuple[str, ...]
    arg: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed(Node):
    """`arg[source -> target]`."""

    arg: Expr
    source: str
    target: str


Expr = Number | Now | Prev | Size | Head | Heads | Apply | Over | Renamed


def children(e: Expr) -> tuple[Expr, ...]:
    """The direct operands of a node, left to right."""
    match e:
        case Apply():
            return e.args
        case Over() | Renamed():
            return (e.arg,)
        case _:
            return ()


def walk(e: Expr) -> Iterator[Expr]:
    """An expression and all inside it, each node before its operands, left to right."""
    pending = [e]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))
