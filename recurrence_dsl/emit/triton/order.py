"""The order in which a kernel computes its tiles: what holds the least in registers at a time goes first.

Tiles that nothing needs are dropped. Leaves are loaded where they are first used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from .tiles import LEAF_KINDS, PAIRWISE, Dims, Kind, Tile, Tiles

Sizes = Callable[[Dims], int]
_FREE = frozenset((Kind.NUMBER, Kind.EXPAND, Kind.RENAME, Kind.ITEM))


def element_count(sizes: Mapping[str, int]) -> Sizes:
    """How many numbers a tile with given dims holds."""
    return lambda dims: math.prod(sizes[part] for d in dims for part in d.split("*"))


def needed(tiles: Tiles) -> frozenset[int]:
    """What the results depend on."""
    found: set[int] = set()
    stack = [r.tile for r in tiles.results]
    while stack:
        i = stack.pop()
        if i not in found:
            found.add(i)
            stack.extend(tiles.tiles[i].args)
    return frozenset(found)


def pairwise_groups(tiles: Tiles, wanted: frozenset[int]) -> tuple[tuple[int, ...], ...]:
    """Pairwise operations that share their decays and do not depend on one another, to be computed together."""
    depth: dict[int, int] = {}
    groups: dict[tuple[object, ...], list[int]] = {}
    for i in sorted(wanted):
        t = tiles.tiles[i]
        below = max((depth[a] for a in t.args), default=0)
        depth[i] = below + (t.kind in PAIRWISE)
        if t.kind in PAIRWISE:
            groups.setdefault((t.args[2], t.attr, below), []).append(i)
    return tuple(tuple(members) for members in groups.values())


def ordered(tiles: Tiles, sizes: Sizes) -> tuple[int, ...]:
    """Indices in the order of computation."""
    return _Order(tiles, sizes).run()


def most_live(tiles: Tiles, order: tuple[int, ...], sizes: Sizes) -> int:
    """The most numbers held at once when computing in this order."""
    last: dict[int, int] = {}
    for at, i in enumerate(order):
        for a in tiles.tiles[i].args:
            last[a] = at
    for r in tiles.results:
        last[r.tile] = len(order)
    live = most = 0
    ends: dict[int, int] = {}
    for at, i in enumerate(order):
        held = 0 if tiles.tiles[i].kind in _FREE else sizes(tiles.tiles[i].dims)
        live += held
        most = max(most, live)
        end = last.get(i, at)
        ends[end] = ends.get(end, 0) + held
        live -= ends.pop(at, 0)
    return most


class _Order:
    def __init__(self, tiles: Tiles, sizes: Sizes) -> None:
        self.tiles, self.sizes = tiles.tiles, sizes
        self.needed = needed(tiles)
        self.results = {r.tile for r in tiles.results}
        self.group = {i: g for g in pairwise_groups(tiles, self.needed) for i in g}
        self.done: list[int] = []
        self.placed: set[int] = set()
        self.users: dict[int, set[int]] = {i: set() for i in self.needed}
        for i in self.needed:
            for a in self.tiles[i].args:
                self.users[a].add(i)

    def run(self) -> tuple[int, ...]:
        waiting = sorted(i for i in self.needed if self.tiles[i].kind not in LEAF_KINDS)
        while waiting:
            best = min((i for i in waiting if self._ready(i)), key=lambda i: (self._growth(i), i))
            for i in self.group.get(best, (best,)):
                self._place(i)
            waiting = [i for i in waiting if i not in self.placed]
        for i in sorted(self.results - self.placed):
            self._place(i)
        return tuple(self.done)

    def _ready(self, i: int) -> bool:
        args = {a for m in self.group.get(i, (i,)) for a in self.tiles[m].args}
        return all(a in self.placed or self.tiles[a].kind in LEAF_KINDS for a in args)

    def _place(self, i: int) -> None:
        for m in self.group.get(i, (i,)):
            for a in self.tiles[m].args:
                if a not in self.placed:
                    self._place(a)
        if i not in self.placed:
            self.done.append(i)
            self.placed.add(i)

    def _growth(self, i: int) -> int:
        """How many more numbers are held once a tile is computed and its operands that nothing else needs are gone."""
        t = self.tiles[i]
        grown = self._held(t) if self.users[i] else 0
        for a in set(t.args):
            left = self.users[a] - self.placed - {i}
            if a not in self.placed and left:
                grown += self._held(self.tiles[a])
            elif a in self.placed and not left and a not in self.results:
                grown -= self._held(self.tiles[a])
        return grown

    def _held(self, t: Tile) -> int:
        return 0 if t.kind in _FREE else self.sizes(t.dims)
