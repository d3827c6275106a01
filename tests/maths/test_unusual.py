"""Unusual recurrences: the form that is found, and values and gradients of every form against the token loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from torch import Tensor

from recurrence_dsl.maths.lift import lift
from recurrence_dsl.maths.recurrence import Form, Recurrence
from recurrence_dsl.testing import Case, assert_holds, case_for, draw_inputs, property_named, reference
from recurrence_dsl.testing.measure import compare
from recurrence_dsl.testing.subject import Mixer, build, gradients, run
from recurrence_dsl.tools.transition import transition_class

from .specs import EVERY, Unusual

CHUNKS = (4, 16)
each = pytest.mark.parametrize("unusual", EVERY, ids=lambda u: u.name)


def lifted(unusual: Unusual) -> Recurrence:
    recurrence, findings = lift(unusual.spec)
    assert recurrence is not None, findings
    return recurrence


@each
def test_the_form(unusual: Unusual) -> None:
    found = lifted(unusual)
    assert " ".join(s.form.value for s in found.states) == unusual.expects("form")
    assert found.chunked == all(s.form is not Form.STEP for s in found.states)
    assert unusual.expects("why") in found.states[-1].reason
    assert transition_class(found.states[0]).startswith(unusual.expects("class"))


def case_of(unusual: Unusual) -> Case:
    return case_for(unusual.spec, size=3, sizes={"V": 2, "B": 2}, batch=2, length=9, heads=2, seed=1)


def mixers(unusual: Unusual, case: Case, params: Mapping[str, Tensor]) -> Iterator[tuple[str, Mixer]]:
    """The recurrent form, and the chunk form with several chunk sizes where there is one."""
    yield "recurrent", build(unusual.spec, case, params, "recurrent")
    for size in CHUNKS if lifted(unusual).chunked else ():
        yield f"chunks of {size}", build(unusual.spec, replace(case, chunk_size=size), params, "chunk")


@each
def test_values_and_gradients(unusual: Unusual) -> None:
    spec, case = unusual.spec, case_of(unusual)
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    values, slopes, floors = (
        reference.values(spec, case),
        reference.slopes(spec, case),
        reference.slope_floors(spec, case),
    )
    for form, mixer in mixers(unusual, case, drawn.params):
        assert compare(run(mixer, drawn.inputs, drawn.state), values, case).units < 1, form
        assert compare(gradients(mixer, drawn, weights), slopes, case, floors=floors).units < 1, form


@pytest.mark.parametrize("name", ["root", "square_sigmoid", "hypothesis_decay", "whole_two_terms"])
def test_gates_that_let_nothing_through(name: str) -> None:
    """Where a gate underflows, values and slopes stay finite: a root's slope is infinite at zero."""
    spec = next(u.spec for u in EVERY if u.name == name)
    case = replace(case_for(spec, size=3, length=11, heads=2, seed=3), dtype="float32", chunk_size=4)
    assert_holds(property_named("extreme gates, gradients"), spec, case)
