"""How many registers of a thread a kernel needs, for given blocks and warps: an estimate from the order in which it
computes its tiles, and from how each lies in the threads' registers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..emit.triton.loops import Segment, along, may_loop, segments
from ..emit.triton.lower import Setting, lower
from ..emit.triton.order import Sizes, element_count, needed, ordered, root
from ..emit.triton.tiles import PAIRWISE, Kind, Tiles
from ..emit.triton.uses import Uses
from ..program.ops import COL, ROW, Program
from .spread import IN_PLACE, Kinds, Spread, kinds_of
from .tasks import Launch

WALKING = 30.0
"""Registers for what a walk over the chunks needs besides its tiles: addresses of the states, and of the next chunk."""


@dataclass(frozen=True, slots=True)
class Body:
    """A kernel's tiles, ready to be estimated for many choices of blocks. `least` is the smallest block of an axis."""

    tiles: Tiles
    least: int
    kinds: Kinds

    def loops(self, axis: str) -> bool:
        return may_loop(self.tiles, axis)

    def registers(
        self, blocks: Mapping[str, int], chunk: int, loop: str | None, warps: tuple[int, ...]
    ) -> dict[int, float]:
        """The most registers of a thread that tiles hold at once, by the number of warps, when each axis has the given
        block and one of them may be looped over."""
        sizes = element_count({**blocks, ROW: chunk, COL: chunk})
        parts = _parts(self.tiles, sizes, loop)
        return {w: _most(self.tiles, parts, Spread(self.tiles, self.kinds, sizes, w)) for w in warps}


def body_of(program: Program, sizes: Mapping[str, int], carried: frozenset[str]) -> Body:
    """The tiles of a kernel for a slice of a program; `carried` are the leaves that stay in registers."""
    tiles = lower(program, Setting(frozenset({ROW, COL, *sizes}), carried))
    products = any(tiles.tiles[i].kind in (Kind.DOT, *PAIRWISE) for i in needed(tiles))
    least = 16 if products else 1
    masked = frozenset(a for a, n in sizes.items() if block_of(n, least) != n)
    found = lower(program, Setting(masked | {ROW, COL}, carried))
    return Body(found, least, kinds_of(found))


def block_of(size: int, least: int = 16) -> int:
    """The smallest power of two that holds an axis."""
    return max(least, 1 << (size - 1).bit_length())


@dataclass(frozen=True, slots=True)
class _Part:
    """A segment with the order of its tiles; `around`: what registers hold all the while, but for what sums begin with;
    `kept`: what is needed after it."""

    segment: Segment
    order: tuple[int, ...]
    around: frozenset[int]
    kept: frozenset[int]


def _parts(tiles: Tiles, sizes: Sizes, loop: str | None) -> list[_Part]:
    whole = segments(tiles, loop)
    carried = {i for i in needed(tiles) if tiles.tiles[i].kind is Kind.CARRIED}
    uses = Uses(tiles, tuple(sorted(needed(tiles))))
    done: set[int] = set()
    begun: set[int] = set()
    found = []
    for at, s in enumerate(whole):
        starts = [uses.added_later(i) for i in s.sums] if s.looped else []
        begun |= {root(tiles, rest[1]) for rest in starts if rest} & done
        after = {a for o in whole[at + 1 :] for i in o.tiles for a in tiles.tiles[i].args if a not in o.tiles}
        after |= {i for o in whole[at + 1 :] for i in o.stored}
        here = {a for i in s.tiles for a in tiles.tiles[i].args}
        used = {root(tiles, i) for i in after | here | s.stored}
        waiting = {i for i in used & done - s.tiles - begun if not along(tiles.tiles[i], loop)} | s.sums
        kept = (after & s.tiles) | s.stored
        order = ordered(tiles, sizes, s.tiles if s.looped else s.tiles - s.sums, kept)
        found.append(_Part(s, order, frozenset(carried | waiting), frozenset(kept)))
        done |= s.tiles
    return found


def _most(tiles: Tiles, parts: list[_Part], spread: Spread) -> float:
    walks = any(tiles.tiles[i].kind is Kind.CARRIED for p in parts for i in p.around)
    most = max((sum(map(spread.of, p.around)) + _peak(tiles, p, spread) for p in parts), default=0.0)
    return most + (WALKING if walks else 0.0)


def _peak(tiles: Tiles, p: _Part, spread: Spread) -> float:
    """The most registers held inside a segment, what an operation needs on the way included."""
    last = {root(tiles, a): at for at, i in enumerate(p.order) for a in (*tiles.tiles[i].args, i)}
    last |= dict.fromkeys([root(tiles, i) for i in p.kept] if not p.segment.looped else [], len(p.order))
    live = most = 0.0
    ends: dict[int, float] = {}
    for at, i in enumerate(p.order):
        held = 0.0 if i in p.around else spread.of(i)
        end = last.get(i, at)
        if tiles.tiles[i].kind in IN_PLACE:
            live -= ends.pop(at, 0.0)
        live += held
        most = max(most, live + spread.extra(i))
        ends[end] = ends.get(end, 0.0) + held
        live -= ends.pop(at, 0.0)
    return most


def registers_of(launch: Launch, sizes: Mapping[str, int]) -> float:
    """The registers of a thread that a parallel kernel's tiles take as it is launched."""
    task, settings = launch.task, launch.settings
    body = body_of(task.program, sizes, frozenset())
    full = {a: block_of(n, body.least) for a, n in sizes.items()}
    warps = settings.warps
    return body.registers({**full, **dict(settings.blocks)}, settings.chunk, task.loop, (warps,))[warps]
