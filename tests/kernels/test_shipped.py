"""Every shipped spec: values and gradients on the triton back end are those of the torch back end in float64."""

from __future__ import annotations

import pytest
import torch

from recurrence_dsl.resources import shipped_specs

from .compare import Case, assert_agreement

SPECS = [p.stem for p in shipped_specs()]
SPLIT = {"FORWARD": "split", "BACKWARD": "split"}
FUSED = {"FORWARD": "fused", "BACKWARD": "fused"}


@pytest.mark.parametrize("spec", SPECS)
def test_fused_plan(spec: str) -> None:
    assert_agreement(Case(spec, length=19, batch=1, plans=FUSED))


@pytest.mark.parametrize("spec", SPECS)
def test_split_plan(spec: str) -> None:
    assert_agreement(Case(spec, length=35, batch=1, heads=1, plans=SPLIT))


@pytest.mark.parametrize("spec", SPECS)
def test_recurrent_form(spec: str) -> None:
    assert_agreement(Case(spec, length=3, batch=1, heads=2, form="recurrent"))


@pytest.mark.parametrize("spec", ["gated_delta_net", "kda", "mamba2", "retnet"])
def test_half_precision(spec: str) -> None:
    assert_agreement(Case(spec, length=19, batch=1, heads=1, dtype=torch.float16))
