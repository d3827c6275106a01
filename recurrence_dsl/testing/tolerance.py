"""How far a correct evaluation may lie from the exact one. The same function everywhere; no test has its own number."""

from __future__ import annotations

import math

import torch

ACCUMULATION = 16.0
"""Roundings that one token's contribution goes through on its way: products, exponentials, a division, a norm."""


def unit_roundoff(dtype: torch.dtype) -> float:
    """Half the distance between 1 and the next number."""
    return torch.finfo(dtype).eps / 2


def underflow(dtype: torch.dtype) -> float:
    """The absolute error of storing a value that is too small for full precision."""
    limits = torch.finfo(dtype)
    kept = limits.smallest_normal * limits.eps  # float16 is used down to its subnormal numbers
    return kept if dtype is torch.float16 else limits.smallest_normal


def tolerance(dtype: torch.dtype, length: int, terms: int = 1, log_decay: float = 0.0) -> float:
    """The admissible error of one value, as a fraction of the scale of what it is computed from.

    dtype   of the inputs and outputs; accumulation is in float32, or in float64 for float64
    length  how many tokens the value depends on
    terms   how many products one token contributes (the size of the contracted axes)
    log_decay  the largest magnitude that a cumulative log-decay reaches

    Derivation. A result is stored once in `dtype`, which costs its unit roundoff; the half types may also store one
    intermediate, hence twice. Everything before is a sum over at most `length` tokens of `terms` products each, held
    in the accumulation type with unit roundoff u. Rounding errors are independent and centred, so n of them add up as
    a random walk, u sqrt(n), where sequential summation has n = length and a contraction n = terms; each summand has
    been through `ACCUMULATION` roundings of its own. Worst-case bounds would have n in place of sqrt(n) and would let
    real faults pass. A decay over several tokens is the exponential of a difference of cumulative log-decays, which
    are held in float64 whatever the dtype; such a difference is off by the roundoff of its terms.
    """
    wide = torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32
    walk = ACCUMULATION * unit_roundoff(wide) * (math.sqrt(max(length, 1)) + math.sqrt(max(terms, 1)))
    narrow = 0.0 if torch.finfo(dtype).bits >= 32 else 2 * unit_roundoff(dtype)
    return narrow + walk + 2 * unit_roundoff(torch.float64) * log_decay
