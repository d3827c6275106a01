"""The token loop on tensors gives the interpreter's values, and gradients that differences confirm."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recurrence_dsl.check import load_text
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.testing import reference
from recurrence_dsl.testing.case import case_for
from recurrence_dsl.testing.measure import compare
from recurrence_dsl.testing.random_inputs import draw_inputs
from recurrence_dsl.testing.token_loop import gradients, token_loop


@pytest.mark.parametrize("path", shipped_specs(), ids=lambda path: path.stem)
def test_values_equal_the_interpreter(path) -> None:
    spec = load_text(path.read_text(encoding="utf-8"))
    case = case_for(spec, batch=2, length=6, heads=4, groups=2, size=3)
    drawn = draw_inputs(spec, case)
    outputs, state = token_loop(spec, drawn.inputs, drawn.params, drawn.state, sizes=case.size_of, heads=4)
    got = {f"output:{n}": t for n, t in outputs.items()} | {f"state:{n}": t for n, t in state.items()}
    assert compare(got, reference.values(spec, case), case).units <= 1


def test_gradient_of_a_product_chain() -> None:
    """h_t = a_t h_{t-1}: the derivative by a_s is the product of the others."""
    spec = load_text("mixer m\ninput a\nstate h = a * h[t-1]\noutput o = h")
    a, start = torch.tensor([2.0, 3, 5]), torch.tensor([[7.0]])
    zero = torch.zeros(1, 3, 1)
    found = gradients(spec, {"a": a.view(1, 3, 1)}, {}, {"h": start}, {"output:o": zero, "state:h": torch.ones(1, 1)})
    assert found["input:a"].flatten().tolist() == [105, 70, 42]
    assert found["state:h"].item() == 30


def test_gradcheck_of_every_function() -> None:
    terms = "sigmoid(x) * logsigmoid(x) + softplus(x) * tanh(x) + silu(x) - gelu(x) + elu(x) * sin(x) + cos(x) ** 2"
    text = (
        f"mixer m\ndim K\ninput x : [K]\nstate h : [K] = 0.5 * h[t-1] + {terms} + sqrt(square(x) + 1) + max(x, relu(x))"
    )
    over = "softmax[K](h) + l2norm[K](h) * rmsnorm[K](h) + mean[K](h) * max[K](h)"
    spec = load_text(f"{text}\noutput o = {over}")
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 1, 4))).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: token_loop(spec, {"x": x})[0]["o"], (x,))
