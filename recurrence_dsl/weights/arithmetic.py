"""Arithmetic on the entries of a checkpoint's config: `hidden_size * expand_k / num_heads`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from ..diagnostics import CallError

_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


def evaluate(text: str, config: Mapping[str, Any]) -> Any:
    """The value of an expression; a whole number comes out as an int. Raises CallError for an entry that is missing."""
    value = _value(ast.parse(text, mode="eval").body, config)
    return int(value) if isinstance(value, float) and value.is_integer() and value >= 1 else value


def _value(node: ast.expr, config: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            if config.get(name) is None:
                raise CallError("R0908", f"the checkpoint's config says nothing of `{name}`")
            return config[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, config)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, config), _value(right, config))
        case _:
            raise CallError("R0908", f"a config entry is no arithmetic: `{ast.unparse(node)}`")
