"""Counts a program's floating point operations and the bytes that it must move, for each token and head."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from ..check.spec import Declared, Spec
from ..program.ops import BATCH, COL, LEAVES, ROW, TERM, TERM2, Op, Program, Value, term_counts
from .plan import Plan


@dataclass(frozen=True, slots=True)
class Cost:
    """For one token of one head. `least`: the bytes of a call's inputs and outputs, each moved once; `moved`: with the
    states that the plan keeps."""

    flops: float
    moved: float
    least: float


def costs(
    spec: Spec, body: Program, backward: Program, plan: Plan, sizes: Mapping[str, int], width: int = 4
) -> tuple[Cost, Cost]:
    """Forward and backward, for tensors of `width` bytes a number; states are kept in float32."""
    read = sum(_width(d, sizes) for d in spec.inputs) * width
    written = sum(_width(d, sizes) for d in spec.outputs) * width
    kept = 4 * sum(_width(d, sizes) for d in (*spec.states, *spec.carried)) / (plan.block * plan.stride)
    forward = Cost(flops(body, sizes, plan.block), read + written + kept, read + written)
    least = 2 * read + written
    return forward, Cost(flops(backward, sizes, plan.block), least + kept, least)


def _width(declared: Declared, sizes: Mapping[str, int]) -> int:
    complex_numbers = 2 if getattr(declared, "is_complex", False) else 1
    return complex_numbers * math.prod(sizes[a] for a in declared.axes)


def flops(program: Program, sizes: Mapping[str, int], block: int) -> float:
    """Operations for one token of one head; what depends on neither token nor state is computed once a call and free.

    A multiplication, an addition and a pointwise function count one each, four times as much on complex numbers.
    """
    counts = term_counts(program)
    blocks = {**sizes, ROW: block, COL: block}
    counters = {n: _Counter(program, {**blocks, TERM: n, TERM2: n}) for n in {1, *counts.values()}}
    return sum(counters[counts.get(v.index, 1)].of(v) for v in program.values) / block


@dataclass(frozen=True, slots=True)
class _Counter:
    """Operations of one block of one batch entry and head."""

    program: Program
    sizes: Mapping[str, int]

    def of(self, v: Value) -> float:
        if v.op in LEAVES or BATCH not in v.dims:
            return 0.0
        return self._plain(v) * (4 if v.is_complex else 1)

    def _plain(self, v: Value) -> float:
        match v.op:
            case Op.MAP | Op.PAIR | Op.CUMSUM | Op.CUMSUM_BEFORE | Op.CUMSUM_AFTER | Op.REVCUMSUM:
                return self._elements(v.dims)
            case Op.SUM | Op.AMAX | Op.PEAK:
                return self._elements(self._joint(v))
            case Op.CONTRACT | Op.SCAN | Op.SCAN_T:
                return 2 * self._elements(self._joint(v))
            case Op.SCORES | Op.APPLY | Op.APPLY_T:
                return (3 if self._weighted(v) else 2) * self._elements(self._joint(v) | {ROW, COL})
            case Op.SOLVE | Op.SOLVE_T:
                return self.sizes[ROW] * self._elements(frozenset(v.dims))
            case Op.INVERSE:
                return self.sizes[ROW] * self._elements(frozenset(v.dims)) / 3
            case (
                Op.EXPAND | Op.RENAME | Op.STACK | Op.SELECT | Op.SHIFT | Op.UNSHIFT
                | Op.FIRST | Op.LAST | Op.PLACE_FIRST | Op.PLACE_LAST
            ):  # fmt: skip
                return 0.0
            case Op.INPUT | Op.PARAM | Op.STATE | Op.COTANGENT | Op.NUMBER | Op.SIZE | Op.HEAD_INDEX | Op.HEAD_COUNT:
                return 0.0
            case _:
                assert_never(v.op)

    def _joint(self, v: Value) -> frozenset[str]:
        return frozenset(v.dims).union(*(self.program.values[i].dims for i in v.args))

    def _weighted(self, v: Value) -> bool:
        """Does each pair of tokens have a decay of its own for each channel?"""
        pair = self.program.values[v.args[-1]]
        return any(not d.startswith("@") for d in pair.dims)

    def _elements(self, dims: tuple[str, ...] | frozenset[str]) -> float:
        return math.prod(self.sizes.get(d, 1) for d in dims)
