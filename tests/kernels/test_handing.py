"""What walks solve for, read by the kernels that finish chunks; here always, however few the bytes that it saves."""

from __future__ import annotations

import pytest
import torch

import recurrence_dsl as rd
from recurrence_dsl.pipeline import derive, lifted, planned_triton
from recurrence_dsl.program.lower import Known
from recurrence_dsl.schedule import triton_plan
from recurrence_dsl.schedule.preparing import stores
from recurrence_dsl.schedule.tasks import TritonPlan

from .compare import Case, assert_agreement, mixers, random_inputs
from .test_plans_at_extremes import ENDS, TWO_TERMS, extreme

READ_FIRST = """
mixer read_first
dim Y, X
input a, b, p : [X]
input u : [Y]
input beta in [0, 1]
input g in (-inf, 0]
let r = sum[X](a * M[t-1])
state M : [Y, X] = exp(g) * (M[t-1] - beta * p * sum[X](p * M[t-1])) + u * b
state N : [Y, X] = exp(0.5 * g) * N[t-1] + (u - r) * p
output o = sum[X](a * M) + r + sum[X](b * N)
"""
PLANS = [("prepared", "split"), ("phases", "split"), ("fused", "split"), ("segments", "segments")]
DELTA = ["delta_net", "gated_delta_net", "kda", "rwkv7", "dplr", TWO_TERMS]


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_plan, "CLEARLY", 1e6)


@pytest.mark.parametrize(("forward", "backward"), PLANS)
@pytest.mark.parametrize("spec", DELTA)
def test_every_gradient(spec: str, forward: str, backward: str, always: None) -> None:
    ends = () if forward == "segments" else (0, 0, 1, 17, 35)
    plans = {"FORWARD": forward, "BACKWARD": backward}
    case = Case(spec, length=35, batch=1, heads=2, ends=ends, plans=plans)
    found = mixers(case)[0].kernels
    assert [row[0][:6] for row in (*found.SOLVED, *found.SOLVED_BACK)] == ["solved", "dsolve"]
    assert_agreement(case)


@pytest.mark.parametrize("length", [0, 1, 16, 40])
def test_a_read_before_the_write_and_a_second_state(length: int, always: None) -> None:
    plans = {"FORWARD": "phases", "BACKWARD": "split"}
    case = Case(READ_FIRST, length=length, batch=2, heads=1, sizes={"Y": 5, "X": 3}, plans=plans)
    assert mixers(case)[0].kernels.SOLVED_BACK
    assert_agreement(case)


def test_gates_from_open_to_shut(always: None) -> None:
    plans = {"FORWARD": "prepared", "BACKWARD": "split"}
    case = Case(TWO_TERMS, length=19, batch=1, heads=1, ends=ENDS, plans=plans, prepare=extreme)
    assert_agreement(case)


def test_a_second_way_back_finds_all_as_it_was(always: None) -> None:
    """Nothing was stored, since states alone are of no use: the walk that solves is made again, twice."""
    case = Case("gated_delta_net", length=35, batch=1, heads=1, plans={"FORWARD": "fused", "BACKWARD": "split"})
    mixer, _ = mixers(case)
    inputs = {n: x.requires_grad_() for n, x in random_inputs(mixer.spec, case).items()}
    out = mixer(**inputs).sum()
    first, second = (torch.autograd.grad(out, list(inputs.values()), retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_forward_pass_alone_stores_nothing(always: None) -> None:
    case = Case("gated_delta_net", length=35, batch=1, heads=1, plans={"FORWARD": "prepared", "BACKWARD": "split"})
    mixer, _ = mixers(case)
    inputs = random_inputs(mixer.spec, case)
    learning = mixer(**{n: x.requires_grad_() for n, x in inputs.items()})
    with torch.no_grad():
        assert torch.equal(mixer(**inputs), learning)


def planned(spec: str, size: int) -> TritonPlan:
    sizes = {"K": size, "V": size}
    recurrence = lifted(rd.load(spec))
    return planned_triton(derive(recurrence, Known(sizes, 8), "chunk", None), sizes)


@pytest.mark.parametrize(
    ("spec", "size", "solved"), [("gated_delta_net", 128, 1), ("delta_net", 128, 1), ("delta_net", 64, 0)]
)
def test_it_is_done_where_it_saves_bytes(spec: str, size: int, solved: int) -> None:
    """At a size of 64 one kernel finishes a chunk of the delta rule without."""
    programs = {x.task.name: x.task.program for x in planned(spec, size).launches}
    for walk in ("forward_prepared", "carry_prepared", "carry_back"):
        assert len(stores(programs[walk])) == solved
    assert not stores(programs["segment_back"])
