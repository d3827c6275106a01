"""torch's own gradient check of every shipped spec, in float64: inputs, params and initial state."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import recurrence_dsl as rd
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.testing import case_for, draw_inputs
from recurrence_dsl.testing.subject import build, run


@pytest.mark.parametrize("path", shipped_specs(), ids=lambda path: path.stem)
def test_gradcheck(path: Path) -> None:
    spec = rd.load(path)
    case = case_for(spec, length=5, heads=2, size=2, chunk_size=3, seed=5)
    drawn = draw_inputs(spec, case)
    mixer = build(spec, case, drawn.params)
    names = [*drawn.inputs, *drawn.state]

    def results(*tensors: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, tensors, strict=True))
        inputs, state = ({name: given[name] for name in group} for group in (drawn.inputs, drawn.state))
        return tuple(run(mixer, inputs, state).values())

    leaves = [tensor.clone().requires_grad_() for group in (drawn.inputs, drawn.state) for tensor in group.values()]
    assert torch.autograd.gradcheck(results, tuple(leaves), fast_mode=True)
