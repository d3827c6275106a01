"""Typed expressions -> values of a block program."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from ..expr import Apply, AxisFn, Expr, Fn, Head, Heads, Now, Number, Over, Prev, Renamed, Size
from .builder import Builder
from .ops import HEAD, Op, Prim

EPSILON = 1e-6
"""What l2norm and rmsnorm add under the root."""

_PLAIN = {
    Fn.NEG: Prim.NEG,
    Fn.ADD: Prim.ADD,
    Fn.SUB: Prim.SUB,
    Fn.MUL: Prim.MUL,
    Fn.DIV: Prim.DIV,
    Fn.POW: Prim.POW,
    Fn.EXP: Prim.EXP,
    Fn.LOG: Prim.LOG,
    Fn.SQRT: Prim.SQRT,
    Fn.ABS: Prim.ABS,
    Fn.SIGMOID: Prim.SIGMOID,
    Fn.SOFTPLUS: Prim.SOFTPLUS,
    Fn.TANH: Prim.TANH,
    Fn.SIN: Prim.SIN,
    Fn.COS: Prim.COS,
    Fn.MIN: Prim.MIN,
    Fn.MAX: Prim.MAX,
    Fn.RE: Prim.RE,
    Fn.IM: Prim.IM,
}


@dataclass(frozen=True, slots=True)
class Known:
    """Sizes fixed at compile time; a program made without them keeps them as leaves."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    heads: int | None = None

    def size(self, builder: Builder, axis: str) -> int:
        return builder.number(self.sizes[axis]) if axis in self.sizes else builder.leaf(Op.SIZE, axis, ())

    def head_count(self, builder: Builder) -> int:
        return builder.leaf(Op.HEAD_COUNT, "heads", ()) if self.heads is None else builder.number(self.heads)


class Lowering:
    """Lowers expressions; what a name means now and one step earlier is the caller's."""

    def __init__(self, builder: Builder, now: Callable[[Now], int], prev: Callable[[Prev], int], known: Known) -> None:
        self.b, self.now, self.prev, self.known = builder, now, prev, known
        self._done: dict[Expr, int] = {}

    def __call__(self, e: Expr) -> int:
        if e not in self._done:
            self._done[e] = self._lower(e)
        return self._done[e]

    def _lower(self, e: Expr) -> int:
        match e:
            case Number():
                return self.b.number(e.value)
            case Size():
                return self.known.size(self.b, e.axis)
            case Head():
                return self.b.leaf(Op.HEAD_INDEX, "head", (HEAD,))
            case Heads():
                return self.known.head_count(self.b)
            case Now():
                return self.now(e)
            case Prev():
                return self.prev(e)
            case Renamed():
                return self.b.rename(self(e.arg), e.source, e.target)
            case Apply():
                return self._apply(e.fn, tuple(self(a) for a in e.args))
            case Over():
                return self._over(e)
            case _:
                assert_never(e)

    def _apply(self, fn: Fn, args: tuple[int, ...]) -> int:
        b, x = self.b, args[0]
        match fn:
            case Fn.LOGSIGMOID:
                return b.neg(b.map(Prim.SOFTPLUS, b.neg(x)))
            case Fn.SQUARE:
                return self._power(x, b.number(2))
            case Fn.SQRT:
                return self._power(x, b.number(0.5))
            case Fn.RELU:
                return b.map(Prim.MAX, x, b.number(0))
            case Fn.SILU:
                return b.mul(x, b.map(Prim.SIGMOID, x))
            case Fn.ELU:
                below = b.sub(b.exp(b.map(Prim.MIN, x, b.number(0))), b.number(1))
                return b.add(b.map(Prim.MAX, x, b.number(0)), below)
            case Fn.GELU:
                half = b.mul(b.number(0.5), x)
                return b.mul(half, b.add(b.number(1), b.map(Prim.ERF, b.mul(x, b.number(math.sqrt(0.5))))))
            case Fn.POW:
                return self._power(x, args[1])
            case Fn.LOG:
                return self._log(x)
            case Fn.SUB:
                return self._difference(x, args[1])
            case _:
                return b.map(_PLAIN[fn], *args)

    def _difference(self, x: int, y: int) -> int:
        """1 - exp(l) and 1 - sigmoid(l) keep their precision, and a finite slope, where they are nearly zero."""
        b, v = self.b, self.b.values[y]
        if b.constant(x) == 1 and v.op is Op.MAP and not v.is_complex:
            if v.attr is Prim.SIGMOID:
                return b.map(Prim.SIGMOID, b.neg(v.args[0]))
            if v.attr is Prim.EXP:
                return b.mul(b.neg(b.map(Prim.TANH, b.mul(b.number(0.5), v.args[0]))), b.add(b.number(1), y))
        return b.map(Prim.SUB, x, y)

    def _power(self, x: int, p: int) -> int:
        """Powers of exp and sigmoid as exponentials, whose slope stays finite where the base underflows."""
        b, base, exponent = self.b, self.b.constant(x), self.b.constant(p)
        if base is not None and exponent is not None:
            return b.map(Prim.POW, x, p)
        log = None if b.is_complex(x) or b.is_complex(p) else self._known_log(x)
        if log is None and isinstance(base, float) and base > 0:
            log = b.number(math.log(base))
        if log is not None:
            return b.exp(b.mul(p, log))
        match exponent:
            case 2:
                return b.mul(x, x)
            case 0.5:
                return b.map(Prim.SQRT, x)
            case _:
                return b.map(Prim.POW, x, p)

    def _known_log(self, x: int) -> int | None:
        """The log of a value that is an exp or a sigmoid."""
        b, v = self.b, self.b.values[x]
        match v.attr:
            case Prim.EXP:
                return v.args[0]
            case Prim.SIGMOID:
                return b.neg(b.map(Prim.SOFTPLUS, b.neg(v.args[0])))
            case _:
                return None

    def _log(self, x: int) -> int:
        """log(1 + y) and log(1 - y) keep their precision for small y."""
        v = self.b.values[x]
        if v.op is Op.MAP and v.attr in (Prim.ADD, Prim.SUB) and self.b.constant(v.args[0]) == 1:
            y = v.args[1] if v.attr is Prim.ADD else self.b.neg(v.args[1])
            return self.b.map(Prim.LOG1P, y)
        return self.b.map(Prim.LOG, x)

    # --- over axes ---

    def _over(self, e: Over) -> int:
        b, over = self.b, e.over
        match e.fn:
            case AxisFn.SUM:
                return self._sum(e.arg, over)
            case AxisFn.MEAN:
                return b.mul(self._sum(e.arg, over), self._share(over))
            case AxisFn.MAX:
                return b.amax(self(e.arg), over)
            case AxisFn.SOFTMAX:
                x = b.expand(self(e.arg), over)  # what was folded may have lost its axes
                raised = b.exp(b.sub(x, b.amax(x, over, Op.PEAK)))
                return b.div(raised, b.sum(raised, over))
            case AxisFn.L2NORM | AxisFn.RMSNORM:
                x = b.expand(self(e.arg), over)
                total = b.contract(x, x, over)
                if e.fn is AxisFn.RMSNORM:
                    total = b.mul(total, self._share(over))
                return b.div(x, b.map(Prim.SQRT, b.add(total, b.number(EPSILON))))
            case _:
                assert_never(e.fn)

    def _share(self, over: tuple[str, ...]) -> int:
        share = self.b.number(1.0)
        for axis in over:
            share = self.b.div(share, self.known.size(self.b, axis))
        return share

    def _sum(self, arg: Expr, over: tuple[str, ...]) -> int:
        """A contraction of the widest factor with the product of the others; what lacks the axes stays outside."""
        b = self.b
        factors = [self(f) for f in _factors(arg)]
        inside = [f for f in factors if b.dims(f) & set(over)]
        scale = self._product([f for f in factors if not b.dims(f) & set(over)])
        missing = [a for a in over if all(a not in b.dims(f) for f in inside)]
        for axis in missing:
            scale = b.mul(scale, self.known.size(b, axis))
        if not inside:
            return scale
        inside.sort(key=lambda f: len(b.dims(f)))
        *rest, widest = inside
        kept = set(over) - set(missing)
        total = b.contract(self._product(rest), widest, kept) if rest else b.sum(widest, kept)
        return b.mul(scale, total)

    def _product(self, factors: list[int]) -> int:
        product = self.b.number(1.0)
        for f in factors:
            product = self.b.mul(product, f)
        return product


def _factors(e: Expr) -> tuple[Expr, ...]:
    if isinstance(e, Apply) and e.fn is Fn.MUL:
        return _factors(e.args[0]) + _factors(e.args[1])
    return (e,)
