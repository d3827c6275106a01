"""Which axes of a block program may be divided over kernel instances that know nothing of one another.

An axis may be divided when nothing sums over it, or nothing but gradients whose sums do not meet the axis again. These
are linear in the cotangents, so an instance can add up its part of the axis: what lacks the axis is then a *share*, and
the shares add up to the gradient. What reads solutions for gradients is not divided where it sums over them: the bytes
of its shares would be those that storing the solutions has saved.
"""

from __future__ import annotations

from ..program.ops import Op, Program, Value, is_cotangent

_REDUCING = frozenset((Op.SUM, Op.CONTRACT, Op.SCORES))
_MIXING = frozenset((Op.AMAX, Op.PEAK, Op.RENAME))


def may_split(program: Program, axis: str, carried: bool) -> bool:
    """May `axis` be divided? `carried` says that the states' gradients stay in registers, which cannot hold shares; nor
    does what is kept for other kernels come in shares."""
    return separable(program, axis) or _in_shares(program, axis, carried)


def separable(program: Program, axis: str) -> bool:
    """Does each part of an axis give its own part of every result, with nothing added up over it? Then a cotangent that
    lacks the axis means the same to every part, and a state that lacks it is the same in every part."""
    lost = any(v.op in _REDUCING | _MIXING and _loses(program, v, axis) for v in program.values)
    renamed = any(v.op is Op.RENAME and axis in v.attr for v in program.values)  # type: ignore[operator]
    return not lost and not renamed and all(axis in program.values[i].dims or _alike(key) for key, i in program.outputs)


def _alike(key: str) -> bool:
    """A state that lacks the axis is carried by every part, and stored alike."""
    return key.startswith("state:")


def _in_shares(program: Program, axis: str, carried: bool) -> bool:
    """Does each part add its share to the results that lack the axis, at most?"""
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
    whole = ("keep:", "state:") if carried else ("keep:",)
    shared = [k for k, i in program.outputs if i in cut and k.startswith(whole)]
    return any(axis in v.dims for v in program.values) and not shared


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
