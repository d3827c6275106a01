"""Arithmetic on values that take two tiles: a complex number's real and imaginary part."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import assert_never

from ...diagnostics import CallError
from ...program.ops import Prim
from .builder import TileBuilder

Parts = tuple[int, ...]
_LINEAR = (Prim.ADD, Prim.SUB, Prim.NEG)


def linear(b: TileBuilder, prim: Prim, args: tuple[Parts, ...]) -> Parts:
    """ADD, SUB or NEG, part by part."""
    zero = b.number(0)
    return tuple(b.map(prim, *parts) for parts in zip_longest(*args, fillvalue=zero))


def bilinear(b: TileBuilder, product: Callable[[int, int], int], x: Parts, y: Parts) -> Parts:
    """A product of complex or real values from a product of real ones."""
    if len(x) == 1 and len(y) == 1:
        return (product(x[0], y[0]),)
    if len(y) == 1:
        return tuple(product(p, y[0]) for p in x)
    if len(x) == 1:
        return tuple(product(x[0], p) for p in y)
    real = b.sub(product(x[0], y[0]), product(x[1], y[1]))
    return real, b.add(product(x[0], y[1]), product(x[1], y[0]))


def whole_number(b: TileBuilder, y: Parts) -> int | None:
    """The whole number that a value is known to be."""
    known = b.constant(y[0]) if len(y) == 1 else None
    return int(known) if known is not None and known.is_integer() else None


def whole_power(b: TileBuilder, x: Parts, exponent: int) -> Parts:
    """x to a whole number, by squaring."""
    if exponent < 0:
        return _quotient(b, (b.number(1),), whole_power(b, x, -exponent))
    if exponent == 0:
        return (b.number(1), b.number(0))[: len(x)]
    half = whole_power(b, x, exponent // 2) if exponent > 1 else None
    square = bilinear(b, b.mul, half, half) if half else x
    return bilinear(b, b.mul, square, x) if half and exponent % 2 else square


def complex_map(b: TileBuilder, prim: Prim, args: tuple[Parts, ...]) -> Parts:
    """A pointwise primitive of complex operands (re, im)."""
    x, y = args[0], args[-1]
    if prim in _LINEAR:
        return linear(b, prim, args)
    match prim:
        case Prim.MUL:
            return bilinear(b, b.mul, x, y)
        case Prim.DIV:
            return _quotient(b, x, y)
        case Prim.POW if (exponent := whole_number(b, y)) is not None:
            return whole_power(b, x, exponent)
        case Prim.EXP:
            size = b.map(Prim.EXP, x[0])
            return b.mul(size, b.map(Prim.COS, x[1])), b.mul(size, b.map(Prim.SIN, x[1]))
        case Prim.ABS:
            return (_modulus(b, x),)
        case Prim.RE:
            return (x[0],)
        case Prim.IM:
            return (x[1] if len(x) == 2 else b.number(0),)
        case Prim.CONJ:
            return x[0], b.map(Prim.NEG, x[1])
        case Prim.SIN:
            return _sine(b, x, Prim.SIN, Prim.COS, 1.0)
        case Prim.COS:
            return _sine(b, x, Prim.COS, Prim.SIN, -1.0)
        case (
            Prim.DECAY | Prim.POW | Prim.LOG | Prim.LOG1P | Prim.EXPM1 | Prim.SQRT | Prim.SIGN | Prim.SIGMOID
            | Prim.SOFTPLUS | Prim.TANH | Prim.ERF | Prim.MIN | Prim.MAX | Prim.LESS | Prim.EQUAL | Prim.ADD
            | Prim.SUB | Prim.NEG
        ):  # fmt: skip
            raise CallError(
                "R0407", f"the triton back end has no complex `{prim.value}`", "use backend='torch', which has"
            )
        case _:
            assert_never(prim)


def _modulus(b: TileBuilder, x: Parts) -> int:
    if len(x) == 1:
        return b.map(Prim.ABS, x[0])
    return b.map(Prim.SQRT, b.add(b.mul(x[0], x[0]), b.mul(x[1], x[1])))


def _quotient(b: TileBuilder, x: Parts, y: Parts) -> Parts:
    if len(y) == 1:
        return tuple(b.map(Prim.DIV, p, y[0]) for p in x)
    size = b.add(b.mul(y[0], y[0]), b.mul(y[1], y[1]))
    product = bilinear(b, b.mul, x, (y[0], b.map(Prim.NEG, y[1])))
    return tuple(b.map(Prim.DIV, p, size) for p in product)


def _sine(b: TileBuilder, x: Parts, own: Prim, other: Prim, sign: float) -> Parts:
    """sin(a + ib) = sin a cosh b + i cos a sinh b; cos(a + ib) = cos a cosh b - i sin a sinh b."""
    up, down, half = b.map(Prim.EXP, x[1]), b.map(Prim.EXP, b.map(Prim.NEG, x[1])), b.number(0.5)
    cosh, sinh = b.mul(half, b.add(up, down)), b.mul(b.number(0.5 * sign), b.sub(up, down))
    return b.mul(b.map(own, x[0]), cosh), b.mul(b.map(other, x[0]), sinh)
