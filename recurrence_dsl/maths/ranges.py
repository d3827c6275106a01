"""Interval arithmetic: what an expression's value is proven to lie in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..check.spec import Spec
from ..expr import Apply, AxisFn, Expr, Fn, Head, Heads, Kind, Now, Number, Over, Prev, Renamed, Size

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


class Ranges:
    """Ranges of one spec's expressions; lets are looked through, consts have the given values."""

    def __init__(self, spec: Spec, consts: dict[str, float]) -> None:
        self.inputs = {i.name: Interval(i.low, i.high) for i in spec.inputs}
        self.lets = {d.name: d.value for d in (*spec.lets, *spec.outputs)}
        self.consts = consts
        self._known: dict[str, Interval] = {}

    def of(self, e: Expr) -> Interval:
        match e:
            case Number():
                return _point(e.value)
            case Head():
                return Interval(0.0, INF)
            case Heads() | Size():
                return Interval(1.0, INF)
            case Now():
                return self._named(e)
            case Prev():
                inside = self._named(Now(name=e.name, kind=e.kind))
                return Interval(min(0.0, inside.low), max(0.0, inside.high))
            case Renamed():
                return self.of(e.arg)
            case Over():
                return self._over(e)
            case Apply():
                return self._apply(e)

    def _named(self, e: Now) -> Interval:
        if e.name in self._known:
            return self._known[e.name]
        match e.kind:
            case Kind.INPUT:
                found = self.inputs[e.name]
            case Kind.CONST:
                found = _point(self.consts[e.name])
            case Kind.LET | Kind.OUTPUT:
                self._known[e.name] = ANY  # whatever runs in a circle through time has no proven range
                found = self.of(self.lets[e.name])
            case _:
                return ANY
        self._known[e.name] = found
        return found

    def _over(self, e: Over) -> Interval:
        inside = self.of(e.arg)
        match e.fn:
            case AxisFn.MEAN | AxisFn.MAX:
                return inside
            case AxisFn.SUM:
                return Interval(min(inside.low, 0.0) * INF if inside.low < 0 else inside.low,
                                INF if inside.high > 0 else inside.high)  # fmt: skip
            case AxisFn.SOFTMAX:
                return UNIT
            case AxisFn.L2NORM:
                return Interval(0.0 if inside.low >= 0 else -1.0, 0.0 if inside.high <= 0 else 1.0)
            case AxisFn.RMSNORM:
                return Interval(0.0 if inside.low >= 0 else -INF, 0.0 if inside.high <= 0 else INF)

    def _apply(self, e: Apply) -> Interval:
        if e.is_complex:
            return self._complex(e)
        plain = _pointwise(e.fn, tuple(self.of(a) for a in e.args), e)
        special = self._convex(e) or self._share(e)
        return plain if special is None else Interval(max(plain.low, special.low), min(plain.high, special.high))

    def _complex(self, e: Apply) -> Interval:
        """Magnitudes."""
        match e.fn:
            case Fn.EXP:
                return _pointwise(Fn.EXP, (self._real_part(e.args[0]),), e)
            case Fn.MUL | Fn.DIV:
                return _pointwise(e.fn, tuple(self.of(a).magnitude for a in e.args), e)
            case Fn.NEG:
                return self.of(e.args[0]).magnitude
            case Fn.ADD | Fn.SUB:
                return Interval(0.0, sum(self.of(a).magnitude.high for a in e.args))
            case _:
                return Interval(0.0, INF)

    def _real_part(self, e: Expr) -> Interval:
        """The range of a complex expression's real part, as far as its arithmetic shows it."""
        if not e.is_complex:
            return self.of(e)
        match e:
            case Number():
                return _point(complex(e.value).real)
            case Now(kind=Kind.LET):
                return self._real_part(self.lets[e.name])
            case Apply(fn=Fn.ADD | Fn.SUB | Fn.NEG):
                return _pointwise(e.fn, tuple(self._real_part(a) for a in e.args), e)
            case Apply(fn=Fn.MUL, args=(x, y)) if not x.is_complex or not y.is_complex:
                return _pointwise(Fn.MUL, (self._real_part(x), self._real_part(y)), e)
            case Apply(fn=Fn.DIV, args=(x, y)) if not y.is_complex:
                return _pointwise(Fn.DIV, (self._real_part(x), self.of(y)), e)
            case _:
                return ANY

    def _convex(self, e: Apply) -> Interval | None:
        """f * x + (1 - f) * y, in any order of writing, where f lies in [0, 1]; x or y may be an unwritten 1."""
        if e.fn is not Fn.ADD:
            return None
        for f, x in _products(e.args[0]):
            for rest, y in _products(e.args[1]):
                if _is_one_minus(rest, f) or _is_one_minus(f, rest):
                    return _blend(self.of(f), self.of(x), self.of(y))
        return None

    def _share(self, e: Apply) -> Interval | None:
        """x / (x + y) where neither is negative."""
        if e.fn is not Fn.DIV:
            return None
        x, total = e.args
        if not (isinstance(total, Apply) and total.fn is Fn.ADD and x in total.args):
            return None
        rest = total.args[1] if total.args[0] == x else total.args[0]
        return UNIT if self.of(x).low >= 0 and self.of(rest).low >= 0 else None


def _is_one_minus(e: Expr, x: Expr) -> bool:
    return isinstance(e, Apply) and e.fn is Fn.SUB and e.args[1] == x and getattr(e.args[0], "value", None) == 1


def _products(e: Expr) -> tuple[tuple[Expr, Expr], ...]:
    """The ways in which an expression is a product of two."""
    whole = (e, Number(value=1.0))
    return (whole, e.args, e.args[::-1]) if isinstance(e, Apply) and e.fn is Fn.MUL else (whole,)  # type: ignore[return-value]


def _blend(f: Interval, x: Interval, y: Interval) -> Interval | None:
    """Every variable enters linearly, so the ends are reached at the ends."""
    if f.low < 0 or f.high > 1:
        return None
    ends = [_times(a, b) + _times(1 - a, c) for a in (f.low, f.high) for b in (x.low, x.high) for c in (y.low, y.high)]
    return Interval(min(ends), max(ends))


def _point(value: float | complex) -> Interval:
    if isinstance(value, complex):
        return Interval(abs(value), abs(value))
    return Interval(float(value), float(value))


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _safe(fn, x: float) -> float:
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


def _pointwise(fn: Fn, args: tuple[Interval, ...], e: Apply) -> Interval:
    x = args[0]
    match fn:
        case Fn.NEG:
            return Interval(-x.high, -x.low)
        case Fn.ADD:
            return Interval(x.low + args[1].low, x.high + args[1].high)
        case Fn.SUB:
            return Interval(x.low - args[1].high, x.high - args[1].low)
        case Fn.MUL if e.args[0] == e.args[1]:
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
    ends = [_times(a, b) for a in (x.low, x.high) for b in (y.low, y.high)]
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
