"""Derivatives of the pointwise primitives: cotangent of the result -> cotangents of the operands.

For complex values the cotangent is dL/dRe + i dL/dIm, so a product passes on the conjugate of the other factor.
"""

from __future__ import annotations

import math
from typing import assert_never

from .builder import Builder
from .ops import Prim

NONE: tuple[int | None, ...] = (None, None)


def pull_back(b: Builder, prim: Prim, args: tuple[int, ...], out: int, g: int) -> tuple[int | None, ...]:
    """One cotangent for each operand; None where the primitive is flat."""
    x, y = args[0], args[-1]
    match prim:
        case Prim.ADD:
            return g, g
        case Prim.SUB:
            return g, b.neg(g)
        case Prim.MUL:
            return b.mul(g, _conj(b, y)), b.mul(g, _conj(b, x))
        case Prim.DIV:
            dx = b.div(g, _conj(b, y))
            return dx, b.neg(b.mul(dx, _conj(b, out)))
        case Prim.POW:
            return _power(b, x, y, out, g)
        case Prim.MIN:
            taken = b.map(Prim.LESS, y, x)
            return b.mul(g, b.sub(b.number(1), taken)), b.mul(g, taken)
        case Prim.MAX:
            taken = b.map(Prim.LESS, y, x)
            return b.mul(g, taken), b.mul(g, b.sub(b.number(1), taken))
        case Prim.LESS | Prim.EQUAL:
            return NONE
        case _:
            return (_one(b, prim, x, out, g),)


def _one(b: Builder, prim: Prim, x: int, out: int, g: int) -> int | None:
    one = b.number(1)
    match prim:
        case Prim.NEG:
            return b.neg(g)
        case Prim.EXP | Prim.DECAY:
            return b.mul(g, _conj(b, out))
        case Prim.LOG:
            return b.div(g, _conj(b, x))
        case Prim.EXPM1:
            return b.mul(g, b.add(out, one))
        case Prim.LOG1P:
            return b.div(g, b.add(one, x))
        case Prim.SQRT:
            return b.div(b.mul(b.number(0.5), g), _conj(b, out))
        case Prim.ABS if b.is_complex(x):
            away_from_zero = b.add(out, b.map(Prim.EQUAL, out, b.number(0)))  # at zero the gradient is zero
            return b.mul(g, b.div(x, away_from_zero))
        case Prim.ABS:
            return b.mul(g, b.map(Prim.SIGN, x))
        case Prim.SIGMOID:
            return b.mul(g, b.mul(out, b.sub(one, out)))
        case Prim.SOFTPLUS:
            return b.mul(g, b.map(Prim.SIGMOID, x))
        case Prim.TANH:
            return b.mul(g, b.sub(one, b.mul(out, out)))
        case Prim.ERF:
            return b.mul(g, b.mul(b.number(2 / math.sqrt(math.pi)), b.exp(b.neg(b.mul(x, x)))))
        case Prim.SIN:
            return b.mul(g, _conj(b, b.map(Prim.COS, x)))
        case Prim.COS:
            return b.neg(b.mul(g, _conj(b, b.map(Prim.SIN, x))))
        case Prim.RE:
            return g
        case Prim.IM:
            return b.mul(g, b.number(1j))
        case Prim.CONJ:
            return _conj(b, g)
        case Prim.SIGN:
            return None
        case (
            Prim.ADD | Prim.SUB | Prim.MUL | Prim.DIV | Prim.POW | Prim.MIN | Prim.MAX | Prim.LESS | Prim.EQUAL
        ):  # fmt: skip
            raise AssertionError("two operands")
        case _:
            assert_never(prim)


def _power(b: Builder, x: int, p: int, out: int, g: int) -> tuple[int | None, ...]:
    dx = b.mul(g, _conj(b, b.mul(p, b.map(Prim.POW, x, b.sub(p, b.number(1))))))
    dp = b.mul(g, b.mul(out, b.map(Prim.LOG, x))) if b.constant(p) is None else None
    return dx, dp


def _conj(b: Builder, x: int) -> int:
    return b.map(Prim.CONJ, x)
