"""Builds the syntax tree while the parser reduces: one method a grammar rule, so that depth costs no recursion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from lark import Token, Transformer

from ..diagnostics import Diagnostic, Label
from ..source import NOWHERE, Span
from . import ast
from .docstring import dedented

Children = list[Any]


class Rejected(Exception):
    """A statement that the grammar accepts and the language does not."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic.message)


@dataclass(frozen=True, slots=True)
class Typing:
    """`: complex [K, V]`."""

    axes: tuple[ast.Ident, ...] = ()
    complex: bool = False
    span: Span = NOWHERE


def span(node: Any) -> Span:
    """The source range of a token, of a node, or from the first to the last of several."""
    match node:
        case Token():
            return Span(node.start_pos or 0, node.end_pos or 0)
        case tuple() | list():
            return span(node[0]).to(span(node[-1]))
        case _:
            return node.span


def _named(children: Children, kind: str) -> bool:
    return any(isinstance(child, Token) and child.type == kind for child in children)


def _typing(children: Children) -> Typing:
    return next((child for child in children if isinstance(child, Typing)), Typing())


def _after(children: Children, kind: str) -> Any:
    """The child behind a token of a kind, or None where there is no such token."""
    for token, child in pairwise(children):
        if isinstance(token, Token) and token.type == kind:
            return child
    return None


def _nodes(children: Children) -> tuple[Any, ...]:
    """The children without punctuation."""
    return tuple(child for child in children if not isinstance(child, Token))


class Builder(Transformer):
    """Callbacks of the grammar's rules. Stateless: what a rule may not say is raised as `Rejected`."""

    # --- statements ---------------------------------------------------------------------------------------------------

    def mixer(self, c: Children) -> ast.MixerStatement:
        return ast.MixerStatement(c[1], dedented(c[2][3:-3]) if len(c) > 2 else "", span=span(c))

    def dim(self, c: Children) -> ast.DimStatement:
        size = _after(c, "EQUAL")
        return ast.DimStatement(c[1], None if size is None else _size(size), span=span(c))

    def input(self, c: Children) -> ast.InputStatement:
        kind, bounds = _typing(c), next((child for child in c if isinstance(child, ast.Range)), None)
        grouped = _named(c, "PER")
        return ast.InputStatement(c[1], kind.axes, grouped, complex=kind.complex, range=bounds, span=span(c))

    def param(self, c: Children) -> ast.ParamStatement:
        kind, shared = _typing(c), _named(c, "SHARED")
        return ast.ParamStatement(c[1], kind.axes, shared, kind.complex, _after(c, "EQUAL"), span=span(c))

    def const(self, c: Children) -> ast.ConstStatement:
        return ast.ConstStatement(c[1], c[3], span=span(c))

    def let(self, c: Children) -> ast.LetStatement:
        return ast.LetStatement(c[1], c[3], decay=c[0].type == "DECAY", span=span(c))

    def state(self, c: Children) -> ast.StateStatement:
        kind = _typing(c)
        return ast.StateStatement(c[1], kind.axes, c[-1], kind.complex, span=span(c))

    def output(self, c: Children) -> ast.OutputStatement:
        return ast.OutputStatement(c[1], c[3], span=span(c))

    def layer(self, c: Children) -> ast.LayerStatement:
        return ast.LayerStatement(c[1], c[3].axes, (), span=span(c))

    def assignment(self, c: Children) -> ast.Assignment:
        return ast.Assignment(c[0], c[2], span=span(c))

    def result(self, c: Children) -> ast.Return:
        return ast.Return(c[1], span=span(c))

    # --- parts of statements ------------------------------------------------------------------------------------------

    def type(self, c: Children) -> Typing:
        axes = c[-1].axes if isinstance(c[-1], Typing) else ()
        return Typing(axes, _named(c, "COMPLEX"), span(c))

    def axes(self, c: Children) -> Typing:
        return Typing(c[1] if len(c) == 3 else (), span=span(c))

    def idents(self, c: Children) -> tuple[ast.Ident, ...]:
        return _nodes(c)

    def ident(self, c: Children) -> ast.Ident:
        return ast.Ident(str(c[0]), span=span(c))

    def range(self, c: Children) -> ast.Range:
        return ast.Range(c[1], c[3], low_open=c[0] == "(", high_open=c[4] == ")", span=span(c))

    def bound(self, c: Children) -> float:
        size = math.inf if c[-1].type == "INF" else _finite(c[-1])
        if isinstance(size, complex):
            raise Rejected(_bad_number(c[-1], "a range has real ends"))
        return -size if c[0].type == "MINUS" else size

    # --- expressions --------------------------------------------------------------------------------------------------

    def binary(self, c: Children) -> ast.Binary:
        return ast.Binary(str(c[1]), c[0], c[2], span=span(c))

    def unary(self, c: Children) -> ast.Unary:
        return ast.Unary(str(c[0]), c[1], span=span(c))

    def parenthesis(self, c: Children) -> ast.Expression:
        return replace(c[1], span=span(c))

    def name(self, c: Children) -> ast.Name:
        return ast.Name(str(c[0]), span=span(c))

    def number(self, c: Children) -> ast.Number:
        value = _finite(c[0])
        if isinstance(value, complex):
            return ast.Number(value.imag, imaginary=True, text=str(c[0]), span=span(c))
        return ast.Number(value, text=str(c[0]), span=span(c))

    def flag(self, c: Children) -> ast.Flag:
        return ast.Flag(c[0].type == "TRUE", span=span(c))

    def previous(self, c: Children) -> ast.Previous:
        steps = _size(c[4], "a number of steps", least=0)
        if c[2] != "t":
            raise Rejected(_not_time(c, c[2], f"`{c[2]}` is not the time index"))
        return ast.Previous(str(c[0]), steps if c[3].type == "MINUS" else -steps, span=span(c))

    def subscript(self, c: Children) -> ast.Previous:
        match c[2]:
            case (ast.Ident("t"),):
                return ast.Previous(str(c[0]), 0, span=span(c))
            case items:
                raise Rejected(_not_time(c, items, "only a time index, or `K -> J`, may stand here"))

    def rename(self, c: Children) -> ast.Rename:
        operand = ast.Name(str(c[0]), span=span(c[0])) if isinstance(c[0], Token) else c[0]
        return ast.Rename(operand, c[2], c[4], span=span(c))

    def call(self, c: Children) -> ast.Call:
        brackets = c[2] if c[1] == "[" else ()
        arguments = c[-2] if isinstance(c[-2], list) else []
        options = tuple(a for a in arguments if isinstance(a, ast.Option))
        plain = tuple(a for a in arguments if not isinstance(a, ast.Option))
        if any(isinstance(first, ast.Option) for first in arguments[: len(plain)]):
            raise Rejected(_late_argument(arguments))
        return ast.Call(str(c[0]), brackets, plain, options, function_span=span(c[0]), span=span(c))

    def items(self, c: Children) -> tuple[ast.Ident | ast.Number, ...]:
        return _nodes(c)

    def arguments(self, c: Children) -> list[Any]:
        return list(_nodes(c))

    def option(self, c: Children) -> ast.Option:
        return ast.Option(str(c[0]), c[2], span=span(c))


# --- what the grammar cannot say -------------------------------------------------------------------------------------


def _finite(token: Token) -> float | complex:
    """The value of a number's text."""
    value = float(token.rstrip("i"))
    if not math.isfinite(value):
        raise Rejected(_bad_number(token, "too large for a 64-bit floating point number"))
    return complex(0, value) if token.endswith("i") else value


def _size(token: Token, what: str = "a size", least: int = 1) -> int:
    """The value of a whole number's text."""
    value = _finite(token)
    if isinstance(value, complex) or value % 1 != 0 or not least <= value < 2**31:
        raise Rejected(_bad_number(token, f"{what} is a whole number of at least {least}"))
    return int(value)


def _bad_number(token: Token, why: str) -> Diagnostic:
    text = str(token) if len(token) <= 40 else f"{token[:37]}..."
    return Diagnostic("R0107", f"the number `{text}` cannot stand here", Label(span(token), why))


def _not_time(c: Children, part: Any, why: str) -> Diagnostic:
    return Diagnostic(
        "R0106",
        f"`{c[0]}` cannot be subscripted like this",
        Label(span(part), why),
        notes=(
            "a value is not indexed by its axes: they align by name, and reductions such as `sum[K](..)` remove them",
        ),
        help=f"`{c[0]}` is its value now, `{c[0]}[t-1]` the value one step earlier",
    )


def _late_argument(arguments: list[Any]) -> Diagnostic:
    first = next(index for index, argument in enumerate(arguments) if isinstance(argument, ast.Option))
    late = next(argument for argument in arguments[first:] if not isinstance(argument, ast.Option))
    return Diagnostic(
        "R0108",
        "an argument follows an option",
        Label(span(late), "move this before the options"),
        secondary=(Label(span(arguments[first]), "the first option"),),
    )
