"""Whether segments of a sequence compose, and what tells how a segment acts on the state that comes in.

A segment acts as S -> M S + N (docs/formalism.md, section 6). N is its last state when it starts from zero. M comes
from the adjoint: with no cotangents of outputs, a state's gradient before a segment is M^T times that after it, so M
is read off a walk back that starts from ones (M scales each entry) or from the identity (M is a matrix).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..maths.recurrence import Recurrence, StateForm
from ..program.ops import Op, Prim, Program, Value, only

LARGEST = 128
"""Largest side of a matrix M: it is multiplied in one piece."""


@dataclass(frozen=True, slots=True)
class Composition:
    """How segments compose. `transit`: the adjoint's part that gives M^T, for the given sizes of the axes; `matrix`:
    the axis that M is a matrix over, none where it scales each entry."""

    transit: Program
    sizes: Mapping[str, int]
    matrix: str | None


def composition(
    recurrence: Recurrence, body: Program, backward: Program, sizes: Mapping[str, int]
) -> Composition | None:
    """None where segments do not compose by one product and one sum: a state that another one feeds, a value that is
    read at [t-1], or rank-one terms beside a decay along another axis."""
    states = recurrence.states
    if recurrence.spec.carried or not all(_alone(body, s.name) for s in states):
        return None
    transit = _without_outputs(only(backward, lambda key: key.startswith("state:")))
    if transit is None:
        return None
    if not any(s.erases for s in states):
        return Composition(transit, sizes, None)
    axis, other = _matrix_axes(states[0]) if len(states) == 1 else (None, None)
    if axis is None or other is None or sizes[axis] > LARGEST:
        return None
    return Composition(transit, {**sizes, other: sizes[axis]}, axis)


def _alone(body: Program, name: str) -> bool:
    """Does a state come from no other state?"""
    part = only(body, lambda key: key == f"state:{name}")
    return all(v.attr == name for v in part.leaves(Op.STATE))


def _matrix_axes(s: StateForm) -> tuple[str | None, str | None]:
    """The axis that the rank-one terms contract and the other one, if every column of the state is treated alike."""
    others = [a for a in s.axes if a not in s.erase_axes]
    if len(s.erase_axes) != 1 or len(others) != 1 or set(others) & set(s.decay_axes):
        return None, None
    return s.erase_axes[0], others[0]


def _without_outputs(program: Program) -> Program | None:
    """The program for cotangents of outputs that are zero. Gradients are linear in cotangents, so what depends on those
    of outputs alone is zero, and goes."""
    zero: set[int] = set()
    made: list[Value] = []
    at: dict[int, int] = {}
    for v in program.values:
        gone = [a for a in v.args if a in zero]
        if (v.op is Op.COTANGENT and str(v.attr).startswith("output:")) or (gone and not _adds(v, gone)):
            if v.op is Op.STACK and len(gone) < len(v.args):
                return None
            zero.add(v.index)
            continue
        new = _reduced(v, gone)
        if new.op is Op.EXPAND and new.dims == program.values[new.args[0]].dims:
            at[v.index] = at[new.args[0]]
            continue
        at[v.index] = len(made)
        made.append(replace(new, index=len(made), args=tuple(at[a] for a in new.args)))
    if any(i in zero for _, i in program.outputs):
        return None
    whole = replace(program, values=tuple(made), outputs=tuple((k, at[i]) for k, i in program.outputs))
    return only(whole, lambda key: True)


def _adds(v: Value, gone: list[int]) -> bool:
    """Is it a sum of which something is left?"""
    return v.op is Op.MAP and v.attr in (Prim.ADD, Prim.SUB) and len(gone) == 1 and v.args[0] != v.args[1]


def _reduced(v: Value, gone: list[int]) -> Value:
    """A sum without the summand that is zero."""
    if not gone:
        return v
    (left,) = (a for a in v.args if a not in gone)
    if v.attr is Prim.SUB and v.args[1] == left:
        return replace(v, attr=Prim.NEG, args=(left,))
    return replace(v, op=Op.EXPAND, args=(left,), attr=v.dims)
