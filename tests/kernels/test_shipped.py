"""Every shipped spec: values and gradients on the triton back end are those of the torch back end in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from recurrence_dsl.resources import shipped_specs

from .compare import Case, assert_agreement, mixers

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
def test_every_other_plan(spec: str) -> None:
    """What is prepared in kernels of its own, walks that also finish, and segments, each where there are such plans."""
    case = Case(spec, length=19, batch=1, heads=1, chunk=16)
    module = mixers(case)[0].kernels
    forward, backward = (
        [n for n in table if n not in ("fused", "split")] for table in (module.FORWARD, module.BACKWARD)
    )
    for at in range(max(len(forward), len(backward))):
        plans = {
            "FORWARD": [*forward, "split"][at % (len(forward) + 1)],
            "BACKWARD": [*backward, "split"][at % (len(backward) + 1)],
        }
        assert_agreement(replace(case, plans=plans))


@pytest.mark.parametrize("spec", SPECS)
def test_recurrent_form(spec: str) -> None:
    assert_agreement(Case(spec, length=3, batch=1, heads=2, form="recurrent"))


@pytest.mark.parametrize("spec", ["gated_delta_net", "kda", "mamba2", "retnet"])
def test_half_precision(spec: str) -> None:
    assert_agreement(Case(spec, length=19, batch=1, heads=1, dtype=torch.float16))
