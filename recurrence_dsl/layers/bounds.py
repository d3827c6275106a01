"""Intervals that a layer's values are proven to lie in, by the mixer's own interval arithmetic."""

from __future__ import annotations

import math

from ..check.spec import Spec
from ..expr import Apply, AxisFn, Expr, Kind, Now, Number
from ..expr import Over as OverExpr
from ..maths.intervals import Interval
from ..maths.ranges import Ranges
from ..syntax import ast
from .graph import At, CumulativeSum, Index, Line, Over, Pointwise, Position, Previous, Read, Renamed, Static, Value

_COUNT = "a count"
_SHARE = "a share"
_ANY = "anything"


def interval(value: Value, spec: Spec, lines: dict[str, Line]) -> Interval:
    """Bounds of a value, whatever the sizes and the weights are."""
    ranges = Ranges(spec, {const.name: const.value for const in spec.consts})
    known = {_COUNT: Interval(0.0, math.inf), _SHARE: Interval(0.0, 1.0), _ANY: Interval()}
    ranges.inputs = ranges.inputs | known
    return ranges.of(_expression(value, lines))


def _expression(value: Value, lines: dict[str, Line]) -> Expr:
    """The value as an expression of the mixer's language; what that does not know becomes an unknown."""
    match value:
        case Static(expression=ast.Number(value=number)):
            return Number(value=number)
        case Index() | Position():
            return _unknown(_COUNT)
        case Read() if value.name in lines:
            return _expression(lines[value.name].value, lines)
        case Pointwise():
            return Apply(fn=value.fn, args=tuple(_expression(arg, lines) for arg in value.args))
        case Over():
            return OverExpr(fn=value.fn, over=value.over, arg=_expression(value.arg, lines))
        case CumulativeSum():
            return _unknown(_SHARE if _shares(value.arg, value.axis, lines) else _ANY)
        case At() | Renamed():
            return _expression(value.arg, lines)
        case Previous() | Static() | Read():
            return _unknown(_ANY)
        case _:
            return _unknown(_ANY)


def _shares(value: Value, axis: str, lines: dict[str, Line]) -> bool:
    """Whether the entries along an axis are not negative and sum to one."""
    if isinstance(value, Read) and value.name in lines:
        return _shares(lines[value.name].value, axis, lines)
    return isinstance(value, Over) and value.fn is AxisFn.SOFTMAX and value.over == (axis,)


def _unknown(kind: str) -> Expr:
    return Now(name=kind, kind=Kind.INPUT)
