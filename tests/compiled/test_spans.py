"""Long sequences are taken span by span; with the shortest spans the seams are everywhere."""

from __future__ import annotations

import pytest

import recurrence_dsl as rd
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.testing import case_for, draw_inputs, reference, subject
from recurrence_dsl.testing.properties.agreement import against_slopes, against_values


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("path", shipped_specs(), ids=lambda path: path.stem)
def test_many_spans(path, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = rd.load(path)
    groups = 2 if any(i.per_group for i in spec.inputs) else 1
    case = case_for(spec, batch=2, heads=2, groups=groups, length=23, size=3, chunk_size=4, dtype=dtype)
    drawn = draw_inputs(spec, case)
    mixer = subject.build(spec, case, drawn.params)
    kernels = mixer.kernels_of("torch")
    for elements in (1, 2 * 2 * 2 * 3 * 4 * 2):
        monkeypatch.setattr(kernels, "_SPAN", elements, raising=False)
        assert against_values(spec, case, subject.run(mixer, drawn.inputs, drawn.state)).units <= 1
        found = subject.gradients(mixer, drawn, reference.weights(spec, case))
        assert against_slopes(spec, case, found).units <= 1
