"""Prints typed expressions: as the language writes them, and as LaTeX."""

from __future__ import annotations

from typing import Protocol, assert_never

from ..expr import Apply, Expr, Fn, Head, Heads, Now, Number, Over, Prev, Renamed, Size

SUM, PRODUCT, SIGN, POWER, ATOM = range(1, 6)
"""How tightly an operator binds."""

_BINDING = {Fn.ADD: SUM, Fn.SUB: SUM, Fn.MUL: PRODUCT, Fn.DIV: PRODUCT, Fn.POW: POWER}


class Notation(Protocol):
    """How the parts of an expression are written; operands come as finished text, in parentheses where needed."""

    def number(self, text: str) -> str: ...

    def name(self, name: str, previous: bool) -> str: ...

    def size(self, axis: str) -> str: ...

    def call(self, function: str, axes: tuple[str, ...], arguments: tuple[str, ...]) -> str: ...

    def binary(self, fn: Fn, left: str, right: str) -> str: ...

    def rename(self, operand: str, source: str, target: str) -> str: ...

    def parentheses(self, text: str) -> str: ...


class SpecNotation:
    """The language's own spelling."""

    def number(self, text: str) -> str:
        return text

    def name(self, name: str, previous: bool) -> str:
        return f"{name}[t-1]" if previous else name

    def size(self, axis: str) -> str:
        return axis

    def call(self, function: str, axes: tuple[str, ...], arguments: tuple[str, ...]) -> str:
        over = f"[{', '.join(axes)}]" if axes else ""
        return f"{function}{over}({', '.join(arguments)})"

    def binary(self, fn: Fn, left: str, right: str) -> str:
        return f"{left} {fn.value} {right}"

    def rename(self, operand: str, source: str, target: str) -> str:
        return f"{operand}[{source} -> {target}]"

    def parentheses(self, text: str) -> str:
        return f"({text})"


def spec_text(e: Expr) -> str:
    """An expression as a spec writes it."""
    return printed(e, SpecNotation())


def printed(e: Expr, notation: Notation, binding: int = 0) -> str:
    """An expression in a notation; in parentheses where its operator binds less tightly than `binding`."""
    text, own = _parts(e, notation)
    return notation.parentheses(text) if own < binding else text


def number_text(value: float | complex) -> str:
    """A number without a needless `.0`; an imaginary part has the suffix `i`."""
    if isinstance(value, complex):
        imaginary = f"{number_text(value.imag)}i"
        return imaginary if value.real == 0 else f"({number_text(value.real)} + {imaginary})"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.12g}"


def _parts(e: Expr, n: Notation) -> tuple[str, int]:
    match e:
        case Number():
            text = number_text(e.value)
            return n.number(text), SIGN if text.startswith("-") else ATOM
        case Now() | Prev():
            return n.name(e.name, isinstance(e, Prev)), ATOM
        case Size():
            return n.size(e.axis), ATOM
        case Head():
            return n.name("head", False), ATOM
        case Heads():
            return n.name("heads", False), ATOM
        case Apply():
            return _applied(e, n)
        case Over():
            return n.call(e.fn.value, e.over, (printed(e.arg, n),)), ATOM
        case Renamed():
            return n.rename(printed(e.arg, n, ATOM), e.source, e.target), ATOM
        case _:
            assert_never(e)


def _applied(e: Apply, n: Notation) -> tuple[str, int]:
    if e.fn is Fn.NEG:
        return f"-{printed(e.args[0], n, SIGN)}", SIGN
    if e.fn not in _BINDING:
        return n.call(e.fn.value, (), tuple(printed(a, n) for a in e.args)), ATOM
    own = _BINDING[e.fn]
    left, right = e.args
    if e.fn is Fn.POW:
        return n.binary(e.fn, printed(left, n, ATOM), printed(right, n, SIGN)), own
    return n.binary(e.fn, printed(left, n, own), printed(right, n, own + 1)), own
