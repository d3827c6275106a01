"""Rounds what products of matrices take as factors beside other uses, where it is computed: half as much is then held
for them, and no layout of the wide numbers but the one that they are computed in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from .loops import cheap
from .order import needed, root
from .tiles import Kind, Tile, Tiles

_MAPS = (Kind.MAP, Kind.MASK, Kind.CAUSAL)


def with_rounding(tiles: Tiles) -> Tiles:
    """The tiles with a rounded copy of each factor of products that stems from products itself."""
    wanted = needed(tiles)
    again = _Again(frozenset(_factors(tiles, wanted)))
    for t in tiles.tiles:
        again.take(t)
    return Tiles(tuple(again.tiles), tuple(replace(r, tile=again.at[r.tile]) for r in tiles.results))


def _factors(tiles: Tiles, wanted: Collection[int]) -> Iterator[int]:
    """Results of products that other products take, and what is computed from such if more than products need it."""
    users: dict[int, list[Tile]] = {i: [] for i in wanted}
    for u in sorted(wanted):
        for a in () if _renames(tiles.tiles[u]) else tiles.tiles[u].args:
            users[root(tiles, a)].append(tiles.tiles[u])
    results = {root(tiles, r.tile) for r in tiles.results}
    recomputed = cheap(tiles, frozenset(wanted))
    for i in sorted(wanted):
        t = tiles.tiles[i]
        products = [u.kind is Kind.DOT and not u.attr for u in users[i]]
        mixed = t.kind in _MAPS and i not in recomputed and (i in results or not all(products))
        if len(t.dims) == 2 and any(products) and (t.kind is Kind.DOT or mixed):
            yield i


def _renames(t: Tile) -> bool:
    return t.kind in (Kind.RENAME, Kind.ITEM, Kind.TURN)


class _Again:
    """Takes tiles over one by one; `at` has their new places."""

    def __init__(self, factors: frozenset[int]) -> None:
        self.factors = factors
        self.tiles: list[Tile] = []
        self.at: dict[int, int] = {}
        self.short: dict[int, int] = {}

    def take(self, t: Tile) -> None:
        rounds = t.kind is Kind.DOT and not t.attr
        args = tuple(self.short.get(a, self.at[a]) if rounds else self.at[a] for a in t.args)
        self.at[t.index] = self._add(replace(t, args=args))
        if t.index in self.factors:
            copy = Tile(0, Kind.ROUND, (self.at[t.index],), None, t.dims, t.hint and f"{t.hint}_short")
            self.short[t.index] = self._add(copy)
        elif _renames(t) and t.args[0] in self.short:
            self.short[t.index] = self._add(replace(t, args=(self.short[t.args[0]],), hint=""))

    def _add(self, t: Tile) -> int:
        self.tiles.append(replace(t, index=len(self.tiles)))
        return len(self.tiles) - 1
