"""Numbers that are known when a layer is built: consts, sizes, `heads`, `layer`, and arithmetic on them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..diagnostics import CallError
from ..syntax.ast import Binary, Call, Expression, Flag, Name, Number, Previous, Rename, Unary

ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "ceil": math.ceil,
    "floor": math.floor,
    "round": round,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "abs": abs,
    "min": min,
    "max": max,
}


def names(expression: Expression) -> Iterator[Name]:
    """The names that an expression reads, left to right."""
    match expression:
        case Name():
            yield expression
        case Unary() | Rename():
            yield from names(expression.operand)
        case Binary():
            yield from names(expression.left)
            yield from names(expression.right)
        case Call():
            for argument in expression.arguments:
                yield from names(argument)
        case Number() | Flag() | Previous():
            return


def is_static(expression: Expression, known: frozenset[str]) -> bool:
    """Whether the expression is a number as soon as the names in `known` are numbers."""
    match expression:
        case Number():
            return not expression.imaginary
        case Name():
            return expression.name in known
        case Unary():
            return is_static(expression.operand, known)
        case Binary():
            return is_static(expression.left, known) and is_static(expression.right, known)
        case Call():
            plain = expression.function in FUNCTIONS and not expression.brackets and not expression.options
            return plain and all(is_static(argument, known) for argument in expression.arguments)
        case Flag() | Previous() | Rename():
            return False


def evaluate(expression: Expression, values: Mapping[str, float]) -> float:
    """The number that a static expression stands for."""
    try:
        return _value(expression, values)
    except (ArithmeticError, ValueError) as fault:
        raise CallError("R0515", f"a number of the layer block cannot be computed: {fault}") from None


def _value(expression: Expression, values: Mapping[str, float]) -> float:
    match expression:
        case Number():
            return expression.value
        case Name():
            return values[expression.name]
        case Unary():
            operand = _value(expression.operand, values)
            return -operand if expression.operator == "-" else operand
        case Binary():
            return ARITHMETIC[expression.operator](_value(expression.left, values), _value(expression.right, values))
        case Call():
            return FUNCTIONS[expression.function](*(_value(argument, values) for argument in expression.arguments))
        case Flag() | Previous() | Rename():
            raise ValueError("it is not a number")
