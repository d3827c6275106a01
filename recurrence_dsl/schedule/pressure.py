"""How many numbers a kernel holds at once, for given blocks: an estimate from the order in which it computes its
tiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..emit.triton.loops import Segment, along, may_loop, segments
from ..emit.triton.lower import Setting, lower
from ..emit.triton.order import Sizes, element_count, held_numbers, needed, ordered, root
from ..emit.triton.tiles import PAIRWISE, PRODUCTS, Kind, Tiles
from ..program.ops import COL, ROW, Program
from .tasks import Launch


@dataclass(frozen=True, slots=True)
class Body:
    """A kernel's tiles, ready to be estimated for many choices of blocks. `least` is the smallest block of an axis."""

    tiles: Tiles
    least: int

    def loops(self, axis: str) -> bool:
        return may_loop(self.tiles, axis)

    def held(self, blocks: Mapping[str, int], chunk: int, loop: str | None) -> int:
        """The most numbers held at once when each axis has the given block and one of them may be looped over."""
        return _held(self.tiles, element_count({**blocks, ROW: chunk, COL: chunk}), loop)


def body_of(program: Program, sizes: Mapping[str, int], carried: frozenset[str]) -> Body:
    """The tiles of a kernel for a slice of a program; `carried` are the leaves that stay in registers."""
    tiles = lower(program, Setting(frozenset({ROW, COL, *sizes}), carried))
    products = any(tiles.tiles[i].kind in (Kind.DOT, *PAIRWISE) for i in needed(tiles))
    least = 16 if products else 1
    masked = frozenset(a for a, n in sizes.items() if block_of(n, least) != n)
    return Body(lower(program, Setting(masked | {ROW, COL}, carried)), least)


def block_of(size: int, least: int = 16) -> int:
    """The smallest power of two that holds an axis."""
    return max(least, 1 << (size - 1).bit_length())


def _held(tiles: Tiles, sizes: Sizes, loop: str | None) -> int:
    parts = segments(tiles, loop)
    registers = sum(held_numbers(tiles.tiles[i], sizes) for i in needed(tiles) if tiles.tiles[i].kind is Kind.CARRIED)
    done: set[int] = set()
    worst = 0
    for at, s in enumerate(parts):
        after = {a for o in parts[at + 1 :] for i in o.tiles for a in tiles.tiles[i].args if a not in o.tiles}
        after |= {i for o in parts[at + 1 :] for i in o.stored}
        here = {a for i in s.tiles for a in tiles.tiles[i].args}
        used = {root(tiles, i) for i in after | here | s.stored}
        waiting = {i for i in used & done - s.tiles if not along(tiles.tiles[i], loop)} | s.sums
        base = registers + sum(held_numbers(tiles.tiles[i], sizes) for i in waiting)
        worst = max(worst, base + _peak(tiles, s, sizes, after))
        done |= s.tiles
    return worst


def _peak(tiles: Tiles, s: Segment, sizes: Sizes, after: set[int]) -> int:
    """The most numbers held inside a segment, what an operation needs on the way included."""
    kept = (after & s.tiles) | s.stored
    order = ordered(tiles, sizes, s.tiles - s.sums if not s.looped else s.tiles, kept)
    last = {root(tiles, a): at for at, i in enumerate(order) for a in (*tiles.tiles[i].args, i)}
    last |= dict.fromkeys([root(tiles, i) for i in kept] if not s.looped else [], len(order))
    live = most = 0
    ends: dict[int, int] = {}
    for at, i in enumerate(order):
        t = tiles.tiles[i]
        held = 0 if t.kind is Kind.CARRIED else held_numbers(t, sizes)
        live += held
        most = max(most, live + _extra(tiles, i, sizes))
        end = last.get(i, at)
        ends[end] = ends.get(end, 0) + held
        live -= ends.pop(at, 0)
    return most


def _extra(tiles: Tiles, i: int, sizes: Sizes) -> int:
    """Numbers that an operation holds besides its operands and its result."""
    t = tiles.tiles[i]
    if t.kind in PAIRWISE:
        return 4 * sizes(tiles.tiles[t.args[2]].dims)
    if t.kind in PRODUCTS:
        return sizes(t.dims)
    return 0


def held_by(launch: Launch, sizes: Mapping[str, int]) -> int:
    """The most numbers that a parallel kernel holds as it is launched."""
    task, settings = launch.task, launch.settings
    body = body_of(task.program, sizes, frozenset())
    full = {a: block_of(n, body.least) for a, n in sizes.items()}
    return body.held({**full, **dict(settings.blocks)}, settings.chunk, task.loop)
