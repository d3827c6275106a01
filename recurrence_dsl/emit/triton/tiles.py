"""Tiles: what one kernel instance holds in registers, as a straight line of operations on them.

Dims are ordered and are `ROW`, `COL`, axes, or several axes flattened into one, written `K*J`. A tile of a pair of
tokens
exists in two orders, [t, s] and its *twin* [s, t].
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from ...program.ops import COL, ROW, Mask, Prim

Dims = tuple[str, ...]


class Kind(Enum):
    # leaves
    LOAD = "load"  # attr: Source
    CARRIED = "carried"  # attr: Source; a state that the loop over chunks keeps in registers
    NUMBER = "number"
    HEAD = "head"
    # pointwise; attr is a Prim
    MAP = "map"
    MASK = "mask"  # attr = (dim, fill): `fill` beyond the axis's or the sequence's end
    ROUND = "round"  # as a factor of products
    CAUSAL = "causal"  # attr = (Mask, fill): `fill` where a token does not see the other
    # shapes
    EXPAND = "expand"
    RENAME = "rename"  # attr = (from, to)
    FLAT = "flat"  # merges the adjacent dims `attr` into one
    SPLIT = "split"  # the reverse
    TURN = "turn"  # [a, b] -> [b, a], or more dims in another order
    # over dims
    SUM = "sum"
    MAX = "max"
    # along ROW
    UPTO = "upto"  # of log-decays: sums over the rows up to and with each one
    EARLIER = "earlier"  # of log-decays: over the rows before each one
    LATER = "later"  # of log-decays: over the rows after each one
    FROM = "from"  # of any values: over the rows from each one on
    BEFORE = "before"  # (x, first): row t holds x[t-1]
    AFTER = "after"  # row t holds x[t+1], the last row zero
    FIRST = "first"
    LAST = "last"  # attr: True where rows beyond the sequence's end repeat the last one
    PLACE_FIRST = "place_first"
    PLACE_LAST = "place_last"
    # matrices
    DOT = "dot"  # (x, y) [.., a] [a, ..]; attr "exact" where it must not be rounded to the inputs' precision
    PAIR = "pair"  # (g) [t] -> [t, s], attr a Mask: exp of the sum of g over the rows between two tokens
    SCORES = "scores"  # (x, y, g), attr a Mask: as the program's
    APPLY = "apply"  # (a, y, g), and a's diagonal where tokens see themselves
    APPLY_T = "apply_t"  # (twin of a, x, g), likewise
    DIAGONAL = "diagonal"  # (a) [t, s] -> [t]: what each token says of itself
    INVERSE = "inverse"  # (I - A)^-1, A strictly lower (attr False) or strictly upper (attr True); M * M tiles
    # elementwise recurrences
    SCAN = "scan"  # (a, w): S_t = a_t S_{t-1} + w_t; attr True in reverse; complex ones take and give two tiles each
    ITEM = "item"  # attr: which result of an operation with several


@dataclass(frozen=True, slots=True)
class Source:
    """What a leaf reads, or where a result goes: `kind` is input, param, state, cotangent, output or gradient.

    `part` is 0, or 1 for the imaginary part of a complex tensor.
    """

    kind: str
    name: str
    part: int = 0


Attr = None | bool | int | float | str | Prim | Mask | Source | Dims | tuple[str, float] | tuple[Mask, float]


@dataclass(frozen=True, slots=True)
class Tile:
    """One operation's result; `args` are indices of earlier tiles."""

    index: int
    kind: Kind
    args: tuple[int, ...]
    attr: Attr
    dims: Dims
    hint: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Result:
    """A tile that leaves the kernel's body."""

    target: Source
    tile: int


@dataclass(frozen=True, slots=True)
class Tiles:
    """A kernel's body."""

    tiles: tuple[Tile, ...]
    results: tuple[Result, ...]


PAIRWISE = frozenset((Kind.SCORES, Kind.APPLY, Kind.APPLY_T))
"""Operations with a decay of its own for each channel and pair of tokens."""
APPLIED = frozenset((Kind.APPLY, Kind.APPLY_T))
"""Those whose first operand is a matrix of pairs of tokens, of which each level takes a part."""
PRODUCTS = frozenset((Kind.DOT, Kind.INVERSE, Kind.SCAN, *PAIRWISE))
LEAF_KINDS = frozenset((Kind.LOAD, Kind.CARRIED, Kind.NUMBER, Kind.HEAD))


def natural(dims: Iterable[str], axes: Dims) -> Dims:
    """Dims in layout order: time, time again, then the axes; a flattened dim stands where its first axis does."""
    wanted = set(dims)
    flat = {d.split("*")[0]: d for d in wanted if "*" in d}
    found = [d for d in (ROW, COL) if d in wanted]
    for a in axes:
        found += [d for d in (a, flat.get(a)) if d in wanted]
    return tuple(found)  # type: ignore[arg-type]
