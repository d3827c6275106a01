"""Arithmetic on numbers that are known when a program is built."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .ops import Prim

_FOLD: Mapping[Prim, Callable[..., Any]] = {
    Prim.NEG: lambda x: -x,
    Prim.ADD: lambda x, y: x + y,
    Prim.SUB: lambda x, y: x - y,
    Prim.MUL: lambda x, y: x * y,
    Prim.DIV: lambda x, y: x / y,
    Prim.POW: lambda x, y: x**y,
    Prim.EXP: lambda x: cmath.exp(x) if isinstance(x, complex) else math.exp(x),
    Prim.DECAY: math.exp,
    Prim.LOG: lambda x: cmath.log(x) if isinstance(x, complex) else math.log(x),
    Prim.SQRT: lambda x: cmath.sqrt(x) if isinstance(x, complex) else math.sqrt(x),
    Prim.LOG1P: math.log1p,
    Prim.EXPM1: math.expm1,
    Prim.ABS: abs,
    Prim.SIGMOID: lambda x: 1 / (1 + math.exp(-x)),
    Prim.SOFTPLUS: lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    Prim.TANH: math.tanh,
    Prim.ERF: math.erf,
    Prim.SIN: math.sin,
    Prim.COS: math.cos,
    Prim.MIN: min,
    Prim.MAX: max,
    Prim.CONJ: lambda x: x.conjugate(),
    Prim.RE: lambda x: x.real,
    Prim.IM: lambda x: x.imag,
}


def fold(prim: Prim, known: Sequence[float | complex | None]) -> float | complex | None:
    """The primitive of known numbers; None where one is not known or there is no finite value."""
    if prim not in _FOLD or None in known:
        return None
    try:
        value = _FOLD[prim](*known)
    except (ArithmeticError, ValueError, TypeError):
        return None
    finite = math.isfinite(value.real) and math.isfinite(value.imag)
    return value if finite else None
