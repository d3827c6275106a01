"""The order in which a kernel computes its tiles: what holds the least in registers at a time goes first.

Tiles that nothing needs are dropped. Leaves are loaded where they are first used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from .tiles import LEAF_KINDS, PAIRWISE, Dims, Kind, Tile, Tiles

Sizes = Callable[[Dims], int]
FREE = frozenset((Kind.NUMBER, Kind.EXPAND, Kind.RENAME, Kind.ITEM, Kind.TURN))
SHORT = frozenset((Kind.LOAD, Kind.ROUND))
"""Tiles of numbers of 16 bits."""
_SAME = frozenset((Kind.RENAME, Kind.ITEM, Kind.TURN))
"""Other names for a tile that is held anyway."""


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


def pairwise_groups(tiles: Tiles, wanted: Collection[int]) -> tuple[tuple[int, ...], ...]:
    """Pairwise operations that share their decays and do not depend on one another, to be computed together."""
    depth: dict[int, int] = {}
    groups: dict[tuple[object, ...], list[int]] = {}
    for i in sorted(wanted):
        t = tiles.tiles[i]
        below = max((depth.get(a, 0) for a in t.args), default=0)
        depth[i] = below + (t.kind in PAIRWISE)
        if t.kind in PAIRWISE:
            groups.setdefault((t.args[2], t.attr, below), []).append(i)
    return tuple(tuple(members) for members in groups.values())


def ordered(tiles: Tiles, sizes: Sizes, wanted: Collection[int], kept: Collection[int] = ()) -> tuple[int, ...]:
    """The wanted tiles in the order of computation; `kept` are those that are still needed afterwards.

    Two orders are tried, one found from the operands on and one from the results back, each by taking at every step
    what lets the fewest numbers be held; the better one is taken. What a walk carries is held from the beginning on.
    """
    graph = Graph(tiles, sizes, wanted, kept)
    return graph.flat(min((graph.onwards(), graph.backwards()), key=graph.peak))


def root(tiles: Tiles, i: int) -> int:
    """The tile that holds the numbers of this one."""
    while tiles.tiles[i].kind in _SAME:
        i = tiles.tiles[i].args[0]
    return i


def held_numbers(t: Tile, sizes: Sizes) -> int:
    """How many numbers a tile keeps in registers; what is loaded stays as short as it lies in memory."""
    return 0 if t.kind in FREE else sizes(t.dims) // (2 if t.kind in SHORT else 1)


Node = tuple[int, ...]
"""Tiles that are computed together."""


class Graph:
    """The wanted tiles as nodes: each with the members of its group and without the tiles that are other names for
    it. `summands`: products that are computed where they are added to something, and the sums.
    """

    def __init__(
        self,
        tiles: Tiles,
        sizes: Sizes,
        wanted: Collection[int],
        kept: Collection[int],
        summands: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        self.tiles, self.wanted = tiles.tiles, frozenset(wanted)
        self.root = {i: root(tiles, i) for i in self.wanted | {a for i in wanted for a in self.tiles[i].args}}
        self.kept = {self.root[i] for i in self.wanted.intersection(kept)}
        groups = pairwise_groups(tiles, wanted)
        self.node = {i: g for g in groups for i in g}
        self.node |= {i: pair for pair in summands.items() for i in pair}
        self.node |= {i: (i,) for i in wanted if self.root[i] == i and i not in self.node}
        self.nodes = sorted(set(self.node.values()))
        self.args = {n: self._args(n) for n in self.nodes}
        self.users: dict[int, set[Node]] = {i: set() for n in self.nodes for i in n}
        for n in self.nodes:
            for a in self.args[n]:
                self.users[a].add(n)
        self.held = {i: 0 if i in summands else held_numbers(self.tiles[i], sizes) for i in self.users}
        self.carried = [n for n in self.nodes if self.tiles[n[0]].kind is Kind.CARRIED]

    def _args(self, node: Node) -> frozenset[int]:
        """The tiles that a node needs, by the roots that hold them."""
        roots = {self.root[a] for i in node for a in self.tiles[i].args}
        return frozenset(a for a in roots if a in self.wanted and a not in node)

    def is_leaf(self, node: Node) -> bool:
        return self.tiles[node[0]].kind in LEAF_KINDS

    def onwards(self) -> list[Node]:
        """From the operands on; leaves are taken when they are first needed."""
        order = [*self.carried]
        placed = {i for n in order for i in n}
        before = {n: {self.node[a] for a in self.args[n]} for n in self.nodes if not self.is_leaf(n)}
        before = {n: {x for x in found if x in before} for n, found in before.items()}
        ready = {n for n, found in before.items() if not found}
        while ready:
            best = min(ready, key=lambda n: (self._growth(n, placed), n))
            for n in (*sorted(self.node[a] for a in self.args[best] if a not in placed), best):
                order.append(n)
                placed.update(n)
            ready.remove(best)
            ready |= _freed(best, before, {u for i in best for u in self.users[i]})
        return order + [n for n in self.nodes if n[0] not in placed]

    def _growth(self, node: Node, placed: set[int]) -> int:
        """How many more numbers are held once a node is computed and its operands that nothing else needs are gone."""
        grown = sum(self.held[i] for i in node if self.users[i] or i in self.kept)
        for a in self.args[node]:
            left = any(u[0] not in placed and u != node for u in self.users[a]) or a in self.kept
            grown += self.held[a] if a not in placed and left else 0
            grown -= self.held[a] if a in placed and not left else 0
        return grown

    def backwards(self) -> list[Node]:
        """From the results back: what frees its result and brings up few operands is computed last."""
        order: list[Node] = []
        live = set(self.kept)
        after = {n: {u for i in n for u in self.users[i]} for n in self.nodes if n not in self.carried}
        ready = {n for n, found in after.items() if not found}
        while ready:
            best = min(ready, key=lambda n: (self._shrinkage(n, live), [-i for i in n]))
            order.append(best)
            live = (live - set(best)) | self.args[best]
            ready.remove(best)
            ready |= _freed(best, after, {self.node[a] for a in self.args[best]})
        return [*self.carried, *order[::-1]]

    def _shrinkage(self, node: Node, live: set[int]) -> int:
        """How many more numbers are held before a node than after it."""
        if self.is_leaf(node):
            return -self.held[node[0]] if node[0] in live else 0
        brought = sum(self.held[a] for a in self.args[node] if a not in live)
        return brought - sum(self.held[i] for i in node if i in live)

    def peak(self, order: list[Node]) -> int:
        """The most numbers held at once."""
        last = {a: at for at, n in enumerate(order) for a in (*n, *self.args[n])}
        live, most = 0, 0
        ends: dict[int, int] = {}
        for at, n in enumerate(order):
            for i in n:
                live += self.held[i]
                end = len(order) if i in self.kept else last[i]
                ends[end] = ends.get(end, 0) + self.held[i]
            most = max(most, live)
            live -= ends.pop(at, 0)
        return most

    def flat(self, order: list[Node]) -> tuple[int, ...]:
        """All tiles in order, the other names of each where they are first used, or at once if by results alone."""
        found: list[int] = []
        placed: set[int] = set()
        used = {a for i in self.wanted for a in self.tiles[i].args}
        unused = [i for i in sorted(self.wanted - used) if self.root[i] != i]

        def place(i: int) -> None:
            for a in self.tiles[i].args:
                if a in self.wanted and a not in placed and self.root[a] != a:
                    place(a)
            if i not in placed:
                placed.add(i)
                found.append(i)

        for n in order:
            for m in n:
                for a in self.tiles[m].args:
                    if a in self.wanted and a not in placed and self.root[a] != a:
                        place(a)
            for m in (*n, *(i for i in unused if self.root[i] in n)):
                place(m)
        for i in sorted(self.wanted - placed):
            place(i)
        return tuple(found)


def _freed(done: Node, waiting: Mapping[Node, set[Node]], for_it: Collection[Node]) -> set[Node]:
    """Those of the nodes that wait for one, and now wait for none."""
    for n in for_it:
        if n in waiting:
            waiting[n].discard(done)
    return {n for n in for_it if n in waiting and not waiting[n]}
