"""How pointwise operations are spelt."""

from __future__ import annotations

from ...program.ops import Prim

INFIX = {Prim.ADD: ("+", 1), Prim.SUB: ("-", 1), Prim.MUL: ("*", 2), Prim.DIV: ("/", 2)}
COMPARE = {Prim.LESS: "<", Prim.EQUAL: "=="}
CALLS = {
    Prim.EXP: "tl.exp",
    Prim.DECAY: "tl.exp",
    Prim.LOG: "tl.log",
    Prim.SQRT: "tl.sqrt",
    Prim.ABS: "tl.abs",
    Prim.SIGMOID: "tl.sigmoid",
    Prim.ERF: "tl.erf",
    Prim.SIN: "tl.sin",
    Prim.COS: "tl.cos",
    Prim.MIN: "tl.minimum",
    Prim.MAX: "tl.maximum",
    Prim.LOG1P: "_log1p",
    Prim.EXPM1: "_expm1",
    Prim.SIGN: "_sign",
    Prim.SOFTPLUS: "_softplus",
    Prim.TANH: "_tanh",
    Prim.POW: "_power",
}
COSTLY = frozenset(p for p in CALLS if p not in (Prim.SQRT, Prim.ABS, Prim.MIN, Prim.MAX, Prim.SIGN))
"""Functions that take many instructions."""
