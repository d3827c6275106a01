"""Prints expressions as LaTeX. sympy knows how a name is typeset (`A_log`, `alpha`); the structure is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from ..expr import Expr, Fn
from .expressions import PRODUCT, printed

_OPERATORS = {
    "sigmoid": r"\sigma", "log": r"\log", "exp": r"\exp", "sin": r"\sin", "cos": r"\cos", "tanh": r"\tanh",
    "min": r"\min", "max": r"\max", "re": r"\operatorname{Re}", "im": r"\operatorname{Im}",
}  # fmt: skip


@cache
def symbol(name: str) -> str:
    """A name as LaTeX: Greek names become letters, what follows an underscore an index."""
    from sympy import Symbol, latex

    text = latex(Symbol(name))
    word, underscore, index = text.partition("_")
    return rf"\mathrm{{{word}}}{underscore}{index}" if len(word) > 1 and word.isalpha() else text


@dataclass(frozen=True, slots=True)
class LatexNotation:
    """Time is an index; sums over axes are sums. `short` gives names that are to be written otherwise."""

    short: Mapping[str, str] = field(default_factory=dict)

    def number(self, text: str) -> str:
        mantissa, e, exponent = text.partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if e else text

    def name(self, name: str, previous: bool) -> str:
        text = self.short.get(name) or symbol(name)
        return f"{{{text}}}_{{t-1}}" if previous else text

    def size(self, axis: str) -> str:
        return f"|{symbol(axis)}|"

    def call(self, function: str, axes: tuple[str, ...], arguments: tuple[str, ...]) -> str:
        body, index = ", ".join(arguments), ",".join(symbol(a) for a in axes)
        match function:
            case "sum":
                return rf"\sum_{{{index}}} \left({body}\right)"
            case "sqrt":
                return rf"\sqrt{{{body}}}"
            case "abs":
                return rf"\left|{body}\right|"
            case "square":
                return rf"\left({body}\right)^2"
            case _:
                name = _OPERATORS.get(function, rf"\operatorname{{{function}}}")
                return rf"{name}{f'_{{{index}}}' if index else ''}\left({body}\right)"

    def binary(self, fn: Fn, left: str, right: str) -> str:
        match fn:
            case Fn.DIV:
                return rf"\frac{{{left}}}{{{right}}}"
            case Fn.POW:
                return f"{{{left}}}^{{{right}}}"
            case Fn.MUL:
                return rf"{left} \, {right}"
            case _:
                return f"{left} {fn.value} {right}"

    def rename(self, operand: str, source: str, target: str) -> str:
        return rf"{operand}_{{{symbol(source)} \to {symbol(target)}}}"

    def parentheses(self, text: str) -> str:
        return rf"\left({text}\right)"


def latex_text(e: Expr, short: Mapping[str, str] | None = None) -> str:
    """An expression as LaTeX."""
    return printed(e, LatexNotation(short or {}))


def latex_factor(e: Expr, short: Mapping[str, str] | None = None) -> str:
    """An expression as LaTeX that something can be multiplied with on its right."""
    notation = LatexNotation(short or {})
    text = printed(e, notation, PRODUCT)
    return notation.parentheses(text) if text.startswith("-") else text
