"""The layer functions one by one, against torch or the formula, and the initialisers by their statistics."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import recurrence_dsl as rd

D, H, K = 8, 2, 4


def line(expression: str, before: str = "", axes: str = "K", d_model: int = D, **options: Any) -> Any:
    """A layer that returns one expression, merged into the stream by a matrix that is the identity."""
    text = f"""\
mixer pass
dim    {axes}
input  y : [{axes}]
state  h : [{axes}] = y
output o = h
layer x : [D]
{before}  y = {expression}
  return linear[D](o)
"""
    layer = rd.compile_layer(text, d_model=d_model, heads=H, **({axes: d_model // H} | options)).double()
    layer.get_submodule("out.linear").weight.data = torch.eye(d_model, dtype=torch.float64)
    return layer


def tokens(length: int = 6, width: int = D) -> Tensor:
    return torch.randn(2, length, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def made(layer: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        return layer(x).unflatten(-1, (H, -1))


def test_linear_is_torchs() -> None:
    layer, x = line("linear[K](x, bias=normal(0, 1))"), tokens()
    held = layer.get_submodule("y.linear")
    assert held.bias.abs().min() > 0
    assert torch.allclose(made(layer, x).flatten(2), F.linear(x, held.weight, held.bias))


def test_low_rank_linear_is_two_matrices() -> None:
    layer, x = line("linear[K](x, rank=3, act=tanh, bias=true)"), tokens()
    held = layer.get_submodule("y.linear")
    want = F.linear(F.linear(x, held.down.weight).tanh(), held.up.weight, held.up.bias)
    assert held.down.weight.shape == (3, D)
    assert torch.allclose(made(layer, x).flatten(2), want)


def test_linear_within_heads_is_block_diagonal() -> None:
    layer, x = line("linear[K](q, within=heads)", "  q = linear[K](x)\n"), tokens()
    inner = F.linear(x, layer.get_submodule("q.linear").weight)
    blocks = torch.block_diag(*layer.get_submodule("y.linear").weight)
    assert torch.allclose(made(layer, x).flatten(2), F.linear(inner, blocks))


def test_plain_widths_belong_to_no_head() -> None:
    layer, x = line("linear[K](silu(linear[3](x)))"), tokens()
    first, second = layer.get_submodule("y.linear_2").weight, layer.get_submodule("y.linear").weight
    assert first.shape == (3, D)
    assert torch.allclose(made(layer, x).flatten(2), F.linear(F.silu(F.linear(x, first)), second))


@pytest.mark.parametrize("bias", ["false", "true"])
def test_conv_is_torchs_causal_depthwise_one(bias: str) -> None:
    layer, x = line(f"conv[3](linear[K](x), act=silu, bias={bias})"), tokens()
    held = layer.get_submodule("y.conv")
    inner = F.linear(x, layer.get_submodule("y.linear").weight).transpose(1, 2)
    want = F.conv1d(F.pad(inner, (2, 0)), held.weight, held.bias, groups=D).transpose(1, 2)
    assert torch.allclose(made(layer, x).flatten(2), F.silu(want))


def test_a_width_may_be_a_const() -> None:
    layer = line("conv[width](linear[K](x))", "  const width = 4\n", width=7)
    assert layer.get_submodule("y.conv").weight.shape == (D, 1, 7)
    with pytest.raises(rd.CallError, match="R0515"):
        line("conv[width](linear[K](x))", "  const width = 4\n", width=2.5)


def test_previous_token() -> None:
    layer, x = line("linear[K](x[t-1])"), tokens()
    want = F.linear(F.pad(x, (0, 0, 1, -1)), layer.get_submodule("y.linear").weight)
    assert torch.allclose(made(layer, x).flatten(2), want)


@pytest.mark.parametrize("layout", ["halves", "interleaved"])
def test_rotary_turns_pairs(layout: str) -> None:
    layer, x = line(f"rotary[K](linear[K](x), base=100, layout={layout})"), tokens()
    inner = F.linear(x, layer.get_submodule("y.linear").weight).unflatten(-1, (H, K))
    pairs = (
        inner.unflatten(-1, (2, K // 2)).transpose(-1, -2) if layout == "halves" else inner.unflatten(-1, (K // 2, 2))
    )
    angles = torch.arange(6, dtype=torch.float64)[:, None] * torch.tensor([1.0, 100 ** (-2 / K)], dtype=torch.float64)
    turned = torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones_like(angles), angles)[:, None]
    flat = torch.view_as_real(turned)
    want = flat.transpose(-1, -2).flatten(-2) if layout == "halves" else flat.flatten(-2)
    assert torch.allclose(made(layer, x), want)


def test_rotary_with_angles_of_ones_own() -> None:
    plain = line("rotary[K](linear[K](x))")
    spelt = line("rotary[K](linear[K](x), angle=10000 ** (-2 * index / K))")
    spelt.load_state_dict(plain.state_dict())
    assert torch.equal(made(plain, tokens()), made(spelt, tokens()))


@pytest.mark.parametrize(
    ("call", "formula"),
    [
        ("rmsnorm[K](q, eps=0.1)", lambda q: F.rms_norm(q, (K,), eps=0.1)),
        ("rmsnorm[heads, K](q, affine=false)", lambda q: F.rms_norm(q, (H, K), eps=1e-6)),
        ("rmsnorm[heads, K](q, within=groups)", lambda q: F.rms_norm(q.flatten(2), (H * K,), eps=1e-6).view(q.shape)),
        ("layernorm[K](q)", lambda q: F.layer_norm(q, (K,))),
        ("groupnorm[K](q, eps=64e-5)", lambda q: F.group_norm(q.flatten(0, 1).flatten(1), H, eps=64e-5).view(q.shape)),
        ("l2norm[K](q)", lambda q: q / (q.square().sum(-1, keepdim=True) + 1e-6).sqrt()),
        ("l2norm[K](q, eps=0.5)", lambda q: q / (q.square().sum(-1, keepdim=True) + 0.5).sqrt()),
        ("softmax[K](q)", lambda q: q.softmax(-1)),
        ("softmax[heads, K](q)", lambda q: q.flatten(2).softmax(-1).view(q.shape)),
        ("q - mean[K](q)", lambda q: q - q.mean(-1, keepdim=True)),
        ("q - max[K](q)", lambda q: q - q.amax(-1, keepdim=True)),
        ("q * sum[heads](q)", lambda q: q * q.sum(2, keepdim=True)),
        ("cumsum[K](q)", lambda q: q.cumsum(-1)),
        ("q - at[K](q, 1)", lambda q: q - q[..., 1:2]),
        ("q * (1 + head)", lambda q: q * torch.tensor([1.0, 2.0], dtype=torch.float64)[:, None]),
        ("q * index(K)", lambda q: q * torch.arange(K, dtype=torch.float64)),
        ("q * position", lambda q: q * torch.arange(6, dtype=torch.float64)[:, None, None]),
        ("min(q, 0.5, tanh(q))", lambda q: torch.minimum(q.clamp(max=0.5), q.tanh())),
        ("max(0.5, q) ** 2 - -q / 3", lambda q: q.clamp(min=0.5) ** 2 + q / 3),
        ("logsigmoid(q) + softplus(q) + gelu(q)", lambda q: F.logsigmoid(q) + F.softplus(q) + F.gelu(q)),
        ("elu(q) + relu(q) + square(q) + abs(q)", lambda q: F.elu(q) + q.relu() + q * q + q.abs()),
        ("exp(q) + sin(q) + cos(q)", lambda q: q.exp() + q.sin() + q.cos()),
        ("sqrt(abs(q)) + log(abs(q))", lambda q: q.abs().sqrt() + q.abs().log()),
    ],
)  # fmt: skip
def test_function(call: str, formula: Any) -> None:
    layer, x = line(call, "  q = linear[K](x)\n", **({"groups": 1} if "groups" in call else {})), tokens()
    q = F.linear(x, layer.get_submodule("q.linear").weight).unflatten(-1, (H, K))
    assert torch.allclose(made(layer, x), formula(q), atol=1e-12)


def test_norms_within_groups_are_separate() -> None:
    layer, x = line("rmsnorm[heads, K](q, within=groups)", "  q = linear[K](x)\n", groups=2), tokens()
    q = F.linear(x, layer.get_submodule("q.linear").weight).unflatten(-1, (H, K))
    assert torch.allclose(made(layer, x), F.rms_norm(q, (K,), eps=1e-6))


def test_a_renamed_axis() -> None:
    text = """\
mixer pass
dim    K, J
input  a : [K, J]
state  h : [K, J] = a
output o = h
layer x : [D]
  q = linear[K](x)
  a = q * q[K -> J] * index(K)
  return linear[D](o)
"""
    layer = rd.compile_layer(text, d_model=D, heads=H, K=K, J=K).double()
    layer.get_submodule("out.linear").weight.data = torch.ones(D, H * K * K, dtype=torch.float64)
    q = F.linear(tokens(), layer.get_submodule("q.linear").weight).unflatten(-1, (H, K))
    count = torch.arange(K, dtype=torch.float64)
    want = torch.einsum("bthk,bthj,k->bt", q, q, count)
    with torch.no_grad():
        assert torch.allclose(layer(tokens())[..., 0], want)


def test_a_value_per_group_feeds_the_heads_of_its_group() -> None:
    layer, x = line("linear[groups, K](x)", groups=1), tokens()
    y = made(layer, x)
    assert layer.get_submodule("y.linear").weight.shape == (K, D)
    assert torch.equal(y[:, :, 0], y[:, :, 1])


def test_params_have_the_axes_that_they_state() -> None:
    params = ("a : [K]", "b : [D] = 2", "c = 3", "d : [K] shared = index(K)", "e : [layers, K]")
    before = "".join(f"  param {param}\n" for param in params)
    layer = line("linear[K](x * b) * (c + d) + a + sum[layers](e)", before, layers=3)
    shapes = {name: tuple(layer.get_parameter(name).shape) for name in "abcde"}
    assert shapes == {"a": (H, K), "b": (D,), "c": (H,), "d": (K,), "e": (3, H, K)}
    assert layer.across_layers == ("e",)
    x = tokens()
    want = F.linear(2 * x, layer.get_submodule("y.linear").weight).unflatten(-1, (H, K)) * (
        3 + torch.arange(K, dtype=torch.float64)
    )
    assert torch.allclose(made(layer, x), want)


@pytest.mark.parametrize(
    ("written", "mean", "deviation"),
    [
        ("normal(0.5, 0.1)", 0.5, 0.1),
        ("uniform(-1, 3)", 1.0, 4 / math.sqrt(12)),
        ("uniform(-1, 1) / sqrt(fan_in)", 0.0, 1 / math.sqrt(3 * 64)),
        ("normal(0, 1) * sqrt(2 / (fan_in + fan_out))", 0.0, math.sqrt(2 / 128)),
        ("orthogonal(2)", 0.0, 2 / 8),
        ("0", 0.0, 0.0),
        ("log(loguniform(1, exp(2)))", 1.0, 2 / math.sqrt(12)),
    ],
)
def test_initialisers_draw_what_they_say(written: str, mean: float, deviation: float) -> None:
    torch.manual_seed(0)
    weight = line(f"linear[K](x, weight={written})", d_model=64).get_submodule("y.linear").weight.data
    assert abs(weight.mean() - mean) < 0.05 * max(deviation, 1e-9) + 1e-12
    assert abs(weight.std() - deviation) < 0.06 * deviation + 1e-12


def test_linear_starts_as_torchs() -> None:
    torch.manual_seed(0)
    weight = line("linear[K](x)", d_model=64).get_submodule("y.linear").weight.data
    assert weight.abs().max() <= 1 / 8
    assert abs(weight.std() - 1 / 8 / math.sqrt(3)) < 0.005


def test_orthogonal_rows() -> None:
    weight = line("linear[K](x, weight=orthogonal(1))", d_model=64).get_submodule("y.linear").weight.data
    assert torch.allclose(weight @ weight.T, torch.eye(64, dtype=torch.float64), atol=1e-6)


def test_rwkv6_starts_with_the_published_decays_and_mixes() -> None:
    layer = rd.compile_layer("rwkv6", d_model=16, heads=4, K=4, V=4, layer_index=1, layers=4)
    n = torch.arange(16, dtype=torch.float64)
    decay = -6 + 5 * (n / 15) ** (0.7 + 1.3 * 1 / 3)
    assert torch.allclose(layer.get_submodule("d.linear.up").bias.data.double(), decay, atol=1e-5)
    mix = 1 - (n / 16) ** 0.75
    assert torch.allclose(layer.get_submodule("mk.linear.up").bias.data.double(), mix, atol=1e-6)
    assert torch.allclose(layer.get_submodule("mv.linear.up").bias.data.double(), mix - 0.3 / 3, atol=1e-6)
    assert layer.get_submodule("d.linear.down").weight.abs().max() == 0
    assert layer.get_submodule("d.linear.up").weight.abs().max() <= 0.01


def test_mamba2_starts_in_the_published_ranges() -> None:
    layer = rd.compile_layer("mamba2", d_model=64, heads=64, K=4, V=2)
    decay, step = layer.mixer.A_log.exp(), F.softplus(layer.mixer.dt_bias)
    assert decay.min() >= 1
    assert decay.max() <= 16
    assert step.min() >= 0.999e-3
    assert step.max() <= 1.001e-1
    assert torch.equal(layer.mixer.D.data, torch.ones(64))
