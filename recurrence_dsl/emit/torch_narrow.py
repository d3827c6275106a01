"""Values that are the same for all heads, because they come from inputs with a single group: one entry serves all."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..program.ops import HEAD, LEADING, Op, Program, Value


@dataclass(frozen=True, slots=True)
class Leaves:
    """What is known of a program's inputs: tensors that nothing else needs, and single entries for all heads."""

    owned: frozenset[str] = frozenset()
    narrow: frozenset[str] = frozenset()


_BROADCAST = frozenset(
    (
        *(Op.MAP, Op.CONTRACT, Op.SCORES, Op.SUM, Op.AMAX, Op.PEAK, Op.RENAME, Op.PAIR),
        *(Op.CUMSUM, Op.CUMSUM_BEFORE, Op.CUMSUM_AFTER, Op.REVCUMSUM),
    )
)
"""Operations whose printed form takes one entry for all heads beside one for each."""


def one_for_all_heads(program: Program, inputs: Collection[str]) -> frozenset[int]:
    """Values whose tensors have a single entry for all heads where those of `inputs` have."""
    found: set[int] = set()
    for v in program.values:
        parts = [a for a in v.args if HEAD in program.values[a].dims]
        if (v.op is Op.INPUT and v.attr in inputs) or (v.op in _BROADCAST and parts and found.issuperset(parts)):
            found.add(v.index)
    return frozenset(found)


def may_stay_narrow(program: Program, inputs: Collection[str]) -> bool:
    """Does every operation that meets such a value take it as it is? Then the inputs need not be repeated."""
    narrow = one_for_all_heads(program, inputs)
    users = (v for v in program.values if narrow.intersection(v.args))
    return not any(i in narrow for _, i in program.outputs) and all(_takes(program, v, narrow) for v in users)


def _takes(program: Program, v: Value, narrow: frozenset[int]) -> bool:
    if v.op is Op.SCORES:
        return all(d in LEADING for d in program.values[v.args[2]].dims)
    if v.op is Op.CONTRACT and v.index in narrow:
        return len(v.dims) <= 4  # more are printed with their sizes
    return v.op in _BROADCAST or v.op is Op.EXPAND


def narrow_results(program: Program, leaves: Leaves) -> frozenset[str]:
    """Names of the kept results with a single entry for all heads."""
    narrow = one_for_all_heads(program, leaves.narrow)
    return frozenset(k.removeprefix("keep:") for k, i in program.outputs if i in narrow)
