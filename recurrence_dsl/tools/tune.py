"""`recurrence tune`: measures a spec's kernels for one kind and size of call, and keeps the results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..check.spec import Spec
from ..diagnostics import CallError
from ..runtime.choices import has_gpu, interpreting
from ..runtime.compile import compile
from ..runtime.tuning import save, tuner
from ..testing.case import DTYPES, Case, case_for
from ..testing.random_inputs import draw_inputs

DRAWN = 64
"""Tokens that are drawn; longer sequences repeat them, since kernels take as long for any numbers."""


def tune_spec(
    spec: Spec,
    settings: Mapping[str, float],
    heads: int,
    groups: int,
    dtype: str,
    batch: int,
    length: int,
    path: Path | None,
) -> str:
    """Tunes both passes of a call with these shapes; one line a pass says what was found.

    Raises CallError where there is neither a GPU nor Triton's interpreter, and for a dtype that kernels do not take.
    """
    if dtype not in DTYPES or dtype == "float64":
        raise CallError("R0407", f"dtype={dtype!r} is nothing that kernels take", "bfloat16, float16 or float32")
    if not has_gpu() and not interpreting():
        raise CallError("R0405", "there is no GPU to measure kernels on", "run this on a machine with one")
    device = "cuda" if has_gpu() else "cpu"
    groups = groups if any(i.per_group for i in spec.inputs) else 1
    chosen: dict[str, Any] = dict(settings)
    mixer = compile(spec, heads=heads, groups=groups, backend="triton", **chosen).to(device)
    case = case_for(
        spec, heads=heads, groups=groups, batch=batch, length=min(length, DRAWN), dtype=dtype, sizes=mixer.choices.sizes
    )
    inputs = {n: _long(x, length).to(device).requires_grad_() for n, x in _drawn(spec, case).items()}
    state = mixer.initial_state(batch, device=device)
    tuner.TUNER.wanted = lambda x: True
    tuner.ready(mixer, inputs, state, None)
    module = mixer.kernels
    tensors = [inputs[row[0]] for row in module.INPUTS]
    keys = [module.tuning_key(table, tensors, None, heads) for table in tuner.PASSES]
    found = [f"{key}: {module.TUNED[key]}" for key in keys]
    return "\n".join([*found, *([f"written to {save(path, [module.NAME])}"] if path else [])])


def _drawn(spec: Spec, case: Case) -> Mapping[str, Tensor]:
    return draw_inputs(spec, case).inputs


def _long(x: Tensor, length: int) -> Tensor:
    """[B, DRAWN, ..] -> [B, length, ..]."""
    times = -(-length // x.shape[1])
    return torch.cat([x] * times, 1)[:, :length].contiguous()
