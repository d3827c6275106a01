"""Sums in the order in which kernels compute their terms.

What has a decay of its own for each channel and pair of tokens is computed in a walk over levels, which adds to
accumulators. A sum that begins with several such terms takes one accumulator for all of them.
"""

from __future__ import annotations

from ..program.factor import early_first
from ..program.ops import LEADING, Op, Program, Value


def levels_first(program: Program) -> Program:
    """The same results, where a sum adds up what walks over levels give before all else."""
    return early_first(program, frozenset(v.index for v in program.values if not _in_levels(program, v)))


def _in_levels(program: Program, v: Value) -> bool:
    return v.op in (Op.APPLY, Op.APPLY_T) and any(d not in LEADING for d in program.values[v.args[2]].dims)


__all__ = ["levels_first"]
