"""How a kernel's statements are divided into loops over an axis and what lies between them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import recurrence_dsl as rd
from recurrence_dsl.emit.triton.loops import Segment, along, cheap, may_loop, segments
from recurrence_dsl.emit.triton.lower import Setting, lower
from recurrence_dsl.emit.triton.order import needed, root
from recurrence_dsl.emit.triton.tiles import PRODUCTS, Kind, Tiles
from recurrence_dsl.emit.triton.uses import Uses
from recurrence_dsl.pipeline import derive, lifted, planned_triton
from recurrence_dsl.program.lower import Known
from recurrence_dsl.program.ops import COL, ROW

SPECS = ("gla", "gated_delta_net", "dplr", "rwkv7", "mamba2", "linear_attention")


def looped(name: str) -> Iterator[tuple[str, Tiles, str, tuple[Segment, ...]]]:
    """The kernels of a spec that may loop over an axis, each with its segments for each such axis."""
    spec = rd.load(name)
    sizes = {d.name: d.default or 64 for d in spec.dims}
    for launch in planned_triton(derive(lifted(spec), Known(sizes, 8), "chunk", None), sizes).launches:
        tiles = lower(launch.task.program, Setting(frozenset((ROW, COL))))
        for axis in (a for a in sizes if may_loop(tiles, a)):
            yield launch.task.name, tiles, axis, segments(tiles, axis)


@pytest.mark.parametrize("name", SPECS)
def test_everything_is_there_once_and_in_time(name: str) -> None:
    """Results are stored once, sums added up in one loop, and what a segment needs is computed in it, or before it
    outside of loops."""
    kernels = 0
    for kernel, tiles, axis, found in looped(name):
        kernels += 1
        stored = [i for s in found for i in s.stored]
        assert sorted(stored) == sorted({r.tile for r in tiles.results}), kernel
        sums = [i for s in found for i in s.sums]
        assert len(sums) == len(set(sums)), kernel
        outside: set[int] = set()
        for s in found:
            for i in s.tiles:
                for a in tiles.tiles[i].args:
                    assert a in outside or (a in s.tiles and a not in s.sums), (kernel, axis, i, a)
            outside |= s.sums if s.looped else s.tiles
    assert kernels > 2


@pytest.mark.parametrize("name", SPECS)
def test_no_result_would_be_cheaper_in_another_loop(name: str) -> None:
    """The products of matrices that a loop computes for one result alone are not all computed in a later loop too,
    which could store it instead."""
    for kernel, tiles, _, found in looped(name):
        loops = [s for s in found if s.looped]
        for at, s in enumerate(loops):
            for i in s.stored:
                own = _products(tiles, s, i) - {p for o in (s.sums | s.stored) - {i} for p in _products(tiles, s, o)}
                for later in loops[at + 1 :]:
                    assert not own or not own <= later.tiles, (kernel, i)


def _products(tiles: Tiles, s: Segment, i: int) -> set[int]:
    """The products of matrices that one of a loop's results needs in each round."""
    found: set[int] = set()
    stack = [i]
    while stack:
        j = stack.pop()
        if j in s.tiles and j not in found and (j == i or j not in s.sums):
            found.add(j)
            stack.extend(tiles.tiles[j].args)
    return {j for j in found if tiles.tiles[j].kind in PRODUCTS}


@pytest.mark.parametrize("name", SPECS)
def test_matrices_are_computed_where_they_are_first_needed(name: str) -> None:
    """What stems from loads alone by a product of matrices, and only later segments use, waits for these, unless a sum
    over blocks begins with it."""
    for kernel, tiles, axis, found in looped(name):
        again, uses = cheap(tiles, needed(tiles)), Uses(tiles, tuple(sorted(needed(tiles))))
        begun = {root(tiles, rest[1]) for s in found for i in s.sums if (rest := uses.added_later(i))}
        results = {r.tile for r in tiles.results} | begun
        for at, s in enumerate(found):
            used = {a for o in (s, *found[at + 1 : at + 2]) for i in o.tiles for a in tiles.tiles[i].args}
            for i in () if s.looped else s.tiles - results - used:
                t = tiles.tiles[i]
                assert not (t.kind is Kind.DOT and all(a in again for a in t.args)), (kernel, axis, i)


@pytest.mark.parametrize("name", ["gated_delta_net", "dplr", "rwkv7"])
def test_products_take_other_products_rounded(name: str) -> None:
    """Each product's result is rounded once, for all products that take it, and no exact one takes the rounded one."""
    rounded = 0
    spec = rd.load(name)
    sizes = {d.name: 64 for d in spec.dims}
    for launch in planned_triton(derive(lifted(spec), Known(sizes, 8), "chunk", None), sizes).launches:
        whole = lower(launch.task.program, Setting(frozenset((ROW, COL))))
        tiles, taken = whole.tiles, sorted(needed(whole))
        copies = [tiles[i].args[0] for i in taken if tiles[i].kind is Kind.ROUND]
        assert len(copies) == len(set(copies))
        rounded += len(copies)
        for t in (tiles[i] for i in taken if tiles[i].kind is Kind.DOT):
            kinds = {tiles[root(whole, a)].kind for a in t.args}
            assert Kind.ROUND not in kinds if t.attr else Kind.DOT not in kinds
    assert rounded > 0


def test_what_does_not_vary_along_the_axis_is_no_round_s_work() -> None:
    """Each tile of a loop varies along the axis, or is one of its sums."""
    for kernel, tiles, axis, found in looped("gated_delta_net"):
        for s in (s for s in found if s.looped):
            assert all(along(tiles.tiles[i], axis) or i in s.sums for i in s.tiles), kernel
