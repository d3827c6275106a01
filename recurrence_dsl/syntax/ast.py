"""The syntax tree: what was written, nothing inferred. Spans never take part in equality."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..source import NOWHERE, Source, Span


@dataclass(frozen=True, slots=True)
class Node:
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Ident(Node):
    """A name where it is declared or listed (an axis, an assignment's target)."""

    name: str


# --- expressions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number(Node):
    """`1`, `2.5e-3`, `1i`; `text` keeps the spelling for re-printing."""

    value: float
    imaginary: bool = False
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Flag(Node):
    """`true` or `false`, as an option's value."""

    value: bool


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A value at time t, or an axis used as a number."""

    name: str


@dataclass(frozen=True, slots=True)
class Previous(Node):
    """`x[t-1]`; `steps` is the offset written (only 1 is legal; the checker says so)."""

    name: str
    steps: int = 1


@dataclass(frozen=True, slots=True)
class Rename(Node):
    """`e[K -> J]`."""

    operand: Expression
    source: Ident
    target: Ident


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str  # "-" or "+"
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str  # "+", "-", "*", "/", "**"
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Option(Node):
    """`rank=16` in a call."""

    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`f(..)`, `sum[K](..)`, `linear[K, V](x, bias=true)`; `brackets` holds axes, or numbers as in `conv[4](..)`."""

    function: str
    brackets: tuple[Ident | Number, ...]
    arguments: tuple[Expression, ...]
    options: tuple[Option, ...] = ()
    function_span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


Expression = Number | Flag | Name | Previous | Rename | Unary | Binary | Call


# --- statements ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MixerStatement(Node):
    name: Ident
    doc: str = ""


@dataclass(frozen=True, slots=True)
class DimStatement(Node):
    """`dim K, V` or `dim K = 64`: the default belongs to every name of the statement."""

    names: tuple[Ident, ...]
    default: int | None = None


@dataclass(frozen=True, slots=True)
class Range(Node):
    """`(-inf, 0]`."""

    low: float
    high: float
    low_open: bool
    high_open: bool


@dataclass(frozen=True, slots=True)
class InputStatement(Node):
    names: tuple[Ident, ...]
    axes: tuple[Ident, ...]
    per_group: bool = False
    complex: bool = False
    range: Range | None = None


@dataclass(frozen=True, slots=True)
class ParamStatement(Node):
    """`init` is the initialiser; absent means zeros. Allowed inside a layer block too."""

    names: tuple[Ident, ...]
    axes: tuple[Ident, ...]
    shared: bool = False
    complex: bool = False
    init: Expression | None = None


@dataclass(frozen=True, slots=True)
class ConstStatement(Node):
    name: Ident
    value: Expression


@dataclass(frozen=True, slots=True)
class LetStatement(Node):
    """`let x = ..`, or `decay x = ..` when `decay` is set: a let that promises 0 <= x <= 1."""

    name: Ident
    value: Expression
    decay: bool = False


@dataclass(frozen=True, slots=True)
class StateStatement(Node):
    name: Ident
    axes: tuple[Ident, ...]
    update: Expression
    complex: bool = False


@dataclass(frozen=True, slots=True)
class OutputStatement(Node):
    name: Ident
    value: Expression


@dataclass(frozen=True, slots=True)
class Assignment(Node):
    """A layer line `q, k = expression`: each target gets its own copy of the expression's modules."""

    targets: tuple[Ident, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Return(Node):
    value: Expression


@dataclass(frozen=True, slots=True)
class LayerStatement(Node):
    """`layer x : [D]` and its indented lines, in order."""

    input: Ident
    axes: tuple[Ident, ...]
    lines: tuple[Assignment | ParamStatement | ConstStatement | Return, ...]


Statement = (
    MixerStatement
    | DimStatement
    | InputStatement
    | ParamStatement
    | ConstStatement
    | LetStatement
    | StateStatement
    | OutputStatement
    | LayerStatement
)


@dataclass(frozen=True, slots=True)
class Ast:
    """A parsed file."""

    statements: tuple[Statement, ...]
    source: Source = field(default=Source(""), compare=False, repr=False)
