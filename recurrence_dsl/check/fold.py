"""Compile-time numbers: the value of a const."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ..expr import Fn
from ..source import Span
from ..syntax import ast
from .functions import OPERATORS, POINTWISE, arity
from .report import Report


class NotConstant(Exception):
    """An expression has no value when the spec is compiled."""

    def __init__(self, span: Span, why: str, help: str | None = None) -> None:
        self.span, self.why, self.help = span, why, help
        super().__init__(why)


def const_value(statement: ast.ConstStatement, report: Report) -> float | None:
    """The number that a const starts from, or None after reporting why there is none."""
    try:
        value = fold(statement.value)
        if math.isfinite(value):
            return value
        reason = NotConstant(statement.value.span, "this is not a finite number")
    except NotConstant as error:
        reason = error
    message = f"the const `{statement.name.name}` is not a number that is known when compiling"
    report.error("R0216", message, reason.span, reason.why, help=reason.help)
    return None


def fold(e: ast.Expression) -> float:
    """The value of an arithmetic expression of real numbers."""
    match e:
        case ast.Number(imaginary=False):
            return e.value
        case ast.Unary():
            value = fold(e.operand)
            return -value if e.operator == "-" else value
        case ast.Binary():
            return _apply(OPERATORS[e.operator], (fold(e.left), fold(e.right)), e.span)
        case ast.Call() if e.function in POINTWISE and not e.brackets and not e.options:
            fn = POINTWISE[e.function]
            if fn in _VALUES and len(e.arguments) >= arity(fn) and (len(e.arguments) == 1 or arity(fn) == 2):
                return _apply(fn, tuple(fold(argument) for argument in e.arguments), e.span)
            raise NotConstant(e.span, "not a function of numbers")
        case ast.Name():
            help = "a caller may override a const alone: write `let` for what is computed from sizes or other values"
            raise NotConstant(e.span, "only numbers and arithmetic may stand here", help)
        case _:
            raise NotConstant(e.span, "only real numbers and arithmetic may stand here")


def _apply(fn: Fn, args: tuple[float, ...], span: Span) -> float:
    try:
        value = _VALUES[fn](*args)
    except ZeroDivisionError:
        raise NotConstant(span, "a division by zero") from None
    except OverflowError:
        raise NotConstant(span, "too large for a 64-bit floating point number") from None
    except ValueError:
        raise NotConstant(span, "not defined here") from None
    if isinstance(value, complex):
        raise NotConstant(span, "not a real number")
    return value


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


_VALUES: Mapping[Fn, Callable[..., float]] = {
    Fn.ADD: lambda a, b: a + b,
    Fn.SUB: lambda a, b: a - b,
    Fn.MUL: lambda a, b: a * b,
    Fn.DIV: lambda a, b: a / b,
    Fn.POW: lambda a, b: a**b,
    Fn.EXP: math.exp,
    Fn.LOG: math.log,
    Fn.SQRT: math.sqrt,
    Fn.ABS: math.fabs,
    Fn.SIGMOID: _sigmoid,
    Fn.LOGSIGMOID: lambda x: -_softplus(-x),
    Fn.SOFTPLUS: _softplus,
    Fn.TANH: math.tanh,
    Fn.SIN: math.sin,
    Fn.COS: math.cos,
    Fn.SQUARE: lambda x: x * x,
    Fn.RELU: lambda x: max(x, 0.0),
    Fn.MIN: min,
    Fn.MAX: max,
}
