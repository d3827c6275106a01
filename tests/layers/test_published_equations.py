"""Layers against the equations of models whose code is no package: BlinkDL's RWKV-6, torchscale's retention."""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import recurrence_dsl as rd

from .transformers_on_cpu import stepped

D, H, K = 16, 4, 4
DOUBLE = torch.float64


def drawn(*shape: int, seed: int) -> Tensor:
    return 0.4 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def rwkv6_weights(rank: int, decay_rank: int) -> dict[str, Tensor]:
    """Random weights under the names and in the shapes of the published RWKV-6 time mix."""
    shapes: dict[str, tuple[int, ...]] = {
        **{f"time_maa_{name}": (D,) for name in "xwkvrg"},
        "time_maa_w1": (D, 5 * rank),
        "time_maa_w2": (5, rank, D),
        "time_decay": (D,),
        "time_decay_w1": (D, decay_rank),
        "time_decay_w2": (decay_rank, D),
        "time_faaaa": (H, K),
        **dict.fromkeys(("receptance", "key", "value", "gate", "output"), (D, D)),
        "ln_x.weight": (D,),
        "ln_x.bias": (D,),
    }
    return {name: drawn(*shape, seed=index) for index, (name, shape) in enumerate(shapes.items())}


def rwkv6_time_mix(x: Tensor, w: dict[str, Tensor]) -> Tensor:
    """The time mix as published, its recurrence written as a loop over tokens."""
    xx = F.pad(x, (0, 0, 1, -1)) - x
    xxx = torch.tanh((x + xx * w["time_maa_x"]) @ w["time_maa_w1"]).unflatten(-1, (5, -1))
    mw, mk, mv, mr, mg = torch.einsum("btnr,nrd->nbtd", xxx, w["time_maa_w2"])
    decay = w["time_decay"] + torch.tanh((x + xx * (w["time_maa_w"] + mw)) @ w["time_decay_w1"]) @ w["time_decay_w2"]
    k = (x + xx * (w["time_maa_k"] + mk)) @ w["key"].T
    v = (x + xx * (w["time_maa_v"] + mv)) @ w["value"].T
    r = (x + xx * (w["time_maa_r"] + mr)) @ w["receptance"].T
    g = F.silu((x + xx * (w["time_maa_g"] + mg)) @ w["gate"].T)
    decay, k, v, r = (t.unflatten(-1, (H, K)) for t in (torch.exp(-torch.exp(decay)), k, v, r))
    state, outputs = torch.zeros(x.shape[0], H, K, K, dtype=DOUBLE), []
    for t in range(x.shape[1]):
        kv = k[:, t, :, :, None] * v[:, t, :, None, :]
        outputs.append(torch.einsum("bhk,bhkv->bhv", r[:, t], state + w["time_faaaa"][:, :, None] * kv))
        state = decay[:, t, :, :, None] * state + kv
    y = torch.stack(outputs, 1).flatten(0, 1).flatten(1) / 8  # head_size_divisor
    y = F.group_norm(y, H, w["ln_x.weight"], w["ln_x.bias"], eps=1e-5).view(x.shape)
    return (y * g) @ w["output"].T


def rwkv6_names(w: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published weights under the keys of the spec's layer."""
    held = {
        "mu": w["time_maa_x"],
        "d.linear.down.weight": w["time_decay_w1"].T,
        "d.linear.up.weight": w["time_decay_w2"].T,
        "d.linear.up.bias": w["time_decay"],
        "mixer.u": w["time_faaaa"],
        "out.groupnorm.weight": w["ln_x.weight"],
        "out.groupnorm.bias": w["ln_x.bias"],
        "out.linear.weight": w["output"],
    }
    matrices = {"r": "receptance", "k": "key", "v": "value", "z": "gate"}
    held |= {f"{ours}.linear.weight": w[theirs] for ours, theirs in matrices.items()}
    down, up = w["time_maa_w1"].chunk(5, 1), w["time_maa_w2"]
    for index, (ours, theirs) in enumerate((("md", "w"), ("mk", "k"), ("mv", "v"), ("mr", "r"), ("mz", "g"))):
        held[f"{ours}.linear.down.weight"] = down[index].T
        held[f"{ours}.linear.up.weight"] = up[index].T
        held[f"{ours}.linear.up.bias"] = w[f"time_maa_{theirs}"]
    return held


def test_rwkv6() -> None:
    w, x = rwkv6_weights(3, 5), drawn(2, 19, D, seed=99)
    layer = rd.compile_layer("rwkv6", d_model=D, heads=H, K=K, V=K, mix_rank=3, decay_rank=5).double()
    layer.load_state_dict(rwkv6_names(w))
    want = rwkv6_time_mix(x, w)
    with torch.no_grad():
        assert (layer(x) - want).abs().max() < 1e-10
        assert (stepped(layer, x) - want).abs().max() < 1e-10


def rotate_pairs(x: Tensor) -> Tensor:
    """torchscale's rotation of interleaved pairs; x is [B, T, H, K]."""
    angle = (1 / 10000 ** torch.linspace(0, 1, K // 2, dtype=DOUBLE)).repeat_interleave(2)
    phase = (torch.arange(x.shape[1], dtype=DOUBLE)[:, None] * angle)[:, None]
    turned = torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2)
    return x * phase.cos() + turned * phase.sin()


def torchscale_retention(x: Tensor, w: dict[str, Tensor]) -> Tensor:
    """Retention in its parallel form, without the rescaling that the norm behind it cancels."""
    q, k, v = ((x @ w[name].T).unflatten(-1, (H, -1)) for name in ("q", "k", "v"))
    q, k = rotate_pairs(q), rotate_pairs(k * K**-0.5)
    distance = torch.arange(x.shape[1])[:, None] - torch.arange(x.shape[1])
    gamma = 1 - 2.0 ** (-5 - torch.arange(H, dtype=DOUBLE))
    mask = torch.where(distance >= 0, gamma[:, None, None] ** distance.clamp(min=0), 0.0)
    o = torch.einsum("bthk,bshk,hts,bshv->bthv", q, k, mask, v)
    o = o * torch.rsqrt(o.square().mean(-1, keepdim=True) + 1e-6)
    return (o.flatten(2) * F.silu(x @ w["z"].T)) @ w["out"].T


def test_the_documented_spec_of_torchscales_retention() -> None:
    page = (Path(__file__).parents[2] / "docs" / "conventions.md").read_text(encoding="utf-8")
    shown = re.search(r"```spec\n(mixer retnet_of_torchscale\n.*?)```", page, re.DOTALL)
    assert shown is not None
    layer = rd.compile_layer(shown[1], d_model=D, heads=H, K=K, V=2 * K).double()
    shapes = {"q": (D, D), "k": (D, D), "v": (2 * D, D), "z": (2 * D, D), "out": (D, 2 * D)}
    w = {name: drawn(*shape, seed=index) for index, (name, shape) in enumerate(shapes.items())}
    layer.load_state_dict({f"{name}.linear.weight": weight for name, weight in w.items()})
    x = drawn(2, 19, D, seed=99)
    want = torchscale_retention(x, w)
    with torch.no_grad():
        assert (layer(x) - want).abs().max() < 1e-10
        assert (stepped(layer, x) - want).abs().max() < 1e-10


def test_lightning() -> None:
    """TransNormerLLM's decays, exp(-8 h / H (1 - l / L)), in the parallel form of a layer that is not the first."""
    index, layers = 2, 5
    layer = rd.compile_layer("lightning", d_model=D, heads=H, K=K, V=K, layer_index=index, layers=layers).double()
    x = drawn(2, 19, D, seed=5)
    q, k, v, z = (F.linear(x, layer.get_parameter(f"{name}.linear.weight")) for name in "qkvz")
    q, k, v = (t.unflatten(-1, (H, K)) for t in (F.silu(q), F.silu(k), v))
    distance = torch.arange(19)[:, None] - torch.arange(19)
    rate = 8 * torch.arange(H, dtype=DOUBLE) / H * (1 - index / layers)
    mask = torch.where(distance >= 0, torch.exp(-rate[:, None, None] * distance.clamp(min=0)), 0.0)
    o = torch.einsum("bthk,bshk,hts,bshv->bthv", q, k, mask, v).flatten(2) * K**-0.5
    with torch.no_grad():
        want = F.linear(F.rms_norm(o, (D,), eps=1e-6) * z, layer.get_parameter("out.linear.weight"))
        assert (layer(x) - want).abs().max() < 1e-10
        assert (stepped(layer, x) - want).abs().max() < 1e-10


def test_min_gru() -> None:
    """The paper's first form: h = (1 - z) h + z c, with z a sigmoid of a map of the token and c another map."""
    layer = rd.compile_layer("min_gru", d_model=D, heads=H, V=K).double()
    x, h, outputs = drawn(2, 19, D, seed=6), torch.zeros(2, D, dtype=DOUBLE), []
    maps = {name: layer.get_submodule(f"{name}.linear") for name in "zc"}
    z, c = (F.linear(x, m.get_parameter("weight"), m.get_parameter("bias")) for m in maps.values())
    for t in range(19):
        h = (1 - z[:, t].sigmoid()) * h + z[:, t].sigmoid() * c[:, t]
        outputs.append(h)
    with torch.no_grad():
        want = F.linear(torch.stack(outputs, 1), layer.get_parameter("out.linear.weight"))
        assert (layer(x) - want).abs().max() < 1e-10
        assert (stepped(layer, x) - want).abs().max() < 1e-10
