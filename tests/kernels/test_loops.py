"""Kernels that go through an axis block by block, as they do for large states, here at small sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recurrence_dsl.program.ops import Program
from recurrence_dsl.schedule.maker import Choice, Maker
from recurrence_dsl.schedule.tasks import Walk

from .compare import Case, assert_agreement, mixers

NORMS = """
mixer norms
dim A, B
input x, y, z : [A]
input u : [B]
input c
decay w = exp(-softplus(z))
let e = l2norm[A](y)
let r = l2norm[A](x) + 0.1 * c
state S : [A, B] = w * S[t-1] - 0.7 * e * sum[A](e * S[t-1]) + y * (u + c)
output o = sum[A](r * S) + c * u
"""
"""Norms along the axis of the loops, a second loop that needs them, and sums with numbers a token."""


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kernel that may go through an axis block by block does."""
    choices = Maker.choices

    def looped(self: Maker, program: Program, walk: Walk, chunks: tuple[int, ...]) -> Iterator[Choice]:
        found = list(choices(self, program, walk, chunks))
        return iter([c for c in found if c.loop] or found)

    monkeypatch.setattr(Maker, "choices", looped)


SPECS = ["rwkv7", "dplr", "kda", "gla", "gated_delta_net", "linear_attention", NORMS]


def case_of(spec: str) -> Case:
    sizes = {"A": 32, "B": 32} if spec == NORMS else {"K": 32, "V": 32}
    plans = {"FORWARD": "phases" if spec != "linear_attention" else "split", "BACKWARD": "split"}
    return Case(spec, length=19, batch=1, heads=2, sizes=sizes, plans=plans)


@pytest.mark.parametrize("spec", SPECS)
def test_every_gradient(spec: str, loops: None) -> None:
    case = case_of(spec)
    settings = mixers(case)[0].kernels.SETTINGS
    blocks = {n for n, own in settings.items() if any(own.get(f"B_{a}", 32) < 32 for a in case.sizes)}
    assert any(name.startswith("finish_back") for name in blocks)
    assert_agreement(case)


@pytest.mark.parametrize("spec", ["rwkv7", "gated_delta_net", NORMS])
def test_holding_less(spec: str, loops: None) -> None:
    """With loads in every round, and decays computed once more."""
    case = case_of(spec)
    module = mixers(case)[0].kernels
    plans = {}
    for table, plan in case.plans.items():
        sparing = [k for k in getattr(module, table)[plan] if "SPARING" in module.SETTINGS[k]]
        plans[table] = " ".join((plan, *(f"{kernel}.SPARING=2" for kernel in sparing)))
    assert "finish_back.SPARING=2" in plans["BACKWARD"]
    assert "_again = " in Path(str(module.__file__)).read_text()
    assert_agreement(replace(case, plans=plans))
