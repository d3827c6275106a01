"""Ast -> text; parsing the text again gives the same Ast."""

from __future__ import annotations

import math
from typing import assert_never

from . import ast
from .docstring import quoted

_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 4}
_UNARY, _ATOM = 3, 5


def print_ast(tree: ast.Ast) -> str:
    """The spec's text in the language's usual spacing; comments are not kept."""
    return "".join(print_statement(statement) + "\n" for statement in tree.statements)


def print_statement(s: ast.Statement | ast.Assignment | ast.Return) -> str:
    """One statement; a layer block comes with its lines."""
    match s:
        case ast.MixerStatement():
            return f"mixer {s.name.name}" + (f"\n{quoted(s.doc)}" if s.doc else "")
        case ast.DimStatement():
            return f"dim {_names(s.names)}" + ("" if s.default is None else f" = {s.default}")
        case ast.InputStatement():
            bounds = "" if s.range is None else f" in {_range(s.range)}"
            return f"input {_names(s.names)}{_typing(s)}{' per group' if s.per_group else ''}{bounds}"
        case ast.ParamStatement():
            init = "" if s.init is None else f" = {print_expression(s.init)}"
            return f"param {_names(s.names)}{_typing(s)}{' shared' if s.shared else ''}{init}"
        case ast.ConstStatement():
            return f"const {s.name.name} = {print_expression(s.value)}"
        case ast.LetStatement():
            return f"{'decay' if s.decay else 'let'} {s.name.name} = {print_expression(s.value)}"
        case ast.StateStatement():
            return f"state {s.name.name}{_typing(s)} = {print_expression(s.update)}"
        case ast.OutputStatement():
            return f"output {s.name.name} = {print_expression(s.value)}"
        case ast.LayerStatement():
            head = f"layer {s.input.name} : [{_names(s.axes)}]"
            return "\n  ".join([head, *(print_statement(line) for line in s.lines)])
        case ast.Assignment():
            return f"{_names(s.targets)} = {print_expression(s.value)}"
        case ast.Return():
            return f"return {print_expression(s.value)}"
        case _:
            assert_never(s)


def print_expression(e: ast.Expression, binding: int = 0) -> str:
    """An expression; in parentheses where its operator binds less than `binding`."""
    text, own = _expression(e)
    return f"({text})" if own < binding else text


def _expression(e: ast.Expression) -> tuple[str, int]:
    match e:
        case ast.Number():
            return _number(e), _ATOM
        case ast.Flag():
            return str(e.value).lower(), _ATOM
        case ast.Name():
            return e.name, _ATOM
        case ast.Previous():
            return f"{e.name}[t{_steps(e.steps)}]", _ATOM
        case ast.Rename():
            return f"{print_expression(e.operand, _ATOM)}[{e.source.name} -> {e.target.name}]", _ATOM
        case ast.Unary():
            return f"{e.operator}{print_expression(e.operand, _UNARY)}", _UNARY
        case ast.Binary():
            return _binary(e), _BINDING[e.operator]
        case ast.Call():
            return _call(e), _ATOM
        case _:
            assert_never(e)


def _binary(e: ast.Binary) -> str:
    own = _BINDING[e.operator]
    if e.operator == "**":
        return f"{print_expression(e.left, _ATOM)} ** {print_expression(e.right, _UNARY)}"
    return f"{print_expression(e.left, own)} {e.operator} {print_expression(e.right, own + 1)}"


def _call(e: ast.Call) -> str:
    brackets = ", ".join(item.name if isinstance(item, ast.Ident) else _number(item) for item in e.brackets)
    arguments = [print_expression(argument) for argument in e.arguments]
    options = [f"{option.name}={print_expression(option.value)}" for option in e.options]
    return f"{e.function}{f'[{brackets}]' if brackets else ''}({', '.join([*arguments, *options])})"


def _number(e: ast.Number) -> str:
    if e.text:
        return e.text
    text = str(int(e.value)) if e.value.is_integer() and abs(e.value) < 1e15 else repr(e.value)
    return text + ("i" if e.imaginary else "")


def _steps(steps: int) -> str:
    return "" if steps == 0 else f"-{steps}" if steps > 0 else f"+{-steps}"


def _names(names: tuple[ast.Ident, ...]) -> str:
    return ", ".join(name.name for name in names)


def _typing(s: ast.InputStatement | ast.ParamStatement | ast.StateStatement) -> str:
    axes = f"[{_names(s.axes)}]" if s.axes else ""
    words = " ".join(word for word in ("complex" if s.complex else "", axes) if word)
    return f" : {words}" if words else ""


def _range(r: ast.Range) -> str:
    return f"{'(' if r.low_open else '['}{_bound(r.low)}, {_bound(r.high)}{')' if r.high_open else ']'}"


def _bound(value: float) -> str:
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
