"""`explain --backend triton --stage schedule` prints what each plan moves beside the least that any kernel must."""

from __future__ import annotations

import re

import recurrence_dsl as rd
from recurrence_dsl.tools.explain import explain_stage


def test_every_plan_has_its_flops_and_bytes():
    text = explain_stage(rd.load("retnet"), "schedule", 4, {"K": 128, "V": 128}, "triton")
    rows = re.findall(r"^  (forward|backward), ([\w, ]*\w) +([\d,]+) +([\d,]+) +([\d,]+)$", text, re.MULTILINE)
    costs = {(way, plan): tuple(int(n.replace(",", "")) for n in numbers) for way, plan, *numbers in rows}
    for way in ("forward", "backward"):
        (listed,) = re.findall(rf"^{way}: (.*)$", text, re.MULTILINE)
        assert set(re.findall(r"(\w+) \(", listed)) <= {plan for w, plan in costs if w == way}
    tensor, states = 2 * 128, 2 * 128 * 128 // 64  # bytes of a token's row, and of a state once a chunk
    for (way, _), (flops, moved, least) in costs.items():
        assert least == (4 * tensor if way == "forward" else 7 * tensor)  # q k v o; q k v do dq dk dv
        assert moved >= least
        assert flops >= 4 * 128 * 128  # a state is written and read
    carry, finish = 2 * tensor + states, 4 * tensor + states  # k v, the states; q k v o, the states
    assert costs["forward", "split"][1] == carry + finish


def test_the_plans_taken_without_a_measurement():
    text = explain_stage(rd.load("gated_delta_net"), "schedule", 16, {"K": 128, "V": 128}, "triton")
    few = "with few sequences and heads"
    assert f"\nunmeasured: forward prepared (phases {few}), backward cached (split {few})\n" in text
    text = explain_stage(rd.load("retnet"), "schedule", 16, {"K": 64, "V": 64}, "triton")
    assert f"\nunmeasured: forward fused (split {few}), backward split\n" in text


def test_states_larger_than_a_tile_of_all_tokens_have_the_shortest_chunks():
    text = explain_stage(rd.load("gateloop"), "schedule", 1, {"K": 128, "V": 128}, "triton")
    assert re.search(r"^  finish +parallel +16 ", text, re.MULTILINE)
