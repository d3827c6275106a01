"""Builds expressions with their axes in order and the obvious arithmetic done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

from ..expr import Apply, AxisFn, Expr, Fn, Number, Over, Renamed, Size
from ..source import NOWHERE, Span

Value = float | complex


def number(value: Value) -> Number:
    return Number(value=value, is_complex=isinstance(value, complex))


def value_of(e: Expr) -> Value | None:
    """The number that an expression is written as."""
    return e.value if isinstance(e, Number) else None


class Algebra:
    """Smart constructors for one spec's expressions; `order` lists its dims as declared."""

    def __init__(self, order: tuple[str, ...]) -> None:
        self.order = order

    def union(self, parts: Iterable[Expr]) -> tuple[str, ...]:
        seen = {a for p in parts for a in p.axes}
        return tuple(a for a in self.order if a in seen)

    def apply(self, fn: Fn, *args: Expr, span: Span = NOWHERE) -> Expr:
        cplx = fn not in (Fn.RE, Fn.IM, Fn.ABS) and any(a.is_complex for a in args)
        return Apply(fn=fn, args=args, axes=self.union(args), is_complex=cplx, span=span)

    def neg(self, x: Expr) -> Expr:
        if isinstance(x, Number):
            return number(-x.value)
        if isinstance(x, Apply) and x.fn is Fn.NEG:
            return x.args[0]
        return self.apply(Fn.NEG, x, span=x.span)

    def add(self, x: Expr, y: Expr) -> Expr:
        match value_of(x), value_of(y):
            case 0, _:
                return y
            case _, 0:
                return x
            case (float() | int() | complex()) as a, (float() | int() | complex()) as b:
                return number(a + b)
        match x, y:
            case _, Apply(fn=Fn.NEG, args=(taken,)):
                return self.sub(x, taken)
            case Apply(fn=Fn.NEG, args=(taken,)), _:
                return self.sub(y, taken)
            case _:
                return self.apply(Fn.ADD, x, y, span=x.span.to(y.span))

    def sub(self, x: Expr, y: Expr) -> Expr:
        match value_of(x), value_of(y):
            case _, 0:
                return x
            case 0, _:
                return self.neg(y)
            case (float() | int() | complex()) as a, (float() | int() | complex()) as b:
                return number(a - b)
        match y:
            case Apply(fn=Fn.NEG, args=(added,)):
                return self.add(x, added)
            case _:
                return self.apply(Fn.SUB, x, y, span=x.span.to(y.span))

    def mul(self, x: Expr, y: Expr) -> Expr:
        match value_of(x), value_of(y):
            case (float() | int() | complex()) as a, (float() | int() | complex()) as b:
                return number(a * b)
            case (1, _) | (0, _):
                return y if value_of(x) == 1 else number(0.0)
            case (_, 1) | (_, 0):
                return x if value_of(y) == 1 else number(0.0)
            case -1, _:
                return self.neg(y)
            case _, -1:
                return self.neg(x)
            case _:
                return self.apply(Fn.MUL, x, y, span=x.span.to(y.span))

    def div(self, x: Expr, y: Expr) -> Expr:
        match value_of(x), value_of(y):
            case _, 1:
                return x
            case (float() | int() | complex()) as a, (float() | int() | complex()) as b if b != 0:
                return number(a / b)
            case _:
                return self.apply(Fn.DIV, x, y, span=x.span.to(y.span))

    def total(self, parts: Iterable[Expr]) -> Expr:
        return reduce(self.add, parts, number(0.0))

    def product(self, factors: Iterable[Expr]) -> Expr:
        return reduce(self.mul, factors, number(1.0))

    def factors(self, e: Expr) -> tuple[Expr, ...]:
        """The factors of a product, signs and divisions included."""
        match e:
            case Apply(fn=Fn.MUL, args=(x, y)):
                return self.factors(x) + self.factors(y)
            case Apply(fn=Fn.DIV, args=(x, y)) if value_of(x) != 1:
                return (*self.factors(x), self.apply(Fn.DIV, number(1.0), y, span=y.span))
            case Apply(fn=Fn.NEG, args=(x,)):
                return (number(-1.0), *self.factors(x))
            case _:
                return (e,)

    def renamed(self, e: Expr, source: str, target: str) -> Expr:
        """e[source -> target]; `e` itself where it does not vary along `source`."""
        if source not in e.axes:
            return e
        axes = {target if a == source else a for a in e.axes}
        ordered = tuple(a for a in self.order if a in axes)
        return Renamed(arg=e, source=source, target=target, axes=ordered, is_complex=e.is_complex, span=e.span)

    def sum_over(self, e: Expr, axes: Sequence[str]) -> Expr:
        """sum[axes](e), with what does not vary along the axes pulled out and sums of products taken apart."""
        match e:
            case Apply(fn=Fn.ADD, args=(x, y)):
                return self.add(self.sum_over(x, axes), self.sum_over(y, axes))
            case Apply(fn=Fn.SUB, args=(x, y)):
                return self.sub(self.sum_over(x, axes), self.sum_over(y, axes))
        factors = self.factors(e)
        inside = [f for f in factors if set(f.axes) & set(axes)]
        outside = [f for f in factors if not set(f.axes) & set(axes)]
        body = self.product(inside)
        over = tuple(a for a in axes if a in body.axes)
        missing = [Size(axis=a) for a in axes if a not in body.axes]
        if over:
            rest = tuple(a for a in body.axes if a not in over)
            outside.append(Over(fn=AxisFn.SUM, over=over, arg=body, axes=rest, is_complex=body.is_complex, span=e.span))
        else:
            outside.append(body)
        return self.product([*outside, *missing])
