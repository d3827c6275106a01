"""Random well-formed specs compile, and every form of them agrees with the interpreter."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from recurrence_dsl.check import load_text
from recurrence_dsl.testing import PROPERTIES, Case, Gates, assert_equivalent, assert_holds, case_for, strategies
from recurrence_dsl.testing.properties import PACKED, STEP
from recurrence_dsl.testing.random_specs import spec_texts

QUICK = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
LONG = settings(QUICK, max_examples=300, derandomize=False, print_blob=False, phases=(Phase.generate, Phase.shrink))


def case_of(text: str, **options: object) -> Case:
    """A case with another size for every axis and a last chunk that is not full."""
    spec = load_text(text)
    sizes = {dim.name: 3 - n for n, dim in enumerate(spec.dims)}
    groups = 2 if any(i.per_group for i in spec.inputs) else 1
    plain = {"batch": 2, "length": 11, "heads": 2, "groups": groups, "sizes": sizes}
    return case_for(spec, **(plain | options))


@QUICK
@given(spec_texts(), st.sampled_from((Gates.TYPICAL, Gates.MIXED)))
def test_forms_agree(text: str, gates: Gates) -> None:
    note(text)
    assert_equivalent(load_text(text), case_of(text, gates=gates, chunk_size=4))


@QUICK
@given(spec_texts())
def test_steps_and_packing(text: str) -> None:
    note(text)
    spec = load_text(text)
    for prop in (STEP, PACKED):
        assert_holds(prop, spec, case_of(text, dtype="float32", chunk_size=4))


@pytest.mark.long
@LONG
@given(spec_texts(), st.sampled_from(PROPERTIES), st.data())
def test_a_long_search(text: str, prop, data: st.DataObject) -> None:
    """Any property on any case of any spec; `--hypothesis-seed=N` repeats a search."""
    note(text)
    spec = load_text(text)
    case = data.draw(strategies.cases(spec))
    if prop.applies(spec):
        assert_holds(prop, spec, case)
