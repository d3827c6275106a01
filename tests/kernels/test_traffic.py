"""The model of a plan's bytes against the tensors that its launches are given, and against what is to be reached."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import recurrence_dsl as rd
from recurrence_dsl.pipeline import derive, lifted, planned_triton
from recurrence_dsl.program.lower import Known
from recurrence_dsl.schedule import pressure, triton_plan
from recurrence_dsl.schedule.tasks import TritonPlan
from recurrence_dsl.schedule.traffic import Traffic, movements, plan_traffic

from .compare import Case, everything, mixers, random_inputs, random_state

MOVED = ("in_", "out_", "grad_", "d_", "kept_", "made_")
NOT_A_TENSOR = ("_b", "_t", "_h")
PER_SEQUENCE = ("grad_end_", "d_init_")


def plan_of(case: Case) -> tuple[TritonPlan, dict[str, int]]:
    spec = rd.load(case.spec)
    sizes = {d.name: case.sizes[d.name] for d in spec.dims}
    return planned_triton(derive(lifted(spec), Known(sizes, case.heads), "chunk", case.chunk), sizes), sizes


@pytest.mark.parametrize(
    ("spec", "forward", "backward"),
    [("gla", "split", "split"), ("gated_delta_net", "fused", "split"), ("mamba2", "split", "split"),
     ("retnet", "fused", "fused"), ("gla", "phases", "split"), ("dplr", "prepared", "split"),
     ("gated_delta_net", "prepared", "cached"), ("mamba2", "fused", "cached"),
     ("gla", "segments", "split"), ("gated_delta_net", "segments", "split"),
     ("rwkv7", "prepared", "split"), ("rwkv7", "phases", "split"), ("linear_attention", "split", "split")],
)  # fmt: skip
def test_launches_are_given_what_the_model_counts(
    spec: str, forward: str, backward: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole chunks, so that every tensor's bytes for a token and head are exact."""
    if backward == "cached":  # registers that hold no state
        monkeypatch.setattr(pressure, "WALKING", 1000.0)
    if spec == "rwkv7":  # what walks solve for is handed on
        monkeypatch.setattr(triton_plan, "CLEARLY", 1e6)
    case = Case(spec, length=32, batch=1, heads=2, plans={"FORWARD": forward, "BACKWARD": backward})
    plan, sizes = plan_of(case)
    mixer, _ = mixers(case)
    given: dict[str, dict[str, float]] = {}
    keeping: dict[str, bool] = {}

    def watched(call: Any, name: str, keep: bool = False) -> None:
        keeping[name] = keep or name not in mixer.kernels.KEEPING
        none = PER_SEQUENCE if keeping[name] else (*PER_SEQUENCE, "kept_")  # a tensor that it is given for nothing
        names = (n for n in mixer.kernels.KERNELS[name][1] if n.startswith(MOVED) and not n.startswith(none))
        given[name] = {
            n: x.numel() * x.element_size() / (case.length * case.heads)
            for n in names if isinstance(x := call.args[n], torch.Tensor)
            and not n.removeprefix("d_").endswith(tuple(p.name for p in mixer.spec.params))
        }  # fmt: skip
        launch(call, name, keep)

    launch = mixer.kernels._Call.launch
    monkeypatch.setattr(mixer.kernels._Call, "launch", watched)
    everything(mixer, random_inputs(mixer.spec, case), random_state(mixer, case, 1), ())
    sharing = case.heads if any(i.per_group for i in mixer.spec.inputs) else 1
    launches = {x.task.name: x for x in plan.launches}
    assert dict(plan.backward)[backward][-1] in given
    for name, tensors in given.items():
        counted = movements(mixer.spec, launches[name], sizes, "float32", sharing, keeping[name])
        assert {m.tensor: m.bytes for m in counted} == pytest.approx(tensors), name
    (whole,) = (t.moved for t in plan_traffic(mixer.spec, plan, sizes, "float32", sharing)[0] if t.name == forward)
    assert whole == pytest.approx(sum(sum(given[name].values()) for name in dict(plan.forward)[forward]))


def traffic(spec: str) -> tuple[tuple[Traffic, ...], tuple[Traffic, ...]]:
    """All plans for K = V = 128 in bfloat16."""
    plan, sizes = plan_of(Case(spec, sizes={"K": 128, "V": 128}, chunk=None))  # type: ignore[arg-type]
    return plan_traffic(rd.load(spec), plan, sizes)


@pytest.mark.parametrize(
    ("spec", "plan", "most"),
    [("retnet", "fused", 1700), ("mamba2", "fused", 1700), ("gla", "fused", 3100), ("gla", "prepared", 3100),
     ("gated_delta_net", "prepared", 2600)],
)  # fmt: skip
def test_forward_bytes_for_a_token_and_head(spec: str, plan: str, most: float) -> None:
    """Even while all is stored for the backward pass, a walk stays below what is to be reached."""
    (onwards,) = (t for t in traffic(spec)[0] if t.name == plan)
    assert onwards.least <= onwards.moved <= most


@pytest.mark.parametrize(
    ("spec", "most"), [("retnet", 5200), ("mamba2", 5200), ("gla", 6000), ("gated_delta_net", 4000)]
)
def test_backward_bytes_for_a_token_and_head(spec: str, most: float) -> None:
    """With what a forward pass has stored: the states, and what it prepared if a plan cannot do without."""
    kept = [t for t in traffic(spec)[1] if t.name.endswith(" kept")]
    back = min(kept, key=lambda t: t.moved)
    assert back.least <= back.moved <= most
