"""Plans that large sizes ask for, tried on small ones: finishing kernels apart, merged into a walk, and kept states."""

from __future__ import annotations

import pytest

from recurrence_dsl.schedule import finishing, maker, pressure
from recurrence_dsl.schedule.maker import ROOM

from .compare import Case, assert_agreement, mixers

SPLIT = {"FORWARD": "split", "BACKWARD": "split"}
MERGED = {"FORWARD": "fused", "BACKWARD": "merged"}
SIZES = {"K": 16, "V": 32}


@pytest.fixture
def small_register_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device on which no kernel for all gradients fits."""
    for warps in (4, 8):
        monkeypatch.setitem(ROOM, warps, 25.0)
    monkeypatch.setattr(maker, "STRAIGHT", 25.0)
    monkeypatch.setattr(pressure, "WALKING", 0.0)
    monkeypatch.setattr(finishing, "MISSED", 1e6)


@pytest.mark.parametrize("plans", [SPLIT, MERGED])
def test_two_finishing_kernels(plans: dict[str, str], small_register_file: None) -> None:
    case = Case("retnet", length=35, batch=1, heads=2, sizes=SIZES, plans=plans)
    kernels = mixers(case)[0].kernels
    assert len(kernels.BACKWARD["split"]) == 4
    assert "merged" in kernels.BACKWARD
    assert_agreement(case)


def test_shares_in_one_of_two_kernels(small_register_file: None) -> None:
    case = Case("mamba2", length=20, batch=1, heads=2, groups=1, sizes=SIZES, plans=SPLIT)
    assert_agreement(case)


def test_an_axis_that_stands_for_another_one_is_not_divided(small_register_file: None) -> None:
    """`k[K -> J]` lies whole in the registers of each instance, whatever part of J is its own."""
    case = Case("rebased", length=18, batch=1, heads=1, sizes={"K": 16, "J": 16, "V": 32}, plans=SPLIT)
    module = mixers(case)[0].kernels
    assert not [name for name, settings in module.SETTINGS.items() if settings.get("B_J", 16) < 16]
    assert_agreement(case)


@pytest.mark.parametrize(("spec", "sizes"), [("gateloop", {"K": 32, "V": 32}), ("selective_scan", {"V": 32, "N": 32})])
def test_walks_divided_along_every_axis(spec: str, sizes: dict[str, int], small_register_file: None) -> None:
    """Where nothing is summed over, each part of an axis needs the whole of a cotangent that lacks it. Without products
    of matrices a walk may also go by fewer tokens than these take."""
    plans = {"FORWARD": "fused", "BACKWARD": "split"}
    case = Case(spec, length=9, batch=1, heads=1, ends=(0, 1, 9), sizes=sizes, chunk=None, plans=plans)
    settings = mixers(case)[0].kernels.SETTINGS
    assert all(settings["carry_back"][f"B_{a}"] < size for a, size in sizes.items())
    assert max(settings[name]["C"] for name in ("forward", "carry_back")) < 16
    assert_agreement(case)


@pytest.mark.parametrize("spec", ["gated_delta_net", "hgrn"])
def test_states_kept_by_the_fused_kernel(spec: str) -> None:
    case = Case(spec, length=35, batch=1, heads=1, plans={"FORWARD": "fused", "BACKWARD": "split"})
    assert "forward" in mixers(case)[0].kernels.KEEPING
    assert_agreement(case)


@pytest.mark.parametrize("spec", ["gated_delta_net", "gla", "mamba2"])
@pytest.mark.parametrize("ends", [(), (0, 0, 1, 16, 50)])
def test_walks_in_parts_of_a_chunk(spec: str, ends: tuple[int, ...]) -> None:
    """Kernels that walk in steps of 8 tokens store the states that kernels for chunks of 16 read; those that read what
    is prepared for chunks keep to these."""
    small = lambda name: f"{name}.C=8 {name}.LEVELS=3"  # noqa: E731
    back = ("carry",) if spec == "gated_delta_net" else ("carry", "carry_back")
    plans = {"FORWARD": f"fused {small('forward')}", "BACKWARD": " ".join(("split", *map(small, back)))}
    assert_agreement(Case(spec, length=50, batch=1, heads=1, ends=ends, plans=plans))


PREPARED = [
    {"FORWARD": "prepared", "BACKWARD": "split"},
    {"FORWARD": "phases", "BACKWARD": "merged"},
    {"FORWARD": "fused", "BACKWARD": "fused"},
    {"FORWARD": "fused", "BACKWARD": "split"},
]


@pytest.mark.parametrize("plans", PREPARED)
@pytest.mark.parametrize("spec", ["gated_delta_net", "gla", "dplr"])
@pytest.mark.parametrize("ends", [(), (0, 0, 1, 16, 35)])
def test_what_is_prepared(spec: str, ends: tuple[int, ...], plans: dict[str, str]) -> None:
    """An inverse, scores, and both, kept from the forward pass or prepared again."""
    case = Case(spec, length=35, batch=1, heads=1, ends=ends, plans=plans)
    assert "prepare" in mixers(case)[0].kernels.FORWARD["phases"]
    assert_agreement(case)


@pytest.mark.parametrize("length", [0, 1])
def test_what_is_prepared_for_next_to_nothing(length: int) -> None:
    assert_agreement(Case("gated_delta_net", length=length, batch=1, heads=1, plans=PREPARED[1]))
