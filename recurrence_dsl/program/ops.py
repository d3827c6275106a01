"""The block program: one chunk of the recurrence as a straight line of a few matrix operations.

A program is a tuple of values in evaluation order. Every value has *named dims*: `BATCH`, `HEAD`, `ROW` (time inside
the chunk), `COL` (time again, for pairs of tokens), `TERM`/`TERM2` (which rank-one term), then the spec's axes in the
order in which its dims are declared. Operands are aligned by name and broadcast over dims that they lack. The same ops
describe the forward pass, its adjoint, and (without `ROW`) the single step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

BATCH, HEAD, ROW, TERM, COL, TERM2 = "@b", "@h", "@t", "@m", "@s", "@n"
LEADING = (BATCH, HEAD, ROW, TERM, COL, TERM2)
"""Names no axis can have, in layout order; axes follow them."""


class Mask(Enum):
    """Which earlier tokens a token sees."""

    NOW = "s <= t"
    BEFORE = "s < t"


class Op(Enum):
    # leaves; `attr` is the name (or the number)
    INPUT = "input"
    PARAM = "param"
    STATE = "state"  # what the chunk before left behind: a state, or a value's last row
    COTANGENT = "cotangent"  # incoming gradient of the output `attr`
    NUMBER = "number"
    SIZE = "size"
    HEAD_INDEX = "head_index"
    HEAD_COUNT = "head_count"
    # pointwise; `attr` is a Prim
    MAP = "map"
    # over dims; `attr` is a tuple of dims
    SUM = "sum"
    AMAX = "amax"
    PEAK = "peak"  # an amax that is only subtracted again (softmax): its gradient cancels and is not followed
    EXPAND = "expand"  # to the dims `attr`
    RENAME = "rename"  # attr = (from, to)
    STACK = "stack"  # a new dim `attr`, one entry an operand
    SELECT = "select"  # attr = (dim, index)
    # along ROW; sums of log-decays are taken over exactly the rows that are meant, never as a difference of two sums
    CUMSUM = "cumsum"  # rows up to and with t
    CUMSUM_BEFORE = "cumsum_before"  # rows before t
    CUMSUM_AFTER = "cumsum_after"  # rows after t
    REVCUMSUM = "revcumsum"  # rows from t on
    SHIFT = "shift"  # (x, first): row t holds x[t-1], row 0 holds `first`
    UNSHIFT = "unshift"  # (x): row t holds x[t+1], the last row zero
    FIRST = "first"
    LAST = "last"
    PLACE_FIRST = "place_first"  # zero rows but the first
    PLACE_LAST = "place_last"  # zero rows but the last
    # matrices
    CONTRACT = "contract"  # (x, y): sum over the dims `attr` of x * y
    PAIR = "pair"  # (g) or (): where the Mask `attr` holds, exp of the sum of g over the rows that lie between, else 0:
    #                rows s+1 .. t for Mask.NOW, rows s+1 .. t-1 for Mask.BEFORE
    SCORES = "scores"  # (x, y, pair): A[t,s] = sum over axes `attr` of x_t y_s pair[t,s]
    APPLY = "apply"  # (A, y, pair): z_t = sum_s A[t,s] pair[t,s] y_s
    APPLY_T = "apply_t"  # (A, x, pair): z_s = sum_t A[t,s] pair[t,s] x_t, its COL named ROW again
    SOLVE = "solve"  # (A, x): (I - A)^-1 x, A strictly lower in time
    SOLVE_T = "solve_t"  # (A, x): (I - A)^-T x
    INVERSE = "inverse"  # (A): (I - A)^-1, where a kernel stores it for others
    # elementwise recurrences
    SCAN = "scan"  # (a, w, s0): S_t = a_t S_{t-1} + w_t
    SCAN_T = "scan_t"  # (a, x): y_t = x_t + conj(a_{t+1}) y_{t+1}


class Prim(Enum):
    """Pointwise primitives; the language's functions lower to these."""

    NEG = "neg"
    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    DIV = "div"
    POW = "pow"
    EXP = "exp"
    DECAY = "decay"  # exp of a log-decay <= 0; may be cut where the precision underflows
    LOG = "log"
    LOG1P = "log1p"
    EXPM1 = "expm1"
    SQRT = "sqrt"
    ABS = "abs"
    SIGN = "sign"
    SIGMOID = "sigmoid"
    SOFTPLUS = "softplus"
    TANH = "tanh"
    ERF = "erf"
    SIN = "sin"
    COS = "cos"
    MIN = "min"
    MAX = "max"
    LESS = "less"  # 1 where x < y, else 0
    EQUAL = "equal"  # 1 where x == y, else 0
    RE = "re"
    IM = "im"
    CONJ = "conj"


Attr = None | str | float | complex | Prim | Mask | tuple[str, ...] | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Value:
    """One op's result. `args` are indices of earlier values; `hint` is a name for readers, never a meaning."""

    index: int
    op: Op
    args: tuple[int, ...]
    attr: Attr
    dims: tuple[str, ...]
    is_complex: bool = False
    hint: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Program:
    """Values in order, and which of them are results: `outputs` pairs keys such as `output:o`, `state:S` with an index.

    Keys: `output:NAME` a token's output, `state:NAME` what the next chunk receives; in an adjoint `input:NAME`,
    `param:NAME`, `state:NAME` are gradients. `axes` lists the spec's axes in layout order; `terms` gives the leaves
    that have rank-one terms the number of them (only a part cut out of a program has such leaves).
    """

    name: str
    axes: tuple[str, ...]
    values: tuple[Value, ...]
    outputs: tuple[tuple[str, int], ...]
    terms: tuple[tuple[str, int], ...] = ()

    def output(self, key: str) -> int:
        """The index of a result."""
        return dict(self.outputs)[key]

    def leaves(self, op: Op) -> tuple[Value, ...]:
        """The leaves of one kind, in order."""
        return tuple(v for v in self.values if v.op is op)


def only(program: Program, wanted: Callable[[str], bool]) -> Program:
    """The part of a program that the results with wanted keys need."""
    outputs = tuple((k, i) for k, i in program.outputs if wanted(k))
    needed: set[int] = set()
    stack = [i for _, i in outputs]
    while stack:
        i = stack.pop()
        if i not in needed:
            needed.add(i)
            stack.extend(program.values[i].args)
    new = {old: k for k, old in enumerate(sorted(needed))}
    values = tuple(
        replace(v, index=new[v.index], args=tuple(new[a] for a in v.args)) for v in program.values if v.index in needed
    )
    return replace(program, values=values, outputs=tuple((k, new[i]) for k, i in outputs))


def order_dims(dims: set[str] | frozenset[str], axes: tuple[str, ...]) -> tuple[str, ...]:
    """Dims in layout order."""
    return tuple(d for d in (*LEADING, *axes) if d in dims)


def term_counts(program: Program) -> dict[int, int]:
    """For each value with `TERM` or `TERM2`, how many rank-one terms it has; states may differ in theirs."""
    found: dict[int, int] = {}
    for v in program.values:
        if v.op is Op.STACK and v.attr in (TERM, TERM2):
            found[v.index] = len(v.args)
        elif TERM in v.dims or TERM2 in v.dims:
            found[v.index] = max((found.get(a, 1) for a in v.args), default=dict(program.terms).get(str(v.attr), 1))
    return found


def is_stored(v: Value) -> bool:
    """Is this what another part of a program computed and kept? Such a leaf's name starts with @, which no input's
    can."""
    return v.op is Op.INPUT and str(v.attr).startswith("@")


def is_inverse(v: Value) -> bool:
    """Is this an inverse, or a stored one? Products with it must not round it."""
    return v.op is Op.INVERSE or (is_stored(v) and str(v.attr).startswith(STORED_INVERSE))


def is_cotangent(v: Value) -> bool:
    """Is this leaf linear in the gradients that come in?"""
    return v.op is Op.COTANGENT or (is_stored(v) and str(v.attr).startswith(SOLVED_BACK))


def is_exact(name: str) -> bool:
    """Is what is stored under a name kept in full precision: a product of transitions, or a number for each token?"""
    return name.startswith((STORED_INVERSE, SUMMED))


STORED_INVERSE, STORED_SCORES = "@inverse", "@scores"
"""How names of stored inverses begin, and of stored scores."""
SOLVED, SOLVED_BACK = "@solved", "@dsolved"
"""How names of stored solutions of systems begin, and of transposed systems for gradients."""
SUMMED = "@sum"
"""How names of stored sums begin, a number for each token."""
LEAVES = frozenset((Op.INPUT, Op.PARAM, Op.STATE, Op.COTANGENT, Op.NUMBER, Op.SIZE, Op.HEAD_INDEX, Op.HEAD_COUNT))
