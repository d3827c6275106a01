"""Random well-formed specs compile, and every form of them agrees with the interpreter."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recurrence_dsl.check import load_text
from recurrence_dsl.testing import Case, Gates, assert_equivalent, assert_holds
from recurrence_dsl.testing.properties import PACKED, STEP
from recurrence_dsl.testing.random_specs import spec_texts

QUICK = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def case_of(text: str, **options: object) -> Case:
    groups = 2 if "per group" in text else 1
    sizes = (("K", 3), ("V", 2))
    return Case(**({"batch": 2, "length": 11, "heads": 2, "groups": groups, "sizes": sizes, "chunk_size": 4} | options))


@QUICK
@given(spec_texts(), st.sampled_from((Gates.TYPICAL, Gates.MIXED)))
def test_forms_agree(text: str, gates: Gates) -> None:
    assert_equivalent(load_text(text), case_of(text, gates=gates))


@QUICK
@given(spec_texts())
def test_steps_and_packing(text: str) -> None:
    spec = load_text(text)
    for prop in (STEP, PACKED):
        assert_holds(prop, spec, case_of(text, dtype="float32"))
