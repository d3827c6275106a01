"""Takes writes and log-decays apart along the state's axes."""

from __future__ import annotations

from dataclasses import dataclass

from ..expr import Apply, Expr, Fn, Kind, Now
from .algebra import Algebra
from .recurrence import Write

LIMIT = 16
"""A write that needs more products than this is not worth taking apart."""

Partition = frozenset[str]
"""The contracted axes of a read or of the rank-one terms; the rest is the other side."""


@dataclass(frozen=True, slots=True)
class Splitter:
    """Distributes products over sums as far as a set of partitions needs it."""

    algebra: Algebra
    lets: dict[str, Expr]
    axes: frozenset[str]
    partitions: tuple[Partition, ...]

    def straddles(self, e: Expr) -> bool:
        """Does the expression vary over both sides of some partition?"""
        own = self.axes & set(e.axes)
        return any(own & p and own - p for p in self.partitions)

    def writes(self, e: Expr) -> tuple[Write, ...] | None:
        """The products whose sum the expression is, none with a straddling factor; None if there is no such way."""
        done: list[Write] = []
        todo = [self.algebra.factors(e)]
        while todo:
            product = todo.pop()
            at = next((i for i, f in enumerate(product) if self.straddles(f)), None)
            if at is None:
                done.append(Write(product))
                continue
            parts = self._parts(product[at])
            if parts is None or len(todo) + len(done) + len(parts) > LIMIT:
                return None
            todo += [(*product[:at], *self.algebra.factors(p), *product[at + 1 :]) for p in reversed(parts)]
        return tuple(done)

    def addends(self, log: Expr) -> tuple[Expr, ...] | None:
        """The log-decay as a sum whose addends do not straddle."""
        products = self.writes(log)
        if products is None:
            return None
        return tuple(self.algebra.product(p.factors) for p in products)

    def _parts(self, e: Expr) -> tuple[Expr, ...] | None:
        """One step of taking a straddling expression apart."""
        match e:
            case Now(kind=Kind.LET) if e.name in self.lets:
                return (self.lets[e.name],)
            case Apply(fn=Fn.ADD, args=(x, y)):
                return (x, y)
            case Apply(fn=Fn.SUB, args=(x, y)):
                return (x, self.algebra.neg(y))
            case Apply(fn=Fn.MUL | Fn.NEG):
                return (e,)
            case Apply(fn=Fn.DIV, args=(one, _)) if getattr(one, "value", None) != 1:
                return (e,)
            case Apply(fn=Fn.DIV, args=(one, below)):
                return self._reciprocal(one, below)
            case Apply(fn=Fn.SQUARE, args=(x,)):
                return (self.algebra.mul(x, x),)
            case _:
                return None

    def _reciprocal(self, one: Expr, below: Expr) -> tuple[Expr, ...] | None:
        """1 / (x * y) = (1 / x) * (1 / y)."""
        factors = self.algebra.factors(below)
        if len(factors) == 1:
            return None
        return (self.algebra.product([self.algebra.apply(Fn.DIV, one, f, span=f.span) for f in factors]),)
