"""The order of a kernel's statements: operands first, each once, little held at a time, and results stored at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import recurrence_dsl as rd
from recurrence_dsl.emit.triton.lower import Setting, lower
from recurrence_dsl.emit.triton.order import Graph, element_count, needed
from recurrence_dsl.emit.triton.reorder import Search, bettered
from recurrence_dsl.emit.triton.tiles import Kind, Tiles
from recurrence_dsl.emit.triton.uses import Uses
from recurrence_dsl.pipeline import derive, lifted, planned_triton
from recurrence_dsl.program.lower import Known
from recurrence_dsl.program.ops import COL, ROW
from recurrence_dsl.schedule.spread import Spread, kinds_of
from recurrence_dsl.tools.resources import written

SPECS = ("gla", "gated_delta_net", "rebased", "rwkv7")
SIDE, CHUNK, WARPS = 64, 32, 8
STORE = re.compile(r"tl\.store\((?:out|made|d(?!_init))_\w+ \+ .*\), (\w+)(?:, mask=.*)?\)$")
PRODUCT = re.compile(r"\b_(?:dot|dot_exact|product|inverse)\(")


def sizes_of(spec: rd.Spec) -> dict[str, int]:
    return {d.name: d.default or SIDE for d in spec.dims}


def bodies(name: str) -> Iterator[Tiles]:
    spec = rd.load(name)
    sizes = sizes_of(spec)
    plan = planned_triton(derive(lifted(spec), Known(sizes, 8), "chunk", None), sizes)
    for launch in plan.launches:
        carried = frozenset(x for s in spec.states for x in (s.name, f"state:{s.name}"))
        yield lower(launch.task.program, Setting(frozenset((ROW, COL)), carried))


def search_of(tiles: Tiles, sizes: dict[str, int], summands: dict[int, int]) -> Search:
    count = element_count({**sizes, ROW: CHUNK, COL: CHUNK})
    return Search(Graph(tiles, count, needed(tiles), (), summands), Spread(tiles, kinds_of(tiles), count, WARPS))


@pytest.mark.parametrize("name", ["gla", "gated_delta_net", "rebased"])
def test_operands_come_first_and_no_moment_is_fuller_than_before(name):
    sizes = sizes_of(rd.load(name))
    slimmer = 0
    for tiles in bodies(name):
        wanted = needed(tiles)
        summands = Uses(tiles, tuple(sorted(wanted))).summands(wanted)
        search = search_of(tiles, sizes, summands)
        count = element_count({**sizes, ROW: CHUNK, COL: CHUNK})
        costs = Spread(tiles, kinds_of(tiles), count, WARPS)
        order = bettered(tiles, count, wanted, (), summands, costs)
        assert sorted(order) == sorted(wanted)
        place = {i: at for at, i in enumerate(order)}
        assert all(place[a] < place[i] for i in wanted for a in tiles.tiles[i].args)
        for dot, total in summands.items():
            assert tiles.tiles[dot].kind is Kind.DOT
            assert not any(tiles.tiles[i].kind is Kind.DOT for i in order[place[dot] + 1 : place[total]])
        plain = [[n for n in o if not search.waits(n)] for o in (search.graph.onwards(), search.graph.backwards())]
        found = [search.fullness(search.run(o)) for o in plain]
        assert min(found) <= min(map(search.fullness, plain))
        slimmer += min(found) < min(map(search.fullness, plain))
    assert slimmer


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


@pytest.mark.parametrize("name", SPECS)
def test_results_are_stored_before_the_next_product(name):
    spec = rd.load(name)
    lines = written(spec, sizes_of(spec)).text.splitlines()
    stores = [(at, found[1]) for at, line in enumerate(lines) if (found := STORE.search(line))]
    assert len(stores) > 5
    for at, value in stores:
        made = max(i for i in range(at) if re.match(rf"\s*{value} \+?= ", lines[i]))
        between = [x for x in lines[made + 1 : at] if indent(x) <= indent(lines[at])]  # not what shares a loop with it
        assert not any(map(PRODUCT.search, between)), (name, lines[at])


TWO_KEYS = """mixer two_keys
dim A = 16
dim B = 16
dim D
input x : [A]
input y : [B]
input z : [D]
input g in [0.1, 1]
state S : [A, B, D] = {decay}S[t-1] + x * y * z
output o = sum[A, B](x * y * S)
"""


@pytest.mark.parametrize("decay", ["", "g * "])
def test_a_state_with_two_dims_in_products_stays_flat(decay):
    """It is laid out anew where it is stored and, if something else is done to it, where that is done."""
    text = written(rd.load(TWO_KEYS.format(decay=decay)), {"A": 16, "B": 16, "D": SIDE}).text
    body = text.split("def forward_kernel")[1].split("@triton.jit")[0]
    again = [line.strip() for line in body.splitlines() if "tl.reshape(now_S" in line]
    assert bool([line for line in again if not line.startswith("tl.store")]) == bool(decay)
    assert re.search(r"_dot\(.*, now_S\)" if not decay else r"tl\.reshape", body)


WALK = re.compile(r"( +)for level in tl\.range\(0, LEVELS.*\n((?:\1 +.*\n)+)")
GROWN = re.compile(r"^ +(\w+) \+= e \* _dot\(", re.MULTILINE)


@pytest.mark.parametrize("name", ["dplr", "rwkv7"])
def test_what_levels_give_one_sum_has_one_accumulator(name):
    spec = rd.load(name)
    text = written(spec, sizes_of(spec)).text
    assert ", _dot(tl.where(" in text  # one product is added to another
    for kernel in text.split("@triton.jit"):
        for found in WALK.finditer(kernel):
            names = set(GROWN.findall(found[2]))
            rest = kernel[found.end() :].split("for ")[0]
            sums = re.findall(r"(?<![*/] )\b(\w+) \+ (\w+)\b(?! [*/])", rest)
            assert not [x for x in sums if x[0] in names and x[1] in names], names


def test_a_sum_over_blocks_begins_with_what_it_is_added_to():
    """The first two loops of rwkv7 have a product for each of three sums, and two of these a start."""
    text = written(rd.load("rwkv7"), {"K": SIDE, "V": SIDE}).text
    body = text[text.index("def finish_back_kernel") :]
    first, second = (x.split("\n    x")[0] for x in body.split("for start_K in")[1:3])
    assert len(PRODUCT.findall(first)) + len(PRODUCT.findall(second)) == 3
    before = body[: body.index("for start_K in", body.index("for start_K in") + 1)]
    begun = [x for x in re.findall(r"^    (x\d+) = (x\d+)$", before, re.MULTILINE) if f" {x[0]} = _dot(" in second]
    assert len(begun) == 2
    for total, _ in begun:
        assert re.search(rf"^        {total} = _dot\(.*, {total}\)$", second, re.MULTILINE)
