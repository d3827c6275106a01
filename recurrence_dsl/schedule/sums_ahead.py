"""Sums that a walk back needs and that do not wait for it.

The gradient of a normaliser adds up over the axis that an output is read along. A walk that forms such a sum cannot be
divided along the axis, though all that it carries could be. But the sum is of a chunk's own states and cotangents: one
kernel forms it for all chunks at once, a number for each token, and the walk reads that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..program.ops import COL, LEADING, LEAVES, SUMMED, TERM2, Op, Program, Value, only
from .preparing import cut
from .rearranging import products
from .splits import may_split


@dataclass(frozen=True, slots=True)
class Ahead:
    """`sums` stores what `walk`, the rest of the walk back, reads."""

    sums: Program
    walk: Program


def sums_ahead(walk: Program, axes: tuple[str, ...]) -> Ahead | None:
    """A walk back in two parts; None where that spares it no products of matrices or makes no axis divisible, or where
    complex numbers would be stored."""
    names = {i: f"{SUMMED}{n}" for n, i in enumerate(_narrow(walk))}
    if any(walk.values[i].is_complex for i in names):
        return None
    rest = cut(walk, names)
    if products(rest) == products(walk) or not any(
        may_split(rest, a, True) and not may_split(walk, a, True) for a in axes
    ):
        return None
    kept = tuple((f"keep:{name}", i) for i, name in names.items())
    return Ahead(only(replace(walk, outputs=kept), lambda key: True), rest)


def _narrow(walk: Program) -> list[int]:
    """What is a number for each token, stems from states or from cotangents of outputs but from no later state's, and
    is used by what is not all of that."""
    found = _stems(walk, lambda v: v.op is Op.STATE or _comes_in(v, "output:")) - _stems(
        walk, lambda v: _comes_in(v, "state:")
    )
    narrow = {i for i in found if not set(walk.values[i].dims) - (set(LEADING) - {COL, TERM2})}
    used = {a for v in walk.values if v.index not in narrow for a in v.args}
    return sorted(i for i in narrow & used if walk.values[i].op not in LEAVES)


def _comes_in(v: Value, kind: str) -> bool:
    return v.op is Op.COTANGENT and str(v.attr).startswith(kind)


def _stems(program: Program, source: Callable[[Value], bool]) -> set[int]:
    """What depends on some leaves."""
    found: set[int] = set()
    for v in program.values:
        if source(v) or any(a in found for a in v.args):
            found.add(v.index)
    return found


__all__ = ["Ahead", "sums_ahead"]
