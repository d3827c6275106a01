"""Every shipped spec with a layer block, built small."""

from __future__ import annotations

from typing import Any

import torch

import recurrence_dsl as rd
from recurrence_dsl.layers import Layer
from recurrence_dsl.resources import shipped_specs

D = 16
SPECS = tuple(path.stem for path in shipped_specs() if "\nlayer " in path.read_text(encoding="utf-8"))
GROUPED = ("mamba2", "selective_scan")


def sizes(spec: Any) -> dict[str, int]:
    """A different even size for each dim, save that a renamed axis must keep its size."""
    found = {dim.name: 2 * (index + 2) for index, dim in enumerate(spec.dims)}
    if "J" in found:
        found["J"] = found["K"]
    return found


def layer(name: str, **options: Any) -> Layer:
    """A layer in float64, the second of three, with four heads."""
    spec = rd.load(name)
    groups = {"groups": 2} if name in GROUPED else {}
    torch.manual_seed(0)
    given: dict[str, Any] = {"d_model": D, "heads": 4, "layer_index": 1, "layers": 3} | groups | sizes(spec) | options
    module = rd.compile_layer(spec, **given).double()
    for parameter in module.parameters():
        if parameter.ndim > 1 and not parameter.any():  # as published, but it would hide what lies behind it
            parameter.data.normal_(std=0.3)
    return module


def tokens(batch: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, length, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
