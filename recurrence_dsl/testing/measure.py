"""Compares tensors with references, in units of the tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .case import Case
from .tolerance import tolerance, underflow

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Error:
    """The worst difference of one tensor: absolute, and in units of what is admissible (above 1: wrong)."""

    name: str
    absolute: float
    units: float


EXACT = Error("", 0.0, 0.0)


def worst(errors: Iterable[Error]) -> Error:
    """The largest in units; `EXACT` when there is none."""
    return max(errors, key=lambda e: e.units, default=EXACT)


def compare(
    got: Tensors,
    want: Tensors,
    case: Case,
    *,
    floors: Mapping[str, float] | None = None,
    slack: Callable[[], Mapping[str, float]] | None = None,
    dtype: torch.dtype | None = None,
) -> Error:
    """The worst error over tensors of the same names.

    An error is measured against the largest magnitude of its reference, but not below `floors[name]`. Where that is
    not enough and `slack` is given, `slack()[name]` is admitted if it is more: what the problem itself makes of rounded
    inputs and plain arithmetic. Where the reference is not finite, nothing is asked.
    """
    got = {name: tensor.detach() for name, tensor in got.items()}
    allowed, smallest = relative(case, dtype), underflow(dtype or case.torch_dtype)
    scales = {name: max(largest(want[name]), (floors or {}).get(name, 0.0)) for name in want}
    admitted = {name: allowed * scale + smallest for name, scale in scales.items()}
    found = worst(_error(name, got[name], want[name], admitted[name]) for name in want)
    if slack is None or found.units <= 1:
        return found
    more = slack()
    return worst(_error(name, got[name], want[name], max(admitted[name], more[name])) for name in want)


def relative(case: Case, dtype: torch.dtype | None = None) -> float:
    """The tolerance of a case, relative to the scale of a tensor."""
    terms = max((size for _, size in case.sizes), default=1)
    return tolerance(dtype or case.torch_dtype, case.length, terms, case.gates.depth * case.length)


def identical(got: Tensors, want: Tensors) -> Error:
    """Bit for bit: any difference is infinitely many units, equal NaNs are equal."""
    return worst(_difference(name, got[name], want[name]) for name in want)


def _difference(name: str, got: Tensor, want: Tensor) -> Error:
    if got.shape == want.shape and torch.equal(torch.nan_to_num(got), torch.nan_to_num(want)):
        return Error(name, 0.0, 0.0)
    absolute = largest(got.to(want.dtype) - want) if got.shape == want.shape else math.inf
    return Error(name, absolute, math.inf)


def _error(name: str, got: Tensor, want: Tensor, admissible: float) -> Error:
    if got.shape != want.shape:
        return Error(f"{name}: shape {list(got.shape)} instead of {list(want.shape)}", math.inf, math.inf)
    limit = torch.finfo(got.dtype).max / 2  # what overflows when it is stored is not asked for
    asked = torch.isfinite(want) & (want.abs() < limit)
    difference = torch.where(asked, (got.to(want.dtype) - want).abs(), 0.0)
    if not torch.isfinite(difference).all():
        return Error(f"{name}: not finite", math.inf, math.inf)
    absolute = float(difference.max()) if difference.numel() else 0.0
    if absolute == 0.0:
        return Error(name, 0.0, 0.0)
    return Error(name, absolute, absolute / admissible if admissible > 0 else math.inf)


def largest(tensor: Tensor) -> float:
    """The largest finite magnitude."""
    tensor = tensor.detach()
    magnitudes = torch.where(torch.isfinite(tensor), tensor.abs(), 0.0)
    return float(magnitudes.max()) if magnitudes.numel() else 0.0
