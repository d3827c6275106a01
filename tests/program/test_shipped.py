"""Interpreter = block program executed = torch source, values and gradients, for every shipped spec at odd sizes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

import recurrence_dsl as rd
from recurrence_dsl.check.spec import Spec
from recurrence_dsl.maths.recurrence import Recurrence
from recurrence_dsl.pipeline import lifted
from recurrence_dsl.program.chunk import chunk_program
from recurrence_dsl.program.lower import Known
from recurrence_dsl.program.ops import Program
from recurrence_dsl.program.step import step_program
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.testing import Case, case_for, draw_inputs, reference
from recurrence_dsl.testing.measure import compare
from recurrence_dsl.testing.subject import build, gradients, run

from . import running

BLOCKS = (1, 4, 7, 8)
every_spec = pytest.mark.parametrize("path", shipped_specs(), ids=lambda p: p.stem)


@lru_cache
def prepared(path: Path) -> tuple[Spec, Recurrence, Case]:
    spec = rd.load(path)
    groups = 2 if any(i.per_group for i in spec.inputs) else 1
    case = case_for(spec, size=3, sizes={"V": 2}, batch=2, length=7, heads=4, groups=groups, chunk_size=3, seed=3)
    return spec, lifted(spec), case


def programs(path: Path) -> list[tuple[Program, int]]:
    _, recurrence, case = prepared(path)
    known = Known(case.size_of, case.heads)
    return [(step_program(recurrence.spec, known), 1), *((chunk_program(recurrence, known), n) for n in BLOCKS)]


@every_spec
def test_values(path: Path) -> None:
    spec, _, case = prepared(path)
    drawn = draw_inputs(spec, case)
    want = reference.values(spec, case)
    for program, block in programs(path):
        assert compare(running.values(spec, program, case, drawn, block), want, case).units < 1, (program.name, block)


@every_spec
def test_gradients(path: Path) -> None:
    spec, _, case = prepared(path)
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    want = reference.slopes(spec, case)
    for program, block in programs(path):
        got = running.slopes(spec, program, case, drawn, weights, block)
        assert compare(got, want, case, floors=reference.slope_floors(spec, case)).units < 1, (program.name, block)


@every_spec
@pytest.mark.parametrize("form", ["chunk", "recurrent"])
def test_the_torch_source_computes_what_its_program_says(path: Path, form: str) -> None:
    spec, recurrence, case = prepared(path)
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    mixer = build(spec, case, drawn.params, form)
    known = Known(case.size_of, case.heads)
    program, block = (
        (chunk_program(recurrence, known), 3) if form == "chunk" else (step_program(recurrence.spec, known), 1)
    )
    want = running.values(spec, program, case, drawn, block)
    assert compare(run(mixer, drawn.inputs, drawn.state), want, case).units < 1
    slopes = running.slopes(spec, program, case, drawn, weights, block)
    got = gradients(mixer, drawn, weights)
    assert compare(got, slopes, case, floors=reference.slope_floors(spec, case)).units < 1
