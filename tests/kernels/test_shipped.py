"""Every shipped spec: values and gradients on the triton back end are those of the torch back end in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest

import recurrence_dsl as rd
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.testing import assert_holds, case_for
from recurrence_dsl.testing.properties import AGREEMENT, GRADIENTS

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


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("spec", SPECS)
def test_half_precision(spec: str) -> None:
    """Values are the interpreter's and gradients those of its definition, in float64, to what float16 admits."""
    shapes = {"batch": 1, "heads": 1, "groups": 1, "length": 19, "size": 3, "sizes": {"V": 2}, "chunk_size": 16}
    case = case_for(rd.load(spec), dtype="float16", scale=0.5, backend="triton", **shapes)
    assert_holds(AGREEMENT, rd.load(spec), case)
    assert_holds(GRADIENTS, rd.load(spec), case)
