"""log(decay), taken symbolically, so that a decay never has to be computed and logged."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..expr import Apply, AxisFn, Expr, Fn, Kind, Now, Number, Over, Renamed
from .algebra import Algebra, number, value_of
from .ranges import Ranges

FLOOR = -1000.0
"""Log-decays are cut here: exp(-1000) is zero in float64 too, and the sums of a chunk stay exact enough."""


@dataclass(frozen=True, slots=True)
class Logs:
    """Takes logarithms of one spec's expressions, looking through its lets."""

    algebra: Algebra
    ranges: Ranges
    lets: dict[str, Expr]

    def of(self, e: Expr) -> Expr | None:
        """log(e) for a real 0 <= e, or None where only the computed value could be logged and it may reach zero."""
        al = self.algebra
        match e:
            case Number():
                return _log_number(e)
            case Now(kind=Kind.LET) if e.name in self.lets:
                return self.of(self.lets[e.name])
            case Over(fn=AxisFn.SOFTMAX):
                return self._softmax(e)
            case Renamed():
                log = self.of(e.arg)
                return None if log is None else al.renamed(log, e.source, e.target)
            case Apply(fn=Fn.EXP, args=(x,)):
                return x
            case Apply(fn=Fn.SIGMOID, args=(x,)):
                return al.apply(Fn.LOGSIGMOID, x, span=e.span)
            case Apply(fn=Fn.ADD, args=(one, Apply(fn=Fn.EXP, args=(x,)))) if value_of(one) == 1:
                return al.apply(Fn.SOFTPLUS, x, span=e.span)
            case Apply(fn=Fn.ADD, args=(Apply(fn=Fn.EXP, args=(x,)), one)) if value_of(one) == 1:
                return al.apply(Fn.SOFTPLUS, x, span=e.span)
            case Apply(fn=Fn.SUB, args=(one, x)) if value_of(one) == 1:
                return self._complement(x, e)
            case Apply(fn=Fn.DIV, args=(x, Apply(fn=Fn.ADD) as total)) if x in total.args:
                return self._share(x, total, e)
            case Apply(fn=Fn.MUL | Fn.DIV | Fn.MIN | Fn.MAX) if self._not_negative(*e.args):
                return self._of_both(e)
            case Apply(fn=Fn.POW, args=(x, p)) if self._not_negative(x):
                log = self.of(x)
                return al.mul(p, log) if log is not None else None
            case Apply(fn=Fn.SQRT | Fn.SQUARE, args=(x,)) if self._not_negative(x):
                log = self.of(x)
                return al.mul(number(0.5 if e.fn is Fn.SQRT else 2.0), log) if log is not None else None
            case _:
                return self._plain(e)

    def _of_both(self, e: Apply) -> Expr | None:
        """log(x * y) = log(x) + log(y), log(min(x, y)) = min(log(x), log(y)), and so on."""
        x, y = (self.of(a) for a in e.args)
        if x is None or y is None:
            return self._plain(e)
        match e.fn:
            case Fn.MUL:
                return self.algebra.add(x, y)
            case Fn.DIV:
                return self.algebra.sub(x, y)
            case _:
                return self.algebra.apply(e.fn, x, y, span=e.span)

    def _share(self, x: Expr, total: Apply, e: Expr) -> Expr | None:
        """log(x / (x + y)) = logsigmoid(log(x) - log(y))."""
        y = total.args[1] if total.args[0] == x else total.args[0]
        logs = (self.of(x), self.of(y)) if self._not_negative(x, y) else (None, None)
        if logs[0] is None or logs[1] is None:
            return self._plain(e)
        return self.algebra.apply(Fn.LOGSIGMOID, self.algebra.sub(logs[0], logs[1]), span=e.span)

    def _complement(self, x: Expr, e: Expr) -> Expr | None:
        """log(1 - sigmoid(y)) = logsigmoid(-y)."""
        inner = self.lets.get(x.name) if isinstance(x, Now) and x.kind is Kind.LET else x
        if isinstance(inner, Apply) and inner.fn is Fn.SIGMOID:
            return self.algebra.apply(Fn.LOGSIGMOID, self.algebra.neg(inner.args[0]), span=e.span)
        return self._plain(e)

    def _softmax(self, e: Over) -> Expr:
        """log(softmax(x)) = y - log(sum(exp(y))) with y = x - max(x)."""
        al, rest = self.algebra, tuple(a for a in e.arg.axes if a not in e.over)
        y = al.sub(e.arg, replace(e, fn=AxisFn.MAX, axes=rest))
        return al.sub(y, al.apply(Fn.LOG, al.sum_over(al.apply(Fn.EXP, y), e.over), span=e.span))

    def _plain(self, e: Expr) -> Expr | None:
        """The computed value's log, where it is bounded away from zero."""
        return self.algebra.apply(Fn.LOG, e, span=e.span) if self.ranges.of(e).low > 0 else None

    def _not_negative(self, *parts: Expr) -> bool:
        return all(self.ranges.of(p).low >= 0 for p in parts)


def _log_number(e: Number) -> Expr | None:
    value = e.value
    if isinstance(value, complex) or value < 0:
        return None
    return number(math.log(value) if value > 0 else FLOOR)
