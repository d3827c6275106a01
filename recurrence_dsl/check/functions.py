"""Which functions the language has, and what they take."""

from __future__ import annotations

from ..expr import AxisFn, Fn

OPERATORS = {"+": Fn.ADD, "-": Fn.SUB, "*": Fn.MUL, "/": Fn.DIV, "**": Fn.POW}
_ARITHMETIC = frozenset({Fn.NEG, *OPERATORS.values()})

POINTWISE = {fn.value: fn for fn in Fn if fn not in _ARITHMETIC}
OVER_AXES = {fn.value: fn for fn in AxisFn}
NAMES = tuple(dict.fromkeys([*POINTWISE, *OVER_AXES]))

DRAWS = {"normal": 2, "uniform": 2, "loguniform": 2}
"""Functions of an initialiser that draw random numbers, with how many arguments they take."""

LAYER_ONLY = frozenset({"linear", "conv", "rotary", "groupnorm", "embedding"})

OTHER_WORDS = {
    "ln": "log",
    "swish": "silu",
    "sigma": "sigmoid",
    "logistic": "sigmoid",
    "log_sigmoid": "logsigmoid",
    "norm": "l2norm",
    "normalize": "l2norm",
    "layernorm": "rmsnorm",
    "avg": "mean",
    "pow": "**",
    "real": "re",
    "imag": "im",
    "maximum": "max",
    "minimum": "min",
    "einsum": "sum",
    "sqr": "square",
    "clamp": "min",
}
"""Names that other libraries give to the language's functions."""

OF_COMPLEX = frozenset({*_ARITHMETIC, Fn.EXP, Fn.ABS, Fn.SQUARE, Fn.RE, Fn.IM})
"""Functions with one agreed meaning, without branch cuts, for complex arguments."""

OVER_COMPLEX = frozenset({AxisFn.SUM, AxisFn.MEAN})

REAL_VALUED = frozenset({Fn.ABS, Fn.RE, Fn.IM})


def arity(fn: Fn) -> int:
    """How many arguments a pointwise function takes; `min` and `max` take that many or more."""
    return 2 if fn in (Fn.MIN, Fn.MAX) else 1
