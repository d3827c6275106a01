"""Intervals, and what the pointwise functions make of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..expr import Fn

INF = math.inf


@dataclass(frozen=True, slots=True)
class Interval:
    """Closed, with infinite ends allowed; for a complex value the range of its magnitude."""

    low: float = -INF
    high: float = INF

    def __str__(self) -> str:
        return f"[{self.low:g}, {self.high:g}]"

    @property
    def magnitude(self) -> Interval:
        if self.low >= 0:
            return self
        if self.high <= 0:
            return Interval(-self.high, -self.low)
        return Interval(0.0, max(-self.low, self.high))


ANY = Interval()
UNIT = Interval(0.0, 1.0)


def point(value: float | complex) -> Interval:
    """The range of a number."""
    if isinstance(value, complex):
        return Interval(abs(value), abs(value))
    return Interval(float(value), float(value))


def times(a: float, b: float) -> float:
    """A product in which zero takes infinity away."""
    return 0.0 if a == 0 or b == 0 else a * b


def _safe(fn: Callable[[float], float], x: float) -> float:
    """`fn(x)`, with its limit where the argument or the result is out of range."""
    try:
        return fn(x)
    except OverflowError:
        return INF


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _softplus(x: float) -> float:
    return x if x > 700 else math.log1p(math.exp(x))


_RISING = {
    Fn.EXP: math.exp,
    Fn.SIGMOID: _sigmoid,
    Fn.LOGSIGMOID: lambda x: -_softplus(-x),
    Fn.SOFTPLUS: _softplus,
    Fn.TANH: math.tanh,
    Fn.RELU: lambda x: max(x, 0.0),
    Fn.ELU: lambda x: x if x > 0 else math.expm1(x),
}


def pointwise(fn: Fn, args: tuple[Interval, ...], same: bool = False) -> Interval:
    """A function of values in the given ranges; `same` says that its operands are one and the same value."""
    x = args[0]
    match fn:
        case Fn.NEG:
            return Interval(-x.high, -x.low)
        case Fn.ADD:
            return Interval(x.low + args[1].low, x.high + args[1].high)
        case Fn.SUB:
            return Interval(x.low - args[1].high, x.high - args[1].low)
        case Fn.MUL if same:
            return _square(x)
        case Fn.MUL:
            return _product(x, args[1])
        case Fn.DIV:
            return _product(x, _reciprocal(args[1]))
        case Fn.POW:
            return _power(x, args[1])
        case Fn.MIN:
            return Interval(min(x.low, args[1].low), min(x.high, args[1].high))
        case Fn.MAX:
            return Interval(max(x.low, args[1].low), max(x.high, args[1].high))
        case Fn.ABS:
            return x.magnitude
        case Fn.SQUARE:
            return _square(x)
        case Fn.SQRT:
            return Interval(math.sqrt(max(x.low, 0.0)), math.sqrt(x.high) if x.high >= 0 else INF)
        case Fn.LOG:
            return Interval(math.log(x.low) if x.low > 0 else -INF, math.log(x.high) if 0 < x.high < INF else INF)
        case Fn.SIN | Fn.COS:
            return Interval(-1.0, 1.0)
        case Fn.SILU | Fn.GELU:
            return Interval(-0.279 if x.low < 0 else 0.0, max(x.high, 0.0))
        case Fn.RE | Fn.IM:
            return Interval(-x.magnitude.high, x.magnitude.high)
        case _:
            return Interval(_safe(_RISING[fn], x.low), _safe(_RISING[fn], x.high))


def _square(x: Interval) -> Interval:
    m = x.magnitude
    return Interval(m.low**2 if m.low < 1e150 else INF, m.high**2 if m.high < 1e150 else INF)


def _product(x: Interval, y: Interval) -> Interval:
    ends = [times(a, b) for a in (x.low, x.high) for b in (y.low, y.high)]
    return Interval(min(ends), max(ends))


def _reciprocal(x: Interval) -> Interval:
    if x.low < 0 < x.high:
        return ANY
    high = 1 / x.low if x.low != 0 else (INF if x.high > 0 or x.low == x.high else -INF)
    low = 1 / x.high if x.high != 0 else -INF
    return Interval(min(low, high), max(low, high))


def _power(x: Interval, p: Interval) -> Interval:
    """x ** p: where x cannot be negative all four corners, else only a whole constant exponent."""
    if x.low < 0:
        even = p.low == p.high and p.low % 2 == 0 and p.low >= 0
        return _power(x.magnitude, p) if even else ANY
    corners = [_corner(a, b) for a in (x.low, x.high) for b in (p.low, p.high)]
    if x.low < 1 < x.high:
        corners.append(1.0)
    return Interval(min(corners), max(corners))


def _corner(a: float, b: float) -> float:
    try:
        return a**b
    except (OverflowError, ZeroDivisionError):
        return INF
