"""Kernels that go through an axis block by block, as they do for large states, here at small sizes."""

from __future__ import annotations

from collections.abc import Iterator

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


@pytest.mark.parametrize("spec", ["rwkv7", "dplr", "kda", "gla", "gated_delta_net", "linear_attention", NORMS])
def test_every_gradient(spec: str, loops: None) -> None:
    sizes = {"A": 32, "B": 32} if spec == NORMS else {"K": 32, "V": 32}
    plans = {"FORWARD": "phases" if spec != "linear_attention" else "split", "BACKWARD": "split"}
    case = Case(spec, length=19, batch=1, heads=2, sizes=sizes, plans=plans)
    module = mixers(case)[0].kernels
    blocks = {n for n, settings in module.SETTINGS.items() if any(settings.get(f"B_{a}", 32) < 32 for a in sizes)}
    assert any(name.startswith("finish_back") for name in blocks)
    assert_agreement(case)
