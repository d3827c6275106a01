"""The ways to the other conventions that `docs/conventions.md` shows lead to what they are said to lead to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import recurrence_dsl as rd
from recurrence_dsl.layers import Layer

from . import fla_on_cpu as cpu
from . import transformers_on_cpu as hf
from .test_fla_layers import HGRN2_FUNCTIONS, both

PAGE = (Path(__file__).parents[2] / "docs" / "conventions.md").read_text(encoding="utf-8")
D, H = 16, 4


def shown(text: str) -> str:
    """What the page shows, word for word."""
    assert text in PAGE
    return text


def changed(spec: str, old: str, new: str, **sizes: Any) -> Layer:
    """The layer of a shipped spec with one thing written otherwise."""
    text = rd.load(spec).source.text
    assert text.count(old) == 1
    return rd.compile_layer(text.replace(old, new), **({"d_model": D, "heads": H} | sizes)).double()


def tokens(length: int = 19) -> Tensor:
    return torch.randn(2, length, D, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def assert_same(ours: Layer, want: Tensor) -> None:
    """Whole and token by token."""
    with torch.no_grad():
        for got in (ours(tokens()), hf.stepped(ours, tokens())):
            assert (got - want).abs().max() < 1e-10 * max(1.0, float(want.abs().max()))
    assert want.abs().max() > 1e-3


def test_delta_net_with_negative_eigenvalues() -> None:
    theirs = cpu.make("layers.delta_net", "DeltaNet", hidden_size=D, num_heads=H, allow_neg_eigval=True)
    ours = changed(
        "delta_net", "beta = sigmoid(linear[heads](x))", shown("beta = 2 * sigmoid(linear[heads](x))"), K=4, V=4
    )
    assert rd.weights.load(ours, theirs.state_dict(), "fla-delta_net").complete
    with cpu.on_cpu("layers.delta_net", both("delta_rule", cpu.delta_rule)), torch.no_grad():
        want = theirs(tokens())[0]
    assert_same(ours, want)


def test_delta_net_of_2021() -> None:
    lines = shown(
        "  a, b = elu(linear[K](x)) + 1\n  q    = a / sum[K](a)\n  k    = b / sum[K](b)\n  v    = linear[V](x)\n"
    )
    spec = rd.load("delta_net").source.text
    begin, end = spec.index("  q, k ="), spec.index("  beta =")
    text = spec[:begin].replace("  const width = 4\n", "") + lines + spec[end:]
    ours = rd.compile_layer(text, d_model=D, heads=H, K=4, V=4).double()
    x = tokens()

    def held(name: str) -> Tensor:
        return F.linear(x, ours.get_parameter(f"{name}.linear.weight"))

    q, k = (F.elu(held(name).unflatten(-1, (H, 4))) + 1 for name in "ab")
    q, k = (t / t.sum(-1, keepdim=True) for t in (q, k))
    run = cpu.naive("delta_rule.naive", "delta_rule_recurrence")
    with torch.no_grad():
        v, beta = held("v").unflatten(-1, (H, 4)), held("beta").sigmoid()
        o = run(*cpu.heads_first(q, k, v, beta))[0].transpose(1, 2)
        want = F.linear(F.rms_norm(o, (4,), eps=1e-5).flatten(2), ours.get_parameter("out.linear.weight"))
    assert_same(ours, want)


def test_hgrn2_with_a_fixed_bound() -> None:
    theirs = cpu.make("layers.hgrn2", "HGRN2Attention", hidden_size=D, expand_ratio=None, num_heads=H, layer_idx=1)
    spec = rd.load("hgrn2").source.text
    begin, end = spec.index("  param bounds"), spec.index("  q     =")
    assert spec[begin:end].count("\n") == 3
    shown("delete the three lines and pass `lower=0.5`")
    ours = rd.compile_layer(spec[:begin] + spec[end:], d_model=D, heads=H, K=4, V=4, scale=4**-0.5, lower=0.5).double()
    format = rd.weights.read_format("fla-hgrn2")
    assert rd.weights.load(ours, theirs.state_dict(), format).complete
    with cpu.on_cpu("layers.hgrn2", HGRN2_FUNCTIONS), torch.no_grad():
        want = theirs(tokens(), lower_bound=torch.full((D,), 0.5, dtype=torch.float64))[0]
    assert_same(ours, want)


def test_the_other_gelu() -> None:
    formula = shown("0.5 * g * (1 + tanh(0.7978845608028654 * (g + 0.044715 * g ** 3)))")
    ours = changed(
        "rg_lru",
        "z     = gelu(linear[V](u, bias=true, weight=normal(0, 1) / sqrt(fan_in)))",
        f"g     = linear[V](u, bias=true)\n  z     = {formula}",
        V=4,
    )
    exact = rd.compile_layer("rg_lru", d_model=D, heads=H, V=4).double()
    names = {name.replace("g.linear", "z.linear"): name for name in ours.state_dict()}
    exact.load_state_dict({theirs: ours.get_parameter(name) for theirs, name in names.items()})
    gate = F.linear(tokens(), ours.get_parameter("g.linear.weight"), ours.get_parameter("g.linear.bias"))
    assert torch.allclose(eval(formula, {"g": gate, "tanh": torch.tanh}), F.gelu(gate, approximate="tanh"), atol=1e-12)
    with torch.no_grad():
        assert 0 < (ours(tokens()) - exact(tokens())).abs().max() < 1e-2


def test_keys_as_torch_normalises_them() -> None:
    formula = shown("k / max(sqrt(sum[K](square(k))), 1e-12)")
    text = f"""\
mixer pass
dim    K
input  y : [K]
state  h : [K] = y
output o = h
layer x : [D]
  k = linear[K](x)
  y = {formula}
  return linear[D](o)
"""
    ours = rd.compile_layer(text, d_model=D, heads=H, K=4).double()
    keys = F.linear(tokens(), ours.get_parameter("k.linear.weight")).unflatten(-1, (H, 4))
    want = F.linear(F.normalize(keys, dim=-1).flatten(2), ours.get_parameter("out.linear.weight"))
    assert_same(ours, want.detach())


def test_decays_that_start_as_those_of_transformers() -> None:
    written = shown("param  A_log = log(1 + head)")
    ours = changed("mamba2", "param  A_log = log(uniform(1, 16))", written, K=4, V=4)
    assert torch.allclose(ours.get_parameter("mixer.A_log"), torch.arange(1.0, H + 1).log().double(), atol=1e-6)


def test_linear_attention_of_fla() -> None:
    options = {"feature_map": "elu", "do_feature_map_norm": True, "output_norm": "identity"}
    theirs = cpu.make("layers.linear_attn", "LinearAttention", hidden_size=D, num_heads=H, **options)
    shown("flash-linear-attention has 1e-10")
    ours = changed("linear_attention", "+ 1e-6)", "+ 1e-10)", K=4, V=4)
    ours.load_state_dict(
        {
            f"{name}.linear.weight": theirs.get_parameter(f"{theirs_}_proj.weight")
            for name, theirs_ in (("q", "q"), ("k", "k"), ("v", "v"), ("out", "o"))
        }
    )

    def run(q: Tensor, k: Tensor, v: Tensor, **_: Any) -> Any:
        naive = cpu.naive("linear_attn.naive", "naive_recurrent_linear_attn")
        return naive(q, k, v, normalize=True)

    functions = {"chunk_linear_attn": run, "fused_chunk_linear_attn": run, "fused_recurrent_linear_attn": run}
    with cpu.on_cpu("layers.linear_attn", functions), torch.no_grad():
        want = theirs(tokens())[0]
    assert_same(ours, want)
