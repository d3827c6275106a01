"""A sequence cut in segments: values and gradients are those of the torch back end in float64."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from recurrence_dsl.maths.recurrence import Recurrence
from recurrence_dsl.runtime import kernels, mixer
from recurrence_dsl.runtime.choices import Choices

from .compare import Case, assert_agreement, mixers

SEGMENTS = {"FORWARD": "segments", "BACKWARD": "segments"}
build = kernels.build


@pytest.fixture
def segment(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Segments of so many tokens, whatever the device."""
    size = {"tokens": 32}

    def cut(recurrence: Recurrence, choices: Choices) -> ModuleType:
        module = build(recurrence, choices)
        monkeypatch.setattr(module, "SEGMENT", size["tokens"], raising=False)
        return module

    monkeypatch.setattr(mixer, "build", cut)
    return size


@pytest.mark.parametrize("spec", ["retnet", "gla", "gated_delta_net"])
def test_two_chunks_a_segment(spec: str, segment: dict[str, int]) -> None:
    assert "segments" in mixers(Case(spec))[0].kernels.FORWARD
    assert_agreement(Case(spec, length=70, batch=2, heads=1, plans=SEGMENTS))


def test_complex_states(segment: dict[str, int]) -> None:
    segment["tokens"] = 16
    assert_agreement(Case("lru", length=20, batch=1, heads=1, plans=SEGMENTS))


@pytest.mark.parametrize("length", [0, 1, 32, 33])
def test_lengths_around_a_segment(length: int, segment: dict[str, int]) -> None:
    assert_agreement(Case("delta_net", length=length, batch=1, heads=1, plans=SEGMENTS))


def test_more_columns_than_rows(segment: dict[str, int]) -> None:
    """The transition is a matrix over K whatever V is."""
    assert_agreement(Case("delta_net", length=40, batch=1, heads=1, sizes={"K": 3, "V": 18}, plans=SEGMENTS))


def test_packed_sequences_are_cut_no_further(segment: dict[str, int]) -> None:
    assert_agreement(Case("retnet", length=40, batch=1, heads=1, ends=(0, 5, 40), plans=SEGMENTS))


def test_several_states(segment: dict[str, int]) -> None:
    assert_agreement(Case("gated_slots", length=34, batch=1, heads=1, plans=SEGMENTS))


FED = """
mixer fed
dim    K, V
input  q, k : [K]
input  v : [V]
state  A : [K, V] = A[t-1] + k * v
let    r = sum[K](q * A)
state  B : [K, V] = B[t-1] + k * r
output o = sum[K](q * B)
"""
SHIFTED = """
mixer shifted
dim    K, V
input  q, k : [K]
input  v : [V]
state  S : [K, V] = S[t-1] + (k + k[t-1]) * v
output o = sum[K](q * S)
"""


@pytest.mark.parametrize("text", [FED, SHIFTED])
def test_specs_whose_segments_do_not_compose(text: str) -> None:
    """A state that another one's read feeds, and one that a value before the segment reaches."""
    assert "segments" not in mixers(Case(text, heads=1))[0].kernels.FORWARD


def test_few_sequences_of_many_tokens_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device of 132 processors: 2 heads and 32,768 tokens, but neither many heads nor a short prompt."""
    module = mixers(Case("retnet", chunk=64, sizes={"K": 64, "V": 64}))[0].kernels
    monkeypatch.setattr(module, "_processors", lambda device: 132)
    rows = lambda batch, length, heads: [torch.empty((batch, length, heads, 64), device="meta")] * 3  # noqa: E731
    assert module.plan_by_rule("FORWARD", rows(1, 32_768, 2), None, 2) == "segments"
    assert module.plan_by_rule("FORWARD", rows(16, 2048, 16), None, 16) == "fused"
    assert module.plan_by_rule("FORWARD", rows(1, 256, 2), None, 2) == "split"
    _, bounds, count = module._cut([torch.empty((1, 32_768, 1, 1))], 2)
    assert 32 <= count <= 264
    assert bounds[-1] == 32_768


@pytest.mark.parametrize(
    ("heads", "plan"),
    [(98, "split"), (99, "cached"), (132, "cached"), (133, "split"), (197, "split"), (198, "cached"), (999, "cached")],
)
def test_one_walk_back_where_it_keeps_processors_busy(heads: int, plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device of 132 processors three quarters of them in every round, one for each sequence and head."""
    module = mixers(Case("retnet", chunk=64, sizes={"K": 128, "V": 128}))[0].kernels
    monkeypatch.setattr(module, "_processors", lambda device: 132)
    rows = [torch.empty((1, 512, heads, 128), device="meta")] * 3
    assert module.plan_by_rule("BACKWARD", rows, None, heads) == plan
