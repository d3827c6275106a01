"""Language models that fla saves: the same logits here, and the same tensors after going there and back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import recurrence_dsl as rd

from . import fla_on_cpu as cpu
from .test_fla_layers import HGRN2_FUNCTIONS, HGRN_FUNCTIONS, both


@dataclass(frozen=True)
class Model:
    """A model class of fla, and what stands in for the kernels of its layers."""

    package: str
    name: str
    layer: str
    functions: Mapping[str, Callable[..., Any]]
    options: Mapping[str, Any] = field(default_factory=lambda: {"num_heads": 4})


MODELS = (
    Model("gla", "GLA", "gla", both("gla", cpu.gla)),
    Model("retnet", "RetNet", "multiscale_retention", both("retention", cpu.retention)),
    Model("hgrn2", "HGRN2", "hgrn2", HGRN2_FUNCTIONS, {"num_heads": 4, "expand_ratio": None}),
    Model("hgrn", "HGRN", "hgrn", HGRN_FUNCTIONS, {}),
    Model("delta_net", "DeltaNet", "delta_net", both("delta_rule", cpu.delta_rule)),
    Model(
        "gated_deltanet", "GatedDeltaNet", "gated_deltanet",
        both("gated_delta_rule", cpu.gated_delta_rule) | {"causal_conv1d": cpu.convolution},
        {"num_heads": 4, "head_dim": 4},
    ),
    Model("kda", "KDA", "kda", both("kda", cpu.kda), {"num_heads": 4, "head_dim": 4}),
    Model(
        "gsa", "GSA", "gsa", both("gsa", cpu.gsa) | {"rms_norm_linear": cpu.norm_linear},
        {"num_heads": 4, "num_slots": 3},
    ),
)  # fmt: skip


def test_every_format_of_a_fla_model_is_tested() -> None:
    formats = [rd.weights.read_format(name) for name in rd.weights.formats() if name.startswith("fla-")]
    assert {format.model_type for format in formats if format.model} == {model.package for model in MODELS}


def published(model: Model, folder: Path) -> nn.Module:
    """A tiny random model, saved as fla saves it."""
    config = getattr(cpu.fla(f"models.{model.package}.configuration_{model.package}"), f"{model.name}Config")
    made = getattr(cpu.fla(f"models.{model.package}.modeling_{model.package}"), f"{model.name}ForCausalLM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = made(config(hidden_size=16, num_hidden_layers=3, vocab_size=23, **model.options)).eval()
        generator = torch.Generator().manual_seed(0)
        for parameter in theirs.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
        theirs.save_pretrained(folder)
    return theirs


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.package)
def test_the_same_logits(model: Model, tmp_path: Path) -> None:
    theirs = published(model, tmp_path).double()
    ours = rd.weights.model_from(tmp_path).double()
    tokens = torch.randint(23, (2, 17), generator=torch.Generator().manual_seed(1))
    forward: Any = cpu.doubled(theirs.get_submodule("model").forward)
    with cpu.on_cpu(f"layers.{model.layer}", model.functions), torch.no_grad():
        hidden = forward(tokens, use_cache=False).last_hidden_state
        want = hidden @ theirs.get_parameter("lm_head.weight").T
        got = ours(tokens)
    assert (got - want).abs().max() < 1e-10 * max(1.0, float(want.abs().max()))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.package)
def test_there_and_back(model: Model, tmp_path: Path) -> None:
    published(model, tmp_path / "theirs")
    rd.weights.convert(tmp_path / "theirs", tmp_path / "ours")
    rd.weights.convert(tmp_path / "ours", tmp_path / "back", to=f"fla-{model.package}")
    first, second = (rd.weights.read_tensors(tmp_path / place) for place in ("theirs", "back"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
