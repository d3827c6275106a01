"""The walk back that leaves the states' gradients in memory between chunks, where registers hold no state."""

from __future__ import annotations

import re

import pytest

from recurrence_dsl.program.ops import Program
from recurrence_dsl.schedule import maker, pressure
from recurrence_dsl.schedule.maker import ROOM, Choice, Maker
from recurrence_dsl.schedule.tasks import Walk

from .compare import Case, assert_agreement, mixers

CACHED = {"FORWARD": "fused", "BACKWARD": "cached"}
READ = {"FORWARD": "phases", "BACKWARD": "cached"}
SPECS = ["gated_delta_net", "gla", "retnet", "rwkv6", "rwkv7", "gated_slots", "lru"]
"""An inverse, scores, neither, a param along K, other transitions' keys, several states, and complex numbers."""


@pytest.fixture(autouse=True)
def registers_hold_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pressure, "WALKING", 1000.0)
    monkeypatch.setattr(maker, "STRAIGHT", 1000.0)


@pytest.mark.parametrize("spec", SPECS)
def test_every_gradient(spec: str) -> None:
    """Packed sequences of no token, of one, of a whole chunk, and of two with a short one at the end."""
    case = Case(spec, length=35, batch=1, heads=1, ends=(0, 0, 1, 17, 35), plans=CACHED)
    assert mixers(case)[0].kernels.BACKWARD["cached"][-1] == "gradient"
    assert_agreement(case)


@pytest.mark.parametrize("length", [0, 1, 16, 33])
@pytest.mark.parametrize("plans", [CACHED, READ])
def test_lengths(length: int, plans: dict[str, str]) -> None:
    """An even and an odd number of chunks end in either of the two places."""
    assert_agreement(Case("gated_delta_net", length=length, batch=2, heads=1, plans=plans))


@pytest.mark.parametrize("sparing", [0, 2])
@pytest.mark.parametrize("spec", ["gated_delta_net", "rwkv6", "mamba2"])
def test_a_loop_over_an_axis(spec: str, sparing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an instance cannot hold at once it goes through block by block, but not along a param's gradient; and it
    may load again what it would hold from block to block."""
    choices = Maker.choices

    def looped(self: Maker, program: Program, walk: Walk, chunks: tuple[int, ...]) -> list[Choice]:
        found = list(choices(self, program, walk, chunks))
        return [c for c in found if c.loop] or found

    for warps in (4, 8):
        monkeypatch.setitem(ROOM, warps, 1000.0)
    monkeypatch.setattr(Maker, "choices", looped)
    sizes = {"K": 32, "V": 32, "M": 32, "N": 32}
    plans = {**CACHED, "BACKWARD": f"cached gradient.SPARING={sparing}"}
    case = Case(spec, length=35, batch=1, heads=1, sizes=sizes, plans=plans)
    loops = set(mixers(case)[0].kernels.SETTINGS["gradient"]) & {f"B_{a}" for a in sizes}
    assert len(loops) == 1
    assert spec != "rwkv6" or loops == {"B_V"}
    assert_agreement(case)


def test_threads_wait_for_what_others_have_stored() -> None:
    """No test without a GPU sees a race: a barrier must follow what is stored before the walk and at each chunk's end,
    and no chunk's loads may be started while the one before is at work."""
    kernels = mixers(Case("gated_delta_net", plans=CACHED))[0].kernels
    with open(str(kernels.__file__)) as file:
        (text,) = re.findall(r"def gradient_kernel\(.*?(?=\n\n\n)", file.read(), re.DOTALL)
    before, walk = re.split(r"\n    for step in (?=tl)", text)
    chunk = [line for line in walk.splitlines() if line.startswith("        ")]
    after = walk[walk.index(chunk[-1]) + len(chunk[-1]) :]
    assert walk.startswith("tl.range(0, tl.cdiv(length, C), disable_licm=True, num_stages=1):")
    assert chunk[-1] == "        tl.debug_barrier()"
    assert before.index("tl.store(held_S + at_begin_S") < before.index("\n    tl.debug_barrier()\n")
    assert "tl.load(held_S + at_left_S" in after
    assert "held_S + at_next_S" not in before + after
