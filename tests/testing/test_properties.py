"""Every property can fail: each on a case of a spec with a fault in it, on which it holds without the fault."""

from __future__ import annotations

from unittest import mock

import pytest

import recurrence_dsl as rd
from recurrence_dsl.check import load_text
from recurrence_dsl.testing import PROPERTIES, Case, Gates, case_for, draw_inputs, property_named, random_inputs
from recurrence_dsl.testing.attack import replay
from tests.mutation.__main__ import planted
from tests.mutation.faults import FAULTS

TRIPPED_BY = {
    "agreement": "missing bonus term",
    "gradients": "dropped term in a key's gradient",
    "directional derivative": "dropped term in a query's gradient",
    "extreme gates": "the carried state does not decay",
    "extreme gates, gradients": "the state's gradient does not decay",
    "chunk size": "one block too few",
    "split": "the initial state is ignored",
    "packed": "a last single token is left out",
    "step": "a step does not carry its write",
    "short": "a last single token is left out",
    "causality": "a token has the output of the next",
    "batch": "a batch entry has its neighbour's output",
    "heads": "a head has its neighbour's output",
    "finite": "decays as quotients of exponentials",
    "written": "a block's last token is not written",
    "repeat": "results that do not repeat",
    "untouched": "the caller's input is changed",
    "strides": "inputs read as if they were contiguous",
    "linearity": "outputs that are not linear",
    "low precision": "accumulation in bfloat16",
}
OF_THE_LIBRARY = {"decay promises", "declared ranges"}
"""Properties of a spec's promise and of the generator: no fault in a kernel trips them."""


def case_of(name: str) -> tuple[rd.Spec, Case]:
    """A fault's spec and a case with a last block that is not full; gates that shut where decays are what fails."""
    spec = rd.load(next(fault.spec for fault in FAULTS if fault.name == name))
    gates = Gates.STRONG if "quotients" in name else Gates.TYPICAL
    chunk_size = None if spec.name == "hgrn" else 4
    return spec, case_for(spec, batch=2, heads=2, length=13, dtype="float32", gates=gates, chunk_size=chunk_size)


def test_every_property_is_here() -> None:
    assert {prop.name for prop in PROPERTIES} == set(TRIPPED_BY) | OF_THE_LIBRARY


@pytest.mark.parametrize("name", TRIPPED_BY)
def test_a_fault_trips_it(name: str) -> None:
    fault = next(fault for fault in FAULTS if fault.name == TRIPPED_BY[name])
    spec, case = case_of(fault.name)
    with planted(fault):
        found = replay(spec, property_named(name), case)
    draw_inputs.cache_clear()  # one of the faults changes what was drawn
    assert not found.holds
    assert "Error:" not in found.where  # it was measured, not raised
    assert replay(spec, property_named(name), case).holds


def test_a_decay_beyond_its_promise() -> None:
    spec = load_text("mixer m\ninput g\ndecay w = exp(g)\nstate s = w * s[t-1] + g\noutput o = s")
    assert property_named("decay promises").check(spec, case_for(spec)).name == "decay w"


def test_a_generator_that_leaves_a_declared_range() -> None:
    spec = load_text("mixer m\ninput g in (-inf, 0]\nstate s = exp(g) * s[t-1] + g\noutput o = s")
    with mock.patch.object(random_inputs, "_into_range", lambda noise, i: noise):
        assert property_named("declared ranges").check(spec, case_for(spec, seed=77)).name == "input g"
    draw_inputs.cache_clear()
    assert property_named("declared ranges").check(spec, case_for(spec, seed=77)).units == 0
