"""What an expression's value is proven to lie in, by interval arithmetic."""

from __future__ import annotations

from ..check.spec import Spec
from ..expr import Apply, AxisFn, Expr, Fn, Head, Heads, Kind, Now, Number, Over, Prev, Renamed, Size
from .intervals import ANY, INF, UNIT, Interval, point, pointwise, times


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
                return point(e.value)
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
                found = point(self.consts[e.name])
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
        plain = pointwise(e.fn, tuple(self.of(a) for a in e.args), len(e.args) == 2 and e.args[0] == e.args[1])
        special = self._convex(e) or self._share(e)
        return plain if special is None else Interval(max(plain.low, special.low), min(plain.high, special.high))

    def _complex(self, e: Apply) -> Interval:
        """Magnitudes."""
        match e.fn:
            case Fn.EXP:
                return pointwise(Fn.EXP, (self._real_part(e.args[0]),))
            case Fn.MUL | Fn.DIV:
                return pointwise(e.fn, tuple(self.of(a).magnitude for a in e.args))
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
                return point(complex(e.value).real)
            case Now(kind=Kind.LET):
                return self._real_part(self.lets[e.name])
            case Apply(fn=Fn.ADD | Fn.SUB | Fn.NEG):
                return pointwise(e.fn, tuple(self._real_part(a) for a in e.args))
            case Apply(fn=Fn.MUL, args=(x, y)) if not x.is_complex or not y.is_complex:
                return pointwise(Fn.MUL, (self._real_part(x), self._real_part(y)))
            case Apply(fn=Fn.DIV, args=(x, y)) if not y.is_complex:
                return pointwise(Fn.DIV, (self._real_part(x), self.of(y)))
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
    ends = [times(a, b) + times(1 - a, c) for a in (f.low, f.high) for b in (x.low, x.high) for c in (y.low, y.high)]
    return Interval(min(ends), max(ends))
