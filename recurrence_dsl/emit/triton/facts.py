"""What is known of a tile's values beyond the ends of its axes and of the sequence, where lanes compute on zeros."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...program.ops import Prim

_ODD = frozenset((Prim.NEG, Prim.SQRT, Prim.ABS, Prim.SIGN, Prim.TANH, Prim.ERF, Prim.SIN, Prim.LOG1P, Prim.EXPM1))
"""Functions that give zero for zero."""
_UNBOUNDED = frozenset((Prim.LOG, Prim.POW))


@dataclass(frozen=True, slots=True)
class Facts:
    """`zero`: dims beyond whose end the value is exactly zero. `finite`: no infinity and no NaN there.

    `sign`: 1 where the value is never negative, 2 where it is positive. `causal`: zero where a token does not see the
    other. `steady`: rows beyond the sequence's end repeat its last row. `product`: it stems from a matrix product by
    pointwise operations, so that turning it over is not safe on every version of Triton.
    """

    zero: frozenset[str] = frozenset()
    finite: bool = True
    sign: int = 0
    causal: bool = False
    steady: bool = False
    product: bool = False


def of_map(prim: Prim, args: Sequence[Facts], numbers: Sequence[float | None], dims: Sequence[frozenset[str]]) -> Facts:
    """The facts of a pointwise result. `numbers` holds the operands that are known, `dims` their dims."""
    x, y = args[0], args[-1]
    whole = frozenset().union(*dims)
    flat = [f for f, d in zip(args, dims, strict=True) if len(d) > 1]
    return Facts(
        zero=_zero(prim, x, y, numbers) & whole,
        finite=all(f.finite for f in args) and _stays_finite(prim, y, numbers),
        sign=_sign(prim, x, y, numbers, len(args) == 2 and x is y),
        causal=_causal(prim, x, y),
        steady=prim in (Prim.ADD, Prim.SUB, Prim.NEG) and all(f.steady for f in args),
        product=any(f.product for f in flat),
    )


def _zero(prim: Prim, x: Facts, y: Facts, numbers: Sequence[float | None]) -> frozenset[str]:
    match prim:
        case Prim.MUL:
            return (x.zero if y.finite else frozenset()) | (y.zero if x.finite else frozenset())
        case Prim.DIV:
            return x.zero if y.sign == 2 or numbers[1] else frozenset()
        case Prim.ADD | Prim.SUB:
            return x.zero & y.zero
        case Prim.MAX if numbers[1] is not None and numbers[1] <= 0:
            return x.zero
        case Prim.MIN if numbers[1] is not None and numbers[1] >= 0:
            return x.zero
        case Prim.MAX | Prim.MIN:
            return x.zero & y.zero
        case _:
            return x.zero if prim in _ODD else frozenset()


def _stays_finite(prim: Prim, y: Facts, numbers: Sequence[float | None]) -> bool:
    if prim is Prim.DIV:
        return y.sign == 2 or bool(numbers[1])
    if prim is Prim.LOG1P:
        return y.sign >= 1
    return prim not in _UNBOUNDED


def _sign(prim: Prim, x: Facts, y: Facts, numbers: Sequence[float | None], same: bool) -> int:
    match prim:
        case Prim.EXP | Prim.DECAY | Prim.SIGMOID | Prim.SOFTPLUS | Prim.ABS | Prim.LESS | Prim.EQUAL:
            return 1
        case Prim.MUL if same:
            return max(1, min(x.sign, y.sign))
        case Prim.MUL:
            return min(x.sign, y.sign)
        case Prim.DIV:
            return min(x.sign, y.sign, 1)
        case Prim.ADD:
            return max(x.sign, y.sign) if x.sign and y.sign else 0
        case Prim.SQRT:
            return x.sign
        case Prim.MAX:
            return max(x.sign, y.sign)
        case Prim.MIN:
            return min(x.sign, y.sign)
        case _:
            return 0


def _causal(prim: Prim, x: Facts, y: Facts) -> bool:
    match prim:
        case Prim.MUL:
            return x.causal or y.causal
        case Prim.ADD | Prim.SUB:
            return x.causal and y.causal
        case Prim.NEG:
            return x.causal
        case Prim.DIV:
            return x.causal and y.sign == 2
        case _:
            return False
