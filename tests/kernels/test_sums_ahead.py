"""Sums that a walk back needs of each chunk alone: formed ahead of it, so that it can be divided."""

from __future__ import annotations

import pytest
import torch

from .compare import Case, assert_agreement, mixers, random_inputs

DECAYED = """
mixer decayed
dim A, B
input x, y : [A]
input u : [B]
input g in (-inf, 0]
input f in (-inf, 0]
state S : [A, B] = exp(g) * S[t-1] + y * u
state n : [A] = exp(f) * n[t-1] + y * y
output o = sum[A](x * S) / (sum[A](x * x * n) + 0.01)
"""
"""A state that lacks the divided axis, with a decay of its own."""
TURNED = """
mixer turned
dim A, B
input x, y : [A]
input u, w : [B]
state S : [A, B] = 0.9 * S[t-1] + y * u
state m : [B] = m[t-1] + u * u
output o = sum[B](w * S) / (sum[B](w * w * m) + 1)
"""
"""What is read along the other axis can be divided along that one."""


@pytest.mark.parametrize(("forward", "backward"), [("split", "split"), ("segments", "segments")])
@pytest.mark.parametrize(
    ("spec", "axis", "sizes"),
    [("linear_attention", "V", {"K": 5, "V": 32}), ("rebased", "V", {"K": 4, "J": 4, "V": 32}),
     (TURNED, "A", {"A": 32, "B": 5})],
)  # fmt: skip
def test_a_walk_is_divided(spec: str, axis: str, sizes: dict[str, int], forward: str, backward: str) -> None:
    ends = () if forward == "segments" else (0, 0, 1, 17, 35)
    parts = " ".join(f"{walk}.B_{axis}=16" for walk in ("carry_back", "segment_back"))
    plans = {"FORWARD": forward, "BACKWARD": f"{backward} {parts}"}
    case = Case(spec, length=35, batch=1, heads=2, sizes=sizes, ends=ends, plans=plans)
    module = mixers(case)[0].kernels
    assert "sums_back" in module.BACKWARD[backward]
    assert all(axes == () and exact for _, _, exact, axes in module.SUMMED)  # a number for each token
    assert_agreement(case)


@pytest.mark.parametrize("length", [0, 1, 16, 23])
def test_a_normaliser_that_decays(length: int) -> None:
    case = Case(DECAYED, length=length, batch=2, heads=1, sizes={"A": 4, "B": 16})
    assert_agreement(case)


@pytest.mark.parametrize("spec", ["gla", "gated_delta_net", "retnet", "gated_slots"])
def test_nothing_is_formed_ahead_where_it_would_divide_nothing(spec: str) -> None:
    module = mixers(Case(spec))[0].kernels
    assert "sums_back" not in module.KERNELS
    assert not module.SUMMED


def test_a_second_way_back_gives_the_same_bits() -> None:
    plans = {"FORWARD": "split", "BACKWARD": "split carry_back.B_V=16"}
    case = Case("linear_attention", length=35, batch=1, heads=1, sizes={"K": 5, "V": 32}, plans=plans)
    mixer, _ = mixers(case)
    inputs = {n: x.requires_grad_() for n, x in random_inputs(mixer.spec, case).items()}
    out = mixer(**inputs).sum()
    first, second = (torch.autograd.grad(out, list(inputs.values()), retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
