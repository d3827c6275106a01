"""Each layer with fla's weights gives what fla's layer gives: whole sequences, and token by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

import recurrence_dsl as rd

from . import fla_on_cpu as cpu

D, H = 16, 4


@dataclass(frozen=True)
class Case:
    """A layer of fla and the spec that is to be equal to it."""

    spec: str
    format: str
    path: str
    name: str
    options: Mapping[str, Any]
    functions: Mapping[str, Callable[..., Any]]
    sizes: Mapping[str, Any]
    call: Mapping[str, Any] = field(default_factory=dict)


def both(name: str, op: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """An operator's chunk and recurrent kernels."""
    return {f"chunk_{name}": op, f"fused_recurrent_{name}": op}


def bounds(layers: int, index: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Raw lower bounds of a model, and what fla's model makes of them for one layer."""
    raw = torch.randn(layers, width, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    share = raw.softmax(0)
    return raw, (share.cumsum(0) - share[0])[index]


RAW, LOWER = bounds(3, 2, D)
HGRN2_FUNCTIONS = both("gla", cpu.gla) | {"rms_norm_linear": cpu.norm_linear, "swish": cpu.F.silu}
HGRN_FUNCTIONS = both("hgrn", cpu.hgrn) | {"swiglu": lambda x, y: x.sigmoid() * x * y}
CASES = (
    Case(
        "gla", "fla-gla", "layers.gla", "GatedLinearAttention",
        {"hidden_size": D, "num_heads": H}, both("gla", cpu.gla), {"K": 2, "V": 4},
    ),
    Case(
        "retnet", "fla-retnet", "layers.multiscale_retention", "MultiScaleRetention",
        {"hidden_size": D, "num_heads": H}, both("retention", cpu.retention), {"K": 4, "V": 8},
    ),
    Case(
        "hgrn2", "fla-hgrn2", "layers.hgrn2", "HGRN2Attention",
        {"hidden_size": D, "expand_ratio": None, "num_heads": H, "layer_idx": 0},
        HGRN2_FUNCTIONS, {"K": 4, "V": 4, "scale": 0.5},
    ),
    Case(
        "hgrn2", "fla-hgrn2", "layers.hgrn2", "HGRN2Attention",
        {"hidden_size": D, "expand_ratio": None, "num_heads": H, "layer_idx": 2},
        HGRN2_FUNCTIONS,
        {"K": 4, "V": 4, "scale": 0.5, "layer_index": 2, "layers": 3}, {"lower_bound": LOWER},
    ),
    Case(
        "delta_net", "fla-delta_net", "layers.delta_net", "DeltaNet",
        {"hidden_size": D, "num_heads": H}, both("delta_rule", cpu.delta_rule), {"K": 4, "V": 4},
    ),
    Case(
        "rwkv6", "fla-rwkv6", "layers.rwkv6", "RWKV6Attention",
        {"hidden_size": D, "num_heads": H, "proj_low_rank_dim": 3, "gate_low_rank_dim": 5},
        both("rwkv6", cpu.rwkv6) | {"token_shift": cpu.shift},
        {"K": 2, "V": 4, "mix_rank": 3, "decay_rank": 5, "norm_eps": 1e-5},
    ),
    Case(
        "rwkv7", "fla-rwkv7", "layers.rwkv7", "RWKV7Attention",
        {"hidden_size": D, "head_dim": 4, "layer_idx": 0, "num_hidden_layers": 2, "fuse_norm": True,
         "decay_low_rank_dim": 3, "gate_low_rank_dim": 5, "a_low_rank_dim": 4},
        cpu.RWKV7, {"K": 4, "V": 4, "decay_rank": 3, "rate_rank": 4, "gate_rank": 5, "norm_eps": 4e-5},
    ),
    Case(
        "gated_delta_net", "fla-gated_deltanet", "layers.gated_deltanet", "GatedDeltaNet",
        {"hidden_size": D, "num_heads": H, "head_dim": 4, "expand_v": 2},
        both("gated_delta_rule", cpu.gated_delta_rule) | {"causal_conv1d": cpu.convolution}, {"K": 4, "V": 8},
    ),
    Case(
        "kda", "fla-kda", "layers.kda", "KimiDeltaAttention",
        {"hidden_size": D, "num_heads": H, "head_dim": 4}, both("kda", cpu.kda), {"K": 4, "V": 4},
    ),
    Case(
        "gated_slots", "fla-gsa", "layers.gsa", "GatedSlotAttention",
        {"hidden_size": D, "num_heads": H, "num_slots": 3},
        both("gsa", cpu.gsa) | {"rms_norm_linear": cpu.norm_linear}, {"K": 4, "V": 4, "M": 3},
    ),
    Case(
        "hgrn", "fla-hgrn", "layers.hgrn", "HGRNAttention",
        {"hidden_size": D, "layer_idx": 2}, HGRN_FUNCTIONS,
        {"V": D, "heads": 1, "layer_index": 2, "layers": 3}, {"lower_bound": LOWER},
    ),
)  # fmt: skip


def ids(case: Case) -> str:
    return f"{case.spec}-{case.options.get('layer_idx', 0)}"


def pair(case: Case) -> tuple[torch.nn.Module, Any]:
    """fla's layer and ours, with the same weights."""
    theirs = cpu.make(case.path, case.name, **case.options)
    ours = rd.compile_layer(case.spec, **({"d_model": D, "heads": H} | dict(case.sizes))).double()
    report = rd.weights.load(ours, theirs.state_dict(), case.format, strict=False)
    across = set(ours.across_layers)
    assert not report.unmatched
    assert not report.misshaped
    assert all(any(name in missing for name in across) for missing in report.missing), report
    if "lower_bound" in case.call:
        ours.bounds.data = RAW.view(ours.bounds.shape).clone()
    return theirs, ours


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_equal_to_fla(case: Case) -> None:
    theirs, ours = pair(case)
    x = torch.randn(2, 21, D, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    with cpu.on_cpu(case.path, case.functions), torch.no_grad():
        want = theirs(x, **case.call)[0]
        got = ours(x)
    scale = want.abs().max()
    assert scale > 1e-3
    assert (got - want).abs().max() < 1e-10 * max(1.0, scale)
    state, steps = None, []
    with torch.no_grad():
        for t in range(x.shape[1]):
            y, state = ours.step(x[:, t], state)
            steps.append(y)
    assert (torch.stack(steps, 1) - want).abs().max() < 1e-10 * max(1.0, scale)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_equal_to_fla_in_float32(case: Case) -> None:
    theirs, ours = pair(case)
    x = torch.randn(2, 21, D, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    with cpu.on_cpu(case.path, case.functions), torch.no_grad():
        want = theirs(x, **case.call)[0]
        got = ours.float()(x.float())
    assert (got - want).abs().max() < 1e-5 * max(1.0, want.abs().max())


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_as_many_parameters_as_fla(case: Case) -> None:
    theirs, ours = pair(case)
    tied = sum(ours.get_parameter(name).numel() for name in ours.across_layers)
    assert sum(p.numel() for p in ours.parameters()) - tied == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_weights_go_back_exactly(case: Case) -> None:
    theirs, ours = pair(case)
    exported = rd.weights.export(ours, case.format)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(exported[name], tensor), name
