"""Complex params follow the real ones through torch's conversions."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import recurrence_dsl as rd

TURNING = """\
mixer turning
dim    N
input  a, b : [N]
param  rate : complex [N] = uniform(-1, -0.5)
state  h : complex [N] = 0.5 * exp(min(re(rate), 0) + 1i * im(rate)) * h[t-1] + a + 1i * b
output p = re(h)
output q = im(h)
layer x : [D]
  a, b = linear[N](x)
  return linear[D](p - q)
"""


def layer() -> rd.layers.Layer:
    torch.manual_seed(0)
    made = rd.compile_layer(TURNING, d_model=6, heads=2, N=3)
    made.mixer.rate.data += 1j
    return made


def rows() -> Tensor:
    return torch.randn(2, 9, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(
    ("convert", "want"),
    [
        (lambda m: m.double(), torch.complex128),
        (lambda m: m.to(torch.float64), torch.complex128),
        (lambda m: m.double().float(), torch.complex64),
        (lambda m: m.double().to(torch.float32), torch.complex64),
        (lambda m: m.bfloat16(), torch.complex64),
        (lambda m: m.half(), torch.complex64),
        (lambda m: m.to("cpu"), torch.complex64),
        (lambda m: m.type(torch.float64), torch.complex128),
    ],
)
def test_complex_params_follow_the_real_ones(convert: Callable[[nn.Module], nn.Module], want: torch.dtype) -> None:
    before = layer().mixer.rate.detach().clone()
    after = convert(layer()).get_parameter("mixer.rate")
    assert after.dtype is want
    assert isinstance(after, nn.Parameter)
    assert (after - before).abs().max() < (1e-2 if convert(torch.nn.Linear(1, 1)).weight.element_size() < 4 else 1e-7)
    assert after.imag.abs().min() > 0.5


def test_float64_is_exact_to_float64() -> None:
    """A converted mixer's params are as exact as the interpreter's, not rounded on their way into the recurrence."""
    mixer = layer().double().mixer
    mixer.rate.data += 1e-9 * (1 + 1j)
    a, b = rows().unflatten(-1, (2, 3)), rows().flip(1).unflatten(-1, (2, 3))
    params = {"rate": mixer.rate.detach().numpy()}
    want, _ = rd.interpret(rd.load(TURNING), {"a": a.numpy(), "b": b.numpy()}, params=params)
    with torch.no_grad():
        got = mixer(a=a, b=b)
    assert all((got[name] - torch.as_tensor(want[name])).abs().max() < 1e-13 for name in "pq")


def test_gradients_are_converted_and_training_goes_on() -> None:
    made, x = layer(), rows()
    made(x.float()).square().sum().backward()
    made.double()
    rate = made.get_parameter("mixer.rate")
    assert rate.grad is not None
    assert rate.grad.dtype is torch.complex128
    made(x).square().sum().backward()
    torch.optim.AdamW(made.parameters()).step()
    assert copy.deepcopy(made).get_parameter("mixer.rate").dtype is torch.complex128


def test_moves_to_another_device() -> None:
    made = layer().to("meta")
    assert made.get_parameter("mixer.rate").is_meta
    assert made.to_empty(device="cpu").get_parameter("mixer.rate").dtype is torch.complex64
