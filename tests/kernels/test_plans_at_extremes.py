"""Every plan but the plain ones: proven as the tuner's candidates are, and with gates from open to shut.

Packed sequences of no token and of one, several rank-one terms, several states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from recurrence_dsl.runtime.tuning.clock import seconds
from recurrence_dsl.runtime.tuning.proof import Call
from recurrence_dsl.runtime.tuning.tuner import CallBench
from recurrence_dsl.schedule import finishing, maker, pressure
from recurrence_dsl.schedule.maker import ROOM

from .compare import Case, assert_agreement, mixers, random_inputs, random_state

TWO_TERMS = """
mixer two_terms
dim K, V
input q, k, p : [K]
input v : [V]
input g : [K] in (-inf, 0]
state S : [K, V] = exp(g) * S[t-1] - 0.1 * k * sum[K](k * S[t-1]) - 0.1 * p * sum[K](p * S[t-1]) + k * v
output o = sum[K](q * S)
"""
TWO_STATES = """
mixer two_states
dim K, V
input q, k, p : [K]
input v : [V]
input g : [K] in (-inf, 0]
input f in (-inf, 0]
let r = sum[K](k * S[t-1])
state S : [K, V] = exp(g) * S[t-1] - 0.2 * k * r + k * v
state R : [K, V] = exp(f) * R[t-1] + p * v
output o = sum[K](q * (S + R))
"""
ENDS = (0, 0, 1, 19)
LONG_KEYS = {"K": 32, "V": 16}
SHORT_STEPS = "fused forward.C=8 forward.LEVELS=3"
PLANS = {
    "prepared": ("prepared", "split"),
    "phases": ("phases", "split"),
    "short steps": (SHORT_STEPS, "split carry.C=8 carry.LEVELS=3"),
    "cached": ("fused", "cached"),
    "segments": ("segments", "segments"),
}


def extreme(x: Tensor) -> Tensor:
    """Gates, which are at most zero, become log-decays from open to shut, side by side in tokens and channels."""
    if not (x <= 0).all() or not x.numel():
        return x
    g = torch.Generator().manual_seed(x.dim())
    return torch.tensor([0.0, -1e-6, -0.5, -50.0, -1e4])[torch.randint(0, 5, x.shape, generator=g)]


@pytest.fixture
def no_state_in_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pressure, "WALKING", 1000.0)
    monkeypatch.setattr(maker, "STRAIGHT", 1000.0)


@pytest.fixture
def few_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device on which no kernel for all gradients fits, but a walk with half of them does."""
    for warps in (4, 8):
        monkeypatch.setitem(ROOM, warps, 50.0)
    monkeypatch.setattr(maker, "STRAIGHT", 50.0)
    monkeypatch.setattr(pressure, "WALKING", 0.0)
    monkeypatch.setattr(finishing, "MISSED", 1e6)


@pytest.mark.parametrize(
    ("text", "plan"),
    [*((TWO_TERMS, plan) for plan in PLANS if plan != "phases"), (TWO_STATES, "phases"), (TWO_STATES, "cached")],
)
def test_gates_from_open_to_shut(text: str, plan: str, no_state_in_registers: None) -> None:
    forward, backward = PLANS[plan]
    ends = () if plan == "segments" else ENDS
    plans = {"FORWARD": forward, "BACKWARD": backward}
    case = Case(text, length=19, batch=1, heads=1, sizes={"K": 3, "V": 2}, ends=ends, plans=plans, prepare=extreme)
    assert set(mixers(case)[0].kernels.PREFERRED) == {"FORWARD", "BACKWARD"}
    assert_agreement(case)


def test_gates_in_a_merged_walk(few_registers: None) -> None:
    plans = {"FORWARD": "fused", "BACKWARD": "merged"}
    case = Case(TWO_TERMS, length=19, batch=1, heads=1, sizes=LONG_KEYS, ends=ENDS, plans=plans, prepare=extreme)
    assert set(mixers(case)[0].kernels.PREFERRED) == {"FORWARD", "BACKWARD"}
    assert_agreement(case)


def proof(case: Case, table: str) -> tuple[CallBench, Any]:
    """What a candidate for a call must pass before it is timed, and the kernels' module."""
    mixer, _ = mixers(case)
    inputs, state = random_inputs(mixer.spec, case), random_state(mixer, case, max(1, len(case.ends) - 1))
    cu = torch.tensor(case.ends) if case.ends else None
    params = [p.detach() for p in mixer.parameters()]
    call = Call(list(inputs.values()), params, list(state.values()), cu, case.heads)
    return CallBench(mixer, mixer.kernels, call, table, seconds), mixer.kernels


def broken(honest: Callable[..., list[Tensor]]) -> Callable[..., list[Tensor]]:
    return lambda *given: [1.01 * x for x in honest(*given)]


@pytest.mark.parametrize(
    ("spec", "table", "choices", "ends"),
    [
        ("gated_delta_net", "FORWARD", ["prepared", "segments", SHORT_STEPS], ()),
        ("gated_delta_net", "FORWARD", ["phases"], ENDS),
        ("gated_delta_net", "BACKWARD", ["cached"], ENDS),
        ("retnet", "BACKWARD", ["segments"], ()),
    ],
)
def test_candidates_are_proven(
    spec: str,
    table: str,
    choices: list[str],
    ends: tuple[int, ...],
    no_state_in_registers: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Against float64, twice, into NaN; and one that is off by a hundredth fails."""
    case = Case(spec, length=19, batch=1, heads=1, sizes={"K": 3, "V": 2}, ends=ends)
    bench, module = proof(case, table)
    for choice in choices:
        assert choice.split()[0] in getattr(module, table)
        assert bench.fault(choice) == "", choice
    name = {"FORWARD": "_run_op", "BACKWARD": "_gradient_op"}[table]
    monkeypatch.setattr(module, name, broken(getattr(module, name)))
    assert "is off by" in bench.fault(choices[0])


def test_a_merged_candidate_is_proven(few_registers: None) -> None:
    bench, module = proof(Case(TWO_TERMS, length=19, batch=1, heads=1, sizes=LONG_KEYS), "BACKWARD")
    assert "merged" in module.BACKWARD
    assert bench.fault("merged") == ""
