"""Divides a kernel's tiles into segments: straight code, and loops over the blocks of one axis.

A tile along the axis exists for one block at a time. What sums over the axis is added up in a loop; what needs the sum
comes after it, and what needs both the sum and the axis comes in another loop, which computes again what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .order import needed
from .tiles import PRODUCTS, Kind, Tile, Tiles
from .uses import Uses


@dataclass(frozen=True, slots=True)
class Segment:
    """`tiles`: what is computed here; `sums`: those of them that a loop adds up, block by block; `stored`: results that
    are stored here. `looped` tells a loop from straight code."""

    looped: bool
    tiles: frozenset[int]
    sums: frozenset[int]
    stored: frozenset[int]


def along(t: Tile, axis: str | None) -> bool:
    """Does a tile vary along the axis?"""
    return any(axis in d.split("*") for d in t.dims)


def segments(tiles: Tiles, axis: str | None) -> tuple[Segment, ...]:
    """The segments in order; without an axis a single one."""
    wanted = needed(tiles)
    if axis is None:
        return (Segment(False, wanted, frozenset(), frozenset(r.tile for r in tiles.results)),)
    return _Loops(tiles, axis, wanted).run()


class _Loops:
    def __init__(self, tiles: Tiles, axis: str, wanted: frozenset[int]) -> None:
        self.tiles, self.axis, self.wanted = tiles.tiles, axis, wanted
        self.results = frozenset(r.tile for r in tiles.results)
        self.cheap = cheap(tiles, wanted)
        self.uses = Uses(tiles, tuple(sorted(wanted)))
        self.at: dict[int, int] = {}
        """For a tile along the axis, the first loop that can compute it; for another, how many loops come before it."""
        for i in sorted(wanted):
            self.at[i] = self._place(self.tiles[i])
        self._settle()

    def _along(self, i: int) -> bool:
        return along(self.tiles[i], self.axis)

    def _sums(self, i: int) -> bool:
        """Is this a sum over the axis?"""
        return not self._along(i) and any(self._along(a) for a in self.tiles[i].args)

    def _place(self, t: Tile) -> int:
        before = max((self.at[a] for a in t.args), default=0)
        return before + 1 if self._sums(t.index) else before

    def _settle(self) -> None:
        """Takes each sum that may be added up in one of several loops, and each result along the axis, to the loop that
        has the fewest products of matrices to compute for it alone."""
        latest, loops = self._latest(lambda i, last: last), self._loops()
        fixed = [{i for i in latest if latest[i] == self.at[i] == n + 1} for n in range(loops)]
        along = [i for i in self.results if self._along(i)]
        along.sort(key=lambda i: (-self._products(self._inside({i})), i))
        fixed[-1].update(i for i in along if self.at[i] == loops - 1)
        inside = [self._inside(found) for found in fixed]

        def cheapest(i: int, last: int) -> int:
            own = self._inside({i})
            n = min(range(self.at[i] - self._sums(i), last + 1), key=lambda n: self._products(own - inside[n]))
            inside[n] |= own
            return n

        chosen = self._latest(lambda i, last: cheapest(i, last - 1) + 1)
        for i in sorted(self.wanted):
            self.at[i] = chosen[i] if i in chosen else self._place(self.tiles[i])
        self.at |= {r: cheapest(r, loops - 1) for r in along}

    def _latest(self, chosen: Callable[[int, int], int]) -> dict[int, int]:
        """How many loops come before each sum, as `chosen` of those that could, when what needs it is chosen first."""
        first: dict[int, int] = {}
        found: dict[int, int] = {}
        for i in sorted(self.wanted, reverse=True):
            used = self.at[i] if i in self.results else max(self.at[i], first.get(i, 0))
            if self._sums(i):
                found[i] = chosen(i, used)
                used = found[i] - 1
            for a in self.tiles[i].args:
                first[a] = min(first.get(a, used), used)
        return found

    def _products(self, tiles: Iterable[int]) -> int:
        return sum(self.tiles[i].kind in PRODUCTS for i in tiles)

    def _loops(self) -> int:
        """How many loops there are."""
        return max((self.at[i] for i in self.wanted if self._along(i)), default=-1) + 1

    def run(self) -> tuple[Segment, ...]:
        loops = [self._loop(n) for n in range(self._loops())]
        self._postpone(loops)
        found = []
        for n, loop in enumerate([*loops, None]):
            straight = self._straight(n, loop.tiles if loop else frozenset())
            stored = self.results & {i for i in self.wanted if self.at[i] == n and not self._along(i)}
            found.append(Segment(False, straight, frozenset(), stored))
            found += [loop] if loop else []
        return tuple(s for s in found if s.tiles or s.stored)

    def _postpone(self, loops: Sequence[Segment]) -> None:
        """Takes matrices that no loop has to hold behind it: they are computed where they are first needed, where that
        holds no other matrix longer. What a sum over blocks is added to is needed for its start."""
        first: dict[int, int] = {}
        for n, loop in reversed(list(enumerate(loops))):
            first |= dict.fromkeys((a for i in loop.tiles for a in self.tiles[i].args), n)
            begins = (self.uses.added_later(i) for i in loop.sums)
            first |= {rest[1]: min(n, first.get(rest[1], n)) for rest in begins if rest}
        for i in sorted(self.wanted, reverse=True):
            if self._along(i) or self._sums(i):
                continue
            last = first.get(i, self.at[i])
            if last > self.at[i] and i not in self.results and self._light(i, last, first):
                self.at[i] = last
            for a in self.tiles[i].args:
                first[a] = min(first.get(a, len(loops)), self.at[i])

    def _light(self, i: int, last: int, first: Mapping[int, int]) -> bool:
        """May a tile be computed later, without a matrix to be held for it until then?"""
        for a in self.tiles[i].args:
            if len(self.tiles[a].dims) < 2 or a in self.cheap or self.at[a] == last:
                continue
            if self._sums(a) or a in self.results or first.get(a, last) < last or not self._light(a, last, first):
                return False
        return True

    def _straight(self, n: int, loop: frozenset[int]) -> frozenset[int]:
        """What is computed between two loops: what could not be before, and what is cheap to compute where it is
        used.
        """
        plain = [i for i in self.wanted if not self._along(i) and not self._sums(i)]
        found = {i for i in plain if self.at[i] == n and i not in self.cheap}
        found |= self.results & {i for i in plain if self.at[i] == n}
        stack = [a for i in (*found, *loop) for a in self.tiles[i].args]
        while stack:
            i = stack.pop()
            if i in self.cheap and i not in found and not self._along(i):
                found.add(i)
                stack.extend(self.tiles[i].args)
        return frozenset(found)

    def _loop(self, n: int) -> Segment:
        sums = self._added_up(n)
        stored = frozenset(i for i in self.results if self._along(i) and self.at[i] == n)
        return Segment(True, frozenset(self._inside(sums | stored)), sums, stored)

    def _added_up(self, n: int) -> frozenset[int]:
        """The sums that a loop adds up."""
        return frozenset(i for i in self.wanted if self._sums(i) and self.at[i] == n + 1)

    def _inside(self, wanted: Iterable[int]) -> set[int]:
        """What a loop computes for some tiles: these, and what they need of each block."""
        found = set(wanted)
        stack = list(found)
        while stack:
            more = [a for a in self.tiles[stack.pop()].args if self._along(a) and a not in found]
            found.update(more)
            stack.extend(more)
        return found


def cheap(tiles: Tiles, wanted: frozenset[int]) -> frozenset[int]:
    """Tiles that are better computed again than kept: two-dimensional ones that stem from no product of matrices."""
    costly: set[int] = set()
    for i in sorted(wanted):
        t = tiles.tiles[i]
        if t.kind in (*PRODUCTS, Kind.SUM, Kind.MAX, Kind.CARRIED) or any(
            a in costly and len(tiles.tiles[a].dims) > 1 for a in t.args
        ):
            costly.add(i)
    return frozenset(i for i in wanted if i not in costly and len(tiles.tiles[i].dims) > 1)


def may_loop(tiles: Tiles, axis: str) -> bool:
    """Can a kernel go through the axis block by block? What it keeps in registers must not lie along it, and what is
    computed from several blocks must be a sum."""
    for i in needed(tiles):
        t = tiles.tiles[i]
        if t.kind is Kind.CARRIED and along(t, axis):
            return False
        gone = not along(t, axis) and any(along(tiles.tiles[a], axis) for a in t.args)
        if gone and t.kind not in (Kind.SUM, Kind.DOT, Kind.SCORES):
            return False
        renamed = t.kind is Kind.RENAME and axis in t.attr  # type: ignore[operator]
        if renamed or (t.kind in (Kind.FLAT, Kind.SPLIT) and axis in t.attr[1:]):  # type: ignore[index]
            return False
    return any(along(tiles.tiles[i], axis) for i in needed(tiles))
