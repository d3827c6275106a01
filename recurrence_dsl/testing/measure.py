"""Compares tensors with references, in units of the tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .case import Case
from .tolerance import tolerance

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
    moved: Callable[[], Tensors] | None = None,
    dtype: torch.dtype | None = None,
) -> Error:
    """The worst error over tensors of the same names.

    An error is measured against the largest magnitude of its reference, but not below `floors[name]`. Where that is
    not enough and `moved` is given, it is also measured against what the reference itself moves under a relative
    perturbation of the inputs: no algorithm can be asked for more than its rounded inputs determine. `moved()` gives
    the reference's change for a unit relative perturbation. Where the reference is not finite, nothing is asked.
    """
    got = {name: tensor.detach() for name, tensor in got.items()}
    terms = max((size for _, size in case.sizes), default=1)
    allowed = tolerance(dtype or case.torch_dtype, case.length, terms, case.gates.depth * case.length)
    scales = {name: max(_size(want[name]), (floors or {}).get(name, 0.0)) for name in want}
    found = [_error(name, got[name], want[name], allowed * scales[name]) for name in want]
    if moved is None or worst(found).units <= 1:
        return worst(found)
    changes = moved()
    return worst(
        _error(name, got[name], want[name], allowed * max(scales[name], _size(changes[name]))) for name in want
    )


def identical(got: Tensors, want: Tensors) -> Error:
    """Bit for bit: any difference is infinitely many units, equal NaNs are equal."""
    return worst(_difference(name, got[name], want[name]) for name in want)


def _difference(name: str, got: Tensor, want: Tensor) -> Error:
    if got.shape == want.shape and torch.equal(torch.nan_to_num(got), torch.nan_to_num(want)):
        return Error(name, 0.0, 0.0)
    absolute = _size(got.to(want.dtype) - want) if got.shape == want.shape else math.inf
    return Error(name, absolute, math.inf)


def _error(name: str, got: Tensor, want: Tensor, admissible: float) -> Error:
    if got.shape != want.shape:
        return Error(f"{name}: shape {list(got.shape)} instead of {list(want.shape)}", math.inf, math.inf)
    asked = torch.isfinite(want)
    difference = torch.where(asked, (got.to(want.dtype) - want).abs(), 0.0)
    if not torch.isfinite(difference).all():
        return Error(f"{name}: not finite", math.inf, math.inf)
    absolute = float(difference.max()) if difference.numel() else 0.0
    if absolute == 0.0:
        return Error(name, 0.0, 0.0)
    return Error(name, absolute, absolute / admissible if admissible > 0 else math.inf)


def _size(tensor: Tensor) -> float:
    """The largest finite magnitude."""
    magnitudes = torch.where(torch.isfinite(tensor), tensor.abs(), 0.0)
    return float(magnitudes.max()) if magnitudes.numel() else 0.0
