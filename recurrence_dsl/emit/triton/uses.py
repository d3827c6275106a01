"""What a kernel's tiles are used for, and what this says of how they are printed."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ...program.ops import ROW, Prim
from .functions import COSTLY
from .tiles import APPLIED, Kind, Tile, Tiles

_ROUNDED = (Kind.LOAD, Kind.MAP, Kind.MASK, Kind.CAUSAL)
_INLINERS = frozenset((Kind.MAP, Kind.MASK, Kind.CAUSAL, Kind.SUM, Kind.DOT, Kind.TURN))
INLINE = 60
"""A pointwise value used once and shorter than this is written where it is used."""


class Uses:
    """The users of each tile in an order. Of the statements that are printed, `here` has the tiles, `sums` those that
    blocks add up, and `later` those that other statements need by name."""

    def __init__(self, tiles: Tiles, order: tuple[int, ...]) -> None:
        self.tiles, self.results = tiles.tiles, tiles.results
        self.sums: frozenset[int] = frozenset()
        self.later: frozenset[int] = frozenset()
        self.here = frozenset(order)
        self.of: dict[int, list[int]] = {i: [] for i in order}
        for i in order:
            for a in self.tiles[i].args:
                self.of[a].append(i)

    def shortened(self) -> Iterator[int]:
        """What is taken as a factor of products beside other uses: what is loaded, and what each level of decays
        takes its part of."""
        for i in self.of:
            t = self.tiles[i]
            if len(t.dims) == 2 and t.kind in (*_ROUNDED, Kind.DOT) and not self.factor(t):
                users = [self.tiles[u] for u in self._real_users(i)]
                taken = t.kind is Kind.LOAD and any(u.kind is Kind.DOT and not u.attr for u in users)
                if taken or any(u.kind in APPLIED and u.args[0] == i for u in users):
                    yield i

    def factor(self, t: Tile) -> bool:
        """Is this used as a factor of products alone, so that it may be rounded at once?"""
        if t.kind not in _ROUNDED or len(t.dims) < 2 or t.index in self.sums:
            return False
        users = [self.tiles[u] for u in self._real_users(t.index)]
        stored = any(r.tile == t.index for r in self.results)
        return not stored and all(u.kind is Kind.DOT and not u.attr for u in users)

    def users_here(self, i: int) -> list[int]:
        return [u for u in self.of[i] if u in self.here]

    def asked_for(self, i: int) -> bool:
        """Is a tile's own value needed: as a result, by later statements, or to add up blocks?"""
        return i in self.sums or i in self.later or any(r.tile == i for r in self.results)

    def summand(self, t: Tile) -> bool:
        """Is this a product of matrices that one sum alone takes up, beside a tile of the same dims?"""
        if t.kind is not Kind.DOT or self.asked_for(t.index):
            return False
        users = self.of[t.index]
        if len(users) != 1 or self.tiles[users[0]].attr is not Prim.ADD:
            return False
        x, y = self.tiles[users[0]].args
        other = self.tiles[x if y == t.index else y]
        if other.index == t.index or other.kind is Kind.NUMBER or other.dims != t.dims:
            return False
        return y == t.index or not self.summand(other)

    def added_later(self, i: int) -> tuple[int, int] | None:
        """The only user of a tile, where that adds it to another one of the same dims; and that other one."""
        users = [self.tiles[u] for u in self.of[i]]
        if len(users) != 1 or users[0].kind is not Kind.MAP or users[0].attr is not Prim.ADD:
            return None
        x, y = users[0].args
        other = y if x == i else x
        alike = other != i and self.tiles[other].dims == self.tiles[i].dims != ()
        return (users[0].index, other) if alike and self.tiles[other].kind is not Kind.EXPAND else None

    def summands(self, tiles: Collection[int]) -> dict[int, int]:
        """The summands among some tiles, and the sums that take them up."""
        return {i: self.of[i][0] for i in sorted(tiles) if self.summand(self.tiles[i]) and self.of[i][0] in tiles}

    def fenced(self, t: Tile) -> bool:
        """Is this a number a token that tiles use, or a function that is costly to compute? The compiler would compute
        it again for each layout of its users."""
        if t.kind is Kind.MAP and t.attr in COSTLY and len(t.dims) > 1:
            return True
        if t.dims != (ROW,) or t.index in self.sums or t.kind in (Kind.RENAME, Kind.EXPAND):
            return False
        return any(len(self.tiles[u].dims) > 1 for u in self._real_users(t.index))

    def _real_users(self, i: int) -> Iterator[int]:
        """Users, looking through other names for the tile."""
        for u in self.of[i]:
            if self.tiles[u].kind in (Kind.RENAME, Kind.EXPAND, Kind.TURN):
                yield from self._real_users(u)
            else:
                yield u

    def inlined(self, t: Tile, text: str) -> bool:
        if t.kind is Kind.ITEM:
            return True
        if (
            t.index in self.sums
            or t.index in self.later
            or t.kind not in (Kind.MAP, Kind.RENAME, Kind.TURN)
            or t.hint
            or len(text) > INLINE
        ):
            return False
        users = self.of[t.index]
        if t.kind is not Kind.RENAME and (self.fenced(t) or self.factor(t)):
            return False
        if any(self.summand(self.tiles[a]) for a in t.args):
            return False  # the product would be computed later than it was planned to be
        stored = any(r.tile == t.index for r in self.results)
        return len(users) == 1 and not stored and self.tiles[users[0]].kind in _INLINERS

    def only_aligned(self, t: Tile) -> bool:
        """Is an expanded tile used only where a broadcast happens anyway?"""
        users = self.of[t.index]
        return all(self._broadcasts(self.tiles[u], t.index) for u in users) and not any(
            r.tile == t.index for r in self.results
        )

    def _broadcasts(self, user: Tile, i: int) -> bool:
        if user.kind is not Kind.MAP:
            return False
        rest = set().union(*(self.tiles[a].dims for a in user.args if a != i), self.tiles[self.tiles[i].args[0]].dims)
        return rest >= set(user.dims)
