"""Which axes of a block program may be divided over kernel instances that know nothing of one another.

An axis may be divided when nothing but a gradient sums over it, and no such sum meets the axis again. Gradients are
linear in the cotangents, so an instance can add up its part of the axis: what lacks the axis is then a *share*, and the
shares add up to the gradient. What reads solutions for gradients is not divided where it sums over them: the bytes of
its shares would be those that storing the solutions has saved.
"""

from __future__ import annotations

from ..program.ops import Op, Program, Value, is_cotangent

_REDUCING = frozenset((Op.SUM, Op.CONTRACT, Op.SCORES))
_MIXING = frozenset((Op.AMAX, Op.PEAK, Op.RENAME))


def may_split(program: Program, axis: str, carried: bool) -> bool:
    """May `axis` be divided? `carried` says that the states' gradients stay in registers, which cannot hold shares."""
    cut: set[int] = set()
    linear: set[int] = set()
    for v in program.values:
        here = axis in v.dims
        if v.op is Op.COTANGENT or any(a in linear for a in v.args):
            linear.add(v.index)
        if v.op in _MIXING and _loses(program, v, axis):
            return False
        if v.op is Op.RENAME and v.attr[1] == axis:  # type: ignore[index]
            return False  # the operand is whole
        if any(a in cut for a in v.args) or (is_cotangent(v) and not here):
            cut.add(v.index)
        if v.op in _REDUCING and _loses(program, v, axis):
            if v.index not in linear:
                return False
            cut.add(v.index)
        if here and v.index in cut:
            return False
    shared = [k for k, i in program.outputs if i in cut and k.startswith("state:")]
    return any(axis in v.dims for v in program.values) and not (carried and shared)


def shares(program: Program, axes: tuple[str, ...]) -> frozenset[str]:
    """Names of inputs whose gradients come in shares when the axes are divided."""
    if not any(is_cotangent(v) for v in program.values):
        return frozenset()
    found = set()
    for key, i in program.outputs:
        kind, name = key.split(":")
        if kind == "input" and any(a not in program.values[i].dims for a in axes):
            found.add(name)
    return frozenset(found)


def _loses(program: Program, v: Value, axis: str) -> bool:
    """Does an operand have the axis where the result has not?"""
    return axis not in v.dims and any(axis in program.values[a].dims for a in v.args)
