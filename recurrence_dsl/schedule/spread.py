"""How many registers of a thread a tile takes.

What is loaded, and what is computed from it number by number, is spread evenly over the threads. A product of matrices
is not: a matrix instruction gives each warp 16 rows, or eight columns where the product has fewer than 64 rows, and
warps that get none of their own repeat what others compute. Products of 64 rows and more read their factors from shared
memory; smaller ones hold them in registers, each warp all that its part of the product needs.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..emit.triton.order import FREE, SHORT, Sizes, held_numbers, needed
from ..emit.triton.tiles import APPLIED, PAIRWISE, PRODUCTS, Kind, Tile, Tiles
from ..program.ops import Prim

LANES = 32
USUAL_WARPS = 8
ROWS, COLUMNS = 16, 8
"""Of a matrix instruction's result."""
GROUP = 64
"""Rows of the matrix instructions that read shared memory."""
VECTOR = 2.0
"""Registers of a number a token, which tiles use along their rows and along their columns: measured on compiled
kernels, as are the next two. An estimate is then 70 registers below what the compiler takes, give or take 40."""
MASKS = 2.5
"""Registers for each number of a tile of pairs of rows, to tell which pairs a level joins."""
FACTORS = 0.4
"""The part of a small product's factors that is held at once."""
IN_PLACE = frozenset((Kind.MAP, Kind.MASK, Kind.CAUSAL))
"""Operations whose result takes the registers of operands that nothing else needs."""
_POINTWISE = frozenset((Kind.MAP, Kind.MASK, Kind.CAUSAL, Kind.ROUND, Kind.RENAME, Kind.TURN, Kind.ITEM))


@dataclass(frozen=True, slots=True)
class Kinds:
    """`products` of matrices, with what stems from them number by number; `factors`: what is rounded at once, since
    only products use it; `summands`: products that are added to what there is."""

    products: frozenset[int]
    factors: frozenset[int]
    summands: frozenset[int]


class Spread:
    """The registers of a thread that tiles take in a kernel of so many warps. `sizes` tells how many numbers there are
    along dims."""

    def __init__(self, tiles: Tiles, kinds: Kinds, sizes: Sizes, warps: int) -> None:
        self.tiles, self.kinds, self.sizes, self.warps = tiles.tiles, kinds, sizes, warps

    def of(self, i: int) -> float:
        """What holds a tile; loads stay as short as they lie in memory."""
        t = self.tiles[i]
        if t.kind in FREE or not t.dims or i in self.kinds.summands:
            return 0.0
        if len(t.dims) == 1:
            return max(VECTOR, self.sizes(t.dims) / (LANES * self.warps))
        short = t.kind in SHORT or i in self.kinds.factors
        return self._numbers(i) / (2 if short else 1)

    def whole(self, i: int) -> float:
        """What would hold a tile if it were neither rounded nor held by several warps. Orders of statements found with
        this spill less than those found with what `of` says: a factor of products is held wide until all of it is
        computed."""
        return held_numbers(self.tiles[i], self.sizes) / (LANES * self.warps)

    def extra(self, i: int) -> float:
        """What an operation holds besides its operands and its result."""
        t = self.tiles[i]
        if t.kind is Kind.DOT:
            return self._operands(t) + (sum(map(self._numbers, t.args)) if t.attr else 0.0)
        if t.kind is Kind.INVERSE:
            return 4 * self._numbers(i) + 2 * self._factors(self._side(t.dims[0]), *map(self._side, t.dims))
        if t.kind in PAIRWISE:
            return self._pairwise(t)
        return self._numbers(i) if t.kind is Kind.SCAN else 0.0

    def _numbers(self, i: int) -> float:
        """How many of a tile's numbers a thread has."""
        t = self.tiles[i]
        count = self.sizes(t.dims)
        if i in self.kinds.products and len(t.dims) == 2:
            return count / (LANES * self._parts(*map(self._side, t.dims)))
        return count / (LANES * self.warps)

    def _side(self, dim: str) -> int:
        return self.sizes((dim,))

    def _parts(self, rows: int, columns: int) -> int:
        """How many warps have a part of their own of a product."""
        down, across = self._grid(rows, columns)
        return max(1, min(down, rows // ROWS)) * max(1, min(across, columns // COLUMNS))

    def _grid(self, rows: int, columns: int) -> tuple[int, int]:
        """How the compiler lays the warps over a product's rows and columns."""
        down, across = (4, 1) if rows % GROUP == 0 else (1, 1)
        while down * across < self.warps:
            more = rows > ROWS * down
            if rows % GROUP:
                more = more and rows // ROWS // down >= columns // (2 * COLUMNS) // across
            down, across = (2 * down, across) if more else (down, 2 * across)
        return down, across

    def _operands(self, t: Tile) -> float:
        """A product's factors, in numbers of 16 bits; of exact ones there are two parts each."""
        x = t.args[0]
        rows, columns = map(self._side, t.dims)
        inner = self._side(self.tiles[x].dims[1])
        if rows % GROUP == 0:
            held = self._left(inner, rows, columns) if x in self.kinds.products else 0.0
        else:
            held = FACTORS * self._factors(inner, rows, columns)
        return held * (2 if t.attr else 1)

    def _left(self, inner: int, rows: int, columns: int) -> float:
        """Registers of a left factor, all of whose columns each warp needs."""
        down, _ = self._grid(rows, columns)
        return rows * inner / (2 * LANES * max(1, min(down, rows // ROWS)))

    def _factors(self, inner: int, rows: int, columns: int) -> float:
        """Registers of both factors of a product of few rows."""
        left = self._left(inner, rows, columns)
        if rows % GROUP == 0:
            return left
        _, across = self._grid(rows, columns)
        return left + inner * columns / (2 * LANES * max(1, min(across, columns // COLUMNS)))

    def _pairwise(self, t: Tile) -> float:
        """Decays between each row and its block's middle, a level's factors, and which rows it joins."""
        decays = self.tiles[t.args[2]].dims
        chunk = self._side(decays[0])
        held = 4 * self.sizes(decays) / (LANES * self.warps)
        held += MASKS * chunk * chunk / (LANES * self.warps)
        rows, columns = map(self._side, t.dims[:2])
        inner = self._side(decays[-1]) if t.kind is Kind.SCORES else rows
        return held + self._numbers(t.index) + self._factors(inner, rows, columns)


def kinds_of(tiles: Tiles) -> Kinds:
    users: dict[int, list[Tile]] = {t.index: [] for t in tiles.tiles}
    for i in needed(tiles):
        for a in tiles.tiles[i].args:
            users[a].append(tiles.tiles[i])
    rounded = (t.index for t in tiles.tiles if t.kind in IN_PLACE)
    factors = (i for i in rounded if all(u.kind is Kind.DOT and not u.attr for u in users[i]))
    stored = {r.tile for r in tiles.results}
    dots = (t.index for t in tiles.tiles if t.kind is Kind.DOT and t.index not in stored)
    summands = (i for i in dots if len(users[i]) == 1 and users[i][0].attr is Prim.ADD)
    taken = (t.index for t in tiles.tiles if len(t.dims) == 2 and users[t.index] and _applied(t, users[t.index]))
    return Kinds(_products(tiles), frozenset((*factors, *taken)), frozenset(summands))


def _applied(t: Tile, users: list[Tile]) -> bool:
    """Do levels of decays alone take parts of this matrix?"""
    return all(u.kind is Kind.DIAGONAL or (u.kind in APPLIED and u.args[0] == t.index) for u in users)


def _products(tiles: Tiles) -> frozenset[int]:
    found: set[int] = set()
    for i in sorted(needed(tiles)):
        t = tiles.tiles[i]
        if t.kind in PRODUCTS - {Kind.SCAN} or (t.kind in _POINTWISE and any(a in found for a in t.args)):
            found.add(i)
    return frozenset(found)
