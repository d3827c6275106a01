"""The language's pointwise functions on torch tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..expr import Fn

Operand = Tensor | float


def _minimum(a: Operand, b: Operand) -> Operand:
    if isinstance(a, Tensor):
        return torch.minimum(a, b) if isinstance(b, Tensor) else a.clamp(max=b)
    return b.clamp(max=a) if isinstance(b, Tensor) else min(a, b)


def _maximum(a: Operand, b: Operand) -> Operand:
    if isinstance(a, Tensor):
        return torch.maximum(a, b) if isinstance(b, Tensor) else a.clamp(min=b)
    return b.clamp(min=a) if isinstance(b, Tensor) else max(a, b)


TORCH: Mapping[Fn, Callable[..., Any]] = {
    Fn.NEG: operator.neg,
    Fn.ADD: operator.add,
    Fn.SUB: operator.sub,
    Fn.MUL: operator.mul,
    Fn.DIV: operator.truediv,
    Fn.POW: operator.pow,
    Fn.EXP: torch.exp,
    Fn.LOG: torch.log,
    Fn.SQRT: torch.sqrt,
    Fn.ABS: torch.abs,
    Fn.SIGMOID: torch.sigmoid,
    Fn.LOGSIGMOID: F.logsigmoid,
    Fn.SOFTPLUS: F.softplus,
    Fn.TANH: torch.tanh,
    Fn.RELU: F.relu,
    Fn.SILU: F.silu,
    Fn.GELU: F.gelu,
    Fn.ELU: F.elu,
    Fn.SIN: torch.sin,
    Fn.COS: torch.cos,
    Fn.SQUARE: torch.square,
    Fn.MIN: _minimum,
    Fn.MAX: _maximum,
    Fn.RE: torch.real,
    Fn.IM: torch.imag,
}

ARITY: Mapping[Fn, int] = {fn: 2 if fn in (Fn.ADD, Fn.SUB, Fn.MUL, Fn.DIV, Fn.POW, Fn.MIN, Fn.MAX) else 1 for fn in Fn}


def pointwise(fn: Fn, arguments: tuple[Operand, ...]) -> Any:
    """One pointwise function; at least one argument is a tensor, and their shapes broadcast."""
    return TORCH[fn](*arguments)
