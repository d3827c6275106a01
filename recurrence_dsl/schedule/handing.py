"""What a walk over the chunks solves for, and stores for the kernels that finish them.

The rank-one terms of a chunk are a triangular system. A walk solves it for what the terms write, since the state takes
that up; the walk back solves the transposed system for its gradient. Both are as wide as a row of the state. A kernel
that finishes chunks reads them, and then needs neither the inverse nor the products in front of it; or it solves again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..program.ops import COL, ROW, SOLVED, SOLVED_BACK, TERM2, Op, Program, Value, is_inverse
from .preparing import cut, numbered


@dataclass(frozen=True, slots=True)
class Handed:
    """A program and its adjoint, cut by what kernels hand on: `body` and `backward` are for walks, which store it;
    `finish` and `rest` for the kernels that read it; `gradient` for the only kernel of a way back, which reads what
    the way onwards has stored."""

    body: Program
    backward: Program
    finish: Program
    rest: Program
    gradient: Program


def nothing_handed(body: Program, backward: Program) -> Handed:
    """Every kernel computes what it needs."""
    return Handed(body, backward, body, backward, backward)


def handed(body: Program, backward: Program) -> Handed | None:
    """What walks solve for is handed on, for programs that read the inverse; None where walks solve nothing, or where
    that is complex."""
    onwards, backwards = _solved(body, Op.STATE), _solved(backward, Op.COTANGENT)
    if not onwards or not backwards:
        return None
    names = {i: f"{SOLVED}{n}" for n, i in enumerate(onwards)}
    names_back = {i: f"{SOLVED_BACK}{n}" for n, i in enumerate(backwards)}
    known: dict[object, int] = {}
    same = {n: names[i] for i, n in enumerate(numbered(body, known)) if i in names}
    again = {i: same[n] for i, n in enumerate(numbered(backward, known)) if n in same}
    return Handed(
        _storing(body, names),
        _storing(backward, names_back),
        cut(body, names),
        cut(backward, again | names_back),
        cut(backward, again),
    )


def _storing(program: Program, names: Mapping[int, str]) -> Program:
    kept = tuple((f"keep:{name}", i) for i, name in names.items())
    return replace(program, outputs=(*program.outputs, *kept))


def _solved(program: Program, source: Op) -> list[int]:
    """Solutions, a row for each token, that depend on a kind of leaf and that states take up."""
    used = _needed(program, [i for key, i in program.outputs if key.startswith("state:")])
    late: set[int] = set()
    solutions: set[int] = set()
    for v in program.values:
        if v.op is source or any(a in late for a in v.args):
            late.add(v.index)
        if _solves(program, v) or (v.op is Op.RENAME and v.args[0] in solutions):
            solutions.add(v.index)
    rows = (program.values[i] for i in sorted(solutions & late & used))
    return [v.index for v in rows if {ROW, COL, TERM2} & set(v.dims) == {ROW} and not v.is_complex]


def _solves(program: Program, v: Value) -> bool:
    return v.op is Op.CONTRACT and any(is_inverse(program.values[a]) for a in v.args)


def _needed(program: Program, roots: list[int]) -> set[int]:
    found: set[int] = set()
    for i in reversed(range(len(program.values))):
        if i in found or i in roots:
            found |= {i, *program.values[i].args}
    return found


__all__ = ["Handed", "handed", "nothing_handed"]
