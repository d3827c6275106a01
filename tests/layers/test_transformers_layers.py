"""Layers with the weights of transformers' modules give what those give: whole sequences, prefill and cached decode."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import recurrence_dsl as rd

from . import transformers_on_cpu as hf

D = 16


def tokens(length: int = 21) -> Tensor:
    return torch.randn(2, length, D, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def assert_equal(got: Tensor, want: Tensor, within: float = 1e-10) -> None:
    assert want.abs().max() > 1e-3
    assert (got - want).abs().max() < within * max(1.0, float(want.abs().max()))


def assert_same(ours: Any, x: Tensor, want: Tensor) -> None:
    """Whole, token by token, and in float32."""
    with torch.no_grad():
        assert_equal(ours(x), want)
        assert_equal(hf.stepped(ours, x), want)
        assert_equal(ours.float()(x.float()).double(), want, 1e-5)


def mamba2(groups: int, **options: Any) -> tuple[Any, Any]:
    """transformers' mixer and ours, with the same weights."""
    from transformers import Mamba2Config

    config = Mamba2Config(
        hidden_size=D, num_heads=4, head_dim=8, state_size=6, n_groups=groups, expand=2, chunk_size=8,
        num_hidden_layers=1, vocab_size=32, **options,
    )  # fmt: skip
    theirs = hf.randomised(hf.modeling("mamba2").Mamba2Mixer(config, 0))
    ours = rd.compile_layer("mamba2", d_model=D, heads=4, groups=groups, K=6, V=8).double()
    assert rd.weights.load(ours, theirs.state_dict(), "hf-mamba2").complete
    return theirs, ours


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_mamba2_whole(groups: int) -> None:
    theirs, ours = mamba2(groups)
    with torch.no_grad():
        want = hf.run(theirs, tokens())
    assert_same(ours, tokens(), want)


@pytest.mark.parametrize("groups", [1, 2])
def test_mamba2_prefill_and_cached_decode(groups: int) -> None:
    from transformers.cache_utils import DynamicCache

    theirs, ours = mamba2(groups)
    x, state = tokens(), None
    cache = DynamicCache(config=theirs_config(theirs, groups))
    with torch.no_grad():
        want = [hf.run(theirs, x[:, :13], cache_params=cache)]
        got, state = ours(x[:, :13], return_state=True)
        got = [got]
        for t in range(13, x.shape[1]):
            want.append(hf.run(theirs, x[:, t : t + 1], cache_params=cache))
            y, state = ours.step(x[:, t], state)
            got.append(y[:, None])
    assert_equal(torch.cat(got, 1), torch.cat(want, 1))
    assert state is not None
    kept = cache.get_recurrent_state(0, state_idx=0)
    assert_equal(state["mixer.S"].transpose(-1, -2), kept)


def theirs_config(theirs: Any, groups: int) -> Any:
    from transformers import Mamba2Config

    return Mamba2Config(
        hidden_size=D, num_heads=4, head_dim=8, state_size=6, n_groups=groups, expand=2, num_hidden_layers=1
    )


def test_mamba() -> None:
    from transformers import MambaConfig

    config = MambaConfig(hidden_size=D, state_size=5, intermediate_size=24, time_step_rank=3, num_hidden_layers=1)
    theirs = hf.randomised(hf.modeling("mamba").MambaMixer(config, 0))
    ours = rd.compile_layer("selective_scan", d_model=D, heads=1, V=24, N=5, dt_rank=3).double()
    assert rd.weights.load(ours, theirs.state_dict(), "hf-mamba").complete
    with torch.no_grad():
        want = hf.run(theirs, tokens())
    assert_same(ours, tokens(), want)


def test_rg_lru() -> None:
    from transformers import RecurrentGemmaConfig

    config = RecurrentGemmaConfig(
        hidden_size=D, lru_width=D, num_attention_heads=4, conv1d_width=4, num_hidden_layers=1, hidden_activation="gelu"
    )
    theirs = hf.randomised(hf.modeling("recurrent_gemma").RecurrentGemmaRecurrentBlock(config, 0))
    ours = rd.compile_layer("rg_lru", d_model=D, heads=4, V=4).double()
    held = theirs.state_dict()
    names = {
        "x.linear.weight": held["linear_x.weight"],
        "x.linear.bias": held["linear_x.bias"],
        "x.conv.weight": held["conv_1d.weight"],
        "x.conv.bias": held["conv_1d.bias"],
        "i.linear.weight": held["rg_lru.input_gate_weight"].transpose(1, 2),
        "i.linear.bias": held["rg_lru.input_gate_bias"],
        "r.linear.weight": held["rg_lru.recurrent_gate_weight"].transpose(1, 2),
        "r.linear.bias": held["rg_lru.recurrent_gate_bias"],
        "mixer.rate": held["rg_lru.recurrent_param"].view(4, 4),
        "z.linear.weight": held["linear_y.weight"],
        "z.linear.bias": held["linear_y.bias"],
        "out.linear.weight": held["linear_out.weight"],
        "out.linear.bias": held["linear_out.bias"],
    }
    ours.load_state_dict(names)
    x = tokens()
    positions = torch.arange(x.shape[1]).expand(2, -1)
    rglru = theirs.rg_lru
    with torch.no_grad():
        rglru._rnn_scan = in_float64(rglru._rnn_scan)
        want = hf.run(theirs, x, positions, None, use_cache=False)[0]
    assert_same(ours, x, want)


def in_float64(scan: Any) -> Any:
    """The scan with its accumulator in float64."""
    return lambda **options: scan(**options, acc_dtype=torch.float64)


@pytest.mark.parametrize("index", [0, 2])
def test_minimax(index: int) -> None:
    from transformers import MiniMaxConfig

    config = MiniMaxConfig(
        hidden_size=D, num_attention_heads=4, num_key_value_heads=4, head_dim=6, num_hidden_layers=4, block_size=8,
        hidden_act="silu", layer_types=["linear_attention"] * 4,
    )  # fmt: skip
    theirs = hf.randomised(hf.modeling("minimax").MiniMaxLightningAttention(config, index))
    exact_decays(theirs)
    ours = rd.compile_layer("minimax", d_model=D, heads=4, K=6, V=6, layer_index=index, layers=4).double()
    held = theirs.state_dict()
    q, k, v = held["qkv_proj.weight"].view(4, 3, 6, D).unbind(1)
    names = {
        "q.linear.weight": q.reshape(24, D),
        "k.linear.weight": k.reshape(24, D),
        "v.linear.weight": v.reshape(24, D),
        "z.linear.weight": held["output_gate.weight"],
        "out.rmsnorm.weight": held["norm.weight"],
        "out.linear.weight": held["out_proj.weight"],
    }
    ours.load_state_dict(names)
    with torch.no_grad():
        want = hf.run(theirs, tokens(), None, None)[0]
    assert_same(ours, tokens(), want)


def exact_decays(theirs: Any) -> None:
    """Recomputes the decays, made in float32, from the same formula in float64."""
    heads = torch.arange(theirs.num_attention_heads, dtype=torch.float64) + 1
    factor = 1 - theirs.layer_idx / (theirs.num_hidden_layers - 1 + 1e-5) + 1e-5
    rate = ((2 ** (-8 / theirs.num_attention_heads)) ** heads * factor)[:, None, None]
    assert (rate - theirs.slope_rate).abs().max() < 1e-6
    theirs.slope_rate = rate
    theirs.query_decay, theirs.key_decay, theirs.diagonal_decay = theirs.decay_factors(rate)


@pytest.mark.parametrize("value_heads", [2, 4])
def test_qwen3_next(value_heads: int) -> None:
    """With more value heads than key heads, the layer makes queries and keys per group."""
    from transformers import Qwen3NextConfig

    config = Qwen3NextConfig(
        hidden_size=D, linear_num_value_heads=value_heads, linear_num_key_heads=2, linear_key_head_dim=4,
        linear_value_head_dim=6, linear_conv_kernel_dim=4, num_hidden_layers=1, rms_norm_eps=1e-6, hidden_act="silu",
        layer_types=["linear_attention"],
    )  # fmt: skip
    theirs = hf.randomised(hf.modeling("qwen3_next").Qwen3NextGatedDeltaNet(config, 0))
    text = rd.load("gated_delta_net").source.text.replace("linear[K](x)", "linear[groups, K](x)")
    ours = rd.compile_layer(text, d_model=D, heads=value_heads, groups=2, K=4, V=6, norm_eps=1e-6).double()
    ours.load_state_dict(qwen3_next_weights(theirs.state_dict(), value_heads))
    with torch.no_grad():
        want = hf.run(theirs, tokens())
    assert_same(ours, tokens(), want)


def qwen3_next_weights(held: dict[str, Tensor], value_heads: int) -> dict[str, Tensor]:
    """The projections, which lie interleaved by key head, taken apart."""
    each = value_heads // 2
    parts = held["in_proj_qkvz.weight"].view(2, 8 + 12 * each, D).split([4, 4, 6 * each, 6 * each], 1)
    q, k, v, z = (part.reshape(-1, D) for part in parts)
    b, a = (part.reshape(-1, D) for part in held["in_proj_ba.weight"].view(2, 2 * each, D).split([each, each], 1))
    conv = held["conv1d.weight"].split([8, 8, 6 * value_heads])
    return {
        "q.linear.weight": q,
        "k.linear.weight": k,
        "v.linear.weight": v,
        "z.linear.weight": z,
        "beta.linear.weight": b,
        "dt.linear.weight": a,
        "q.conv.weight": conv[0],
        "k.conv.weight": conv[1],
        "v.conv.weight": conv[2],
        "mixer.A_log": held["A_log"],
        "mixer.dt_bias": held["dt_bias"],
        "out.rmsnorm.weight": held["norm.weight"],
        "out.linear.weight": held["out_proj.weight"],
    }
