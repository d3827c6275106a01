"""Layers begin as the published ones do: as many parameters, each tensor drawn from the same distribution."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import recurrence_dsl as rd
from recurrence_dsl.layers import Layer

from . import fla_on_cpu as cpu
from . import transformers_on_cpu as hf

D = 256


@dataclass(frozen=True)
class Case:
    """A published layer in its first state, and the spec that begins like it."""

    spec: str
    format: str
    published: Callable[[], nn.Module]
    sizes: Mapping[str, Any]
    apart: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    """Tensors for which the spec follows another convention: what they are drawn like instead."""


def fla(path: str, name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: getattr(cpu.fla(f"layers.{path}"), name)(hidden_size=D, **options)


def mamba2() -> nn.Module:
    from transformers import Mamba2Config

    config = Mamba2Config(hidden_size=D, num_heads=64, head_dim=8, state_size=16, n_groups=2, num_hidden_layers=1)
    return hf.modeling("mamba2").Mamba2Mixer(config, 0)


def mamba() -> Any:
    from transformers import MambaConfig

    return (
        hf.modeling("mamba").MambaModel(MambaConfig(vocab_size=2, hidden_size=D, num_hidden_layers=1)).layers[0].mixer
    )


def qwen3_next() -> nn.Module:
    from transformers import Qwen3NextConfig

    config = Qwen3NextConfig(
        hidden_size=D, linear_num_value_heads=64, linear_num_key_heads=64, linear_key_head_dim=4,
        linear_value_head_dim=6, num_hidden_layers=1, layer_types=["linear_attention"],
    )  # fmt: skip
    return hf.modeling("qwen3_next").Qwen3NextGatedDeltaNet(config, 0)


def uniform(low: float, high: float) -> Callable[[Tensor], Tensor]:
    return lambda like: torch.empty_like(like).uniform_(low, high)


FLA = (
    Case("gla", "fla-gla", fla("gla", "GatedLinearAttention"), {"heads": 4, "K": 32, "V": 64}),
    Case("retnet", "fla-retnet", fla("multiscale_retention", "MultiScaleRetention"), {"heads": 8, "K": 32, "V": 64}),
    Case("hgrn2", "fla-hgrn2", fla("hgrn2", "HGRN2Attention", layer_idx=0), {"heads": 2, "K": 128, "V": 128}),
    Case("delta_net", "fla-delta_net", fla("delta_net", "DeltaNet"), {"heads": 4, "K": 64, "V": 64}),
    Case(
        "rwkv7", "fla-rwkv7", fla("rwkv7", "RWKV7Attention", head_dim=64, layer_idx=0, num_hidden_layers=4),
        {"heads": 4, "K": 64, "V": 64, "layers": 4, "decay_rank": 32, "rate_rank": 32, "gate_rank": 64},
    ),
    Case(
        "gated_delta_net", "fla-gated_deltanet", fla("gated_deltanet", "GatedDeltaNet", num_heads=64, head_dim=8),
        {"heads": 64, "K": 8, "V": 16},
    ),
    Case("kda", "fla-kda", fla("kda", "KimiDeltaAttention", num_heads=64, head_dim=8), {"heads": 64, "K": 8, "V": 8}),
    Case("gated_slots", "fla-gsa", fla("gsa", "GatedSlotAttention"), {"heads": 4, "K": 64, "V": 64, "M": 64}),
    Case("hgrn", "fla-hgrn", fla("hgrn", "HGRNAttention", layer_idx=0), {"heads": 1, "V": D}),
)  # fmt: skip
TRANSFORMERS = (
    Case(
        "mamba2", "hf-mamba2", mamba2, {"heads": 64, "K": 16, "V": 8, "groups": 2},
        {"A_log": lambda like: uniform(1, 16)(like).log()},
    ),
    Case(
        "selective_scan", "hf-mamba", mamba, {"heads": 1, "V": 512, "N": 16},
        {
            "in_proj.weight": uniform(-(D**-0.5), D**-0.5), "x_proj.weight": uniform(-(512**-0.5), 512**-0.5),
            "conv1d.bias": uniform(-0.5, 0.5),
        },
    ),
)  # fmt: skip


def made(case: Case) -> tuple[nn.Module, Layer]:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = case.published()
    return theirs, rd.compile_layer(case.spec, d_model=D, **case.sizes)


def alike(ours: Tensor, theirs: Tensor) -> bool:
    """The same numbers, or, by Kolmogorov's and Smirnov's test, draws from one distribution (wrong once in 1e4)."""
    a, b = ours.flatten(), theirs.flatten()
    if a.shape == b.shape and torch.allclose(a, b, atol=1e-5):
        return True
    a, b = a.sort().values, b.sort().values
    both = torch.cat((a, b))
    shares = (torch.searchsorted(x, both, right=True) / x.numel() for x in (a, b))
    distance = (next(shares) - next(shares)).abs().max().item()
    return distance < 2.2 * (1 / a.numel() + 1 / b.numel()) ** 0.5


@pytest.mark.parametrize("case", FLA + TRANSFORMERS, ids=lambda case: case.spec)
def test_a_layer_begins_as_the_published_one(case: Case) -> None:
    theirs, ours = made(case)
    exported = rd.weights.export(ours, case.format)
    for name, tensor in theirs.state_dict().items():
        want = case.apart[name](tensor) if name in case.apart else tensor
        assert alike(exported[name], want), name
    counted = [p.numel() for name, p in ours.named_parameters() if name not in ours.across_layers]
    assert sum(counted) == sum(p.numel() for p in theirs.parameters())


def test_two_distributions_are_told_apart() -> None:
    torch.manual_seed(0)
    drawn = torch.randn(64, 64)
    assert alike(drawn, torch.randn(64, 64))
    assert not alike(drawn, torch.randn(64, 64) * 1.2)
    assert not alike(drawn, torch.randn(64, 64) + 0.2)
    assert not alike(drawn, torch.zeros(64, 64))


def test_gated_delta_net_begins_as_qwen3_next() -> None:
    torch.manual_seed(0)
    theirs = qwen3_next()
    ours = rd.compile_layer("gated_delta_net", d_model=D, heads=64, K=4, V=6)
    pairs = {
        "mixer.A_log": "A_log", "q.linear.weight": "in_proj_qkvz.weight", "v.conv.weight": "conv1d.weight",
        "out.linear.weight": "out_proj.weight",
    }  # fmt: skip
    assert all(alike(ours.get_parameter(a), theirs.get_parameter(b)) for a, b in pairs.items())
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


def test_rg_lru_begins_as_recurrent_gemma() -> None:
    from transformers import RecurrentGemmaConfig

    torch.manual_seed(0)
    config = RecurrentGemmaConfig(
        vocab_size=2, hidden_size=D, lru_width=D, num_attention_heads=4, num_hidden_layers=3,
        attention_window_size=2, block_types=["recurrent"], intermediate_size=6,
    )  # fmt: skip
    theirs = hf.modeling("recurrent_gemma").RecurrentGemmaModel(config).layers[0].temporal_block
    ours = rd.compile_layer("rg_lru", d_model=D, heads=4, V=64, layers=3)
    names = {
        "x.linear": "linear_x", "x.conv": "conv_1d", "z.linear": "linear_y", "out.linear": "linear_out",
    }  # fmt: skip
    pairs = [(f"{a}.{kind}", f"{b}.{kind}") for a, b in names.items() for kind in ("weight", "bias")]
    pairs += [
        (f"{a}.linear.{kind}", f"rg_lru.{b}_gate_{kind}")
        for a, b in (("i", "input"), ("r", "recurrent"))
        for kind in ("weight", "bias")
    ]
    pairs.append(("mixer.rate", "rg_lru.recurrent_param"))
    for a, b in pairs:
        assert alike(ours.get_parameter(a), theirs.get_parameter(b)), a
    assert len(pairs) == len(list(theirs.parameters()))
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


def rwkv6_published(layer: int, layers: int, heads: int, width: int) -> dict[str, Tensor]:
    """The time mix's first tensors as published, feature by feature, under the keys of the spec's layer."""
    size = heads * width
    late, early = layer / (layers - 1), 1 - layer / layers
    n = torch.arange(size, dtype=torch.float64)
    mixes = {"k": (1, 0), "w": (1, 0), "v": (1, 0.3 * late), "r": (0.5, 0), "g": (0.5, 0)}
    mix = {name: 1 - ((n / size) ** (power * early) + less) for name, (power, less) in mixes.items()}
    zigzag = torch.tensor([((i + 1) % 3 - 1) * 0.1 for i in range(size)], dtype=torch.float64)
    return {
        "mu": mix["w"],
        **{f"m{ours}.linear.up.bias": mix[theirs] for ours, theirs in zip("dkvrz", "wkvrg", strict=True)},
        **{f"m{ours}.linear.down.weight": torch.zeros(32, size) for ours in "dkvrz"},
        **{f"m{ours}.linear.up.weight": torch.empty(size, 32).uniform_(-0.01, 0.01) for ours in "dkvrz"},
        "d.linear.down.weight": torch.zeros(64, size),
        "d.linear.up.weight": torch.empty(size, 64).uniform_(-0.01, 0.01),
        "d.linear.up.bias": -6 + 5 * (n / (size - 1)) ** (0.7 + 1.3 * late),
        "mixer.u": late * (1 - n / (size - 1)) + zigzag,
        "r.linear.weight": nn.init.orthogonal_(torch.empty(size, size)),
        "k.linear.weight": nn.init.orthogonal_(torch.empty(size, size), gain=0.1),
        "v.linear.weight": nn.init.orthogonal_(torch.empty(size, size)),
        "z.linear.weight": nn.init.orthogonal_(torch.empty(size, size), gain=0.1),
        "out.linear.weight": torch.zeros(size, size),
        "out.groupnorm.weight": torch.full((size,), ((1 + layer) / layers) ** 0.7),
        "out.groupnorm.bias": torch.zeros(size),
    }


@pytest.mark.parametrize("index", [0, 2])
def test_rwkv6_begins_as_published(index: int) -> None:
    torch.manual_seed(0)
    ours = rd.compile_layer("rwkv6", d_model=D, heads=4, K=64, V=64, layer_index=index, layers=4)
    want = rwkv6_published(index, 4, 4, 64)
    held = ours.state_dict()
    assert held.keys() == want.keys()
    for name, tensor in held.items():
        assert tensor.numel() == want[name].numel()
        assert alike(tensor.double().flatten(), want[name].double().flatten()), name
