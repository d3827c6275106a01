"""Syntax errors in words: what stands there, and what was expected instead."""

from __future__ import annotations

import difflib
import re

from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from ..diagnostics import Diagnostic, Label
from ..source import Source, Span
from .layout import KEYWORDS, Line

_WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "DOC": "a docstring",
    "ARROW": "`->`",
    "EQUAL": "`=`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "$END": "the end of the statement",
}
_EXPRESSION = frozenset({"NAME", "NUMBER", "LPAR", "PLUS", "MINUS", "TRUE", "FALSE"})
_OPERATORS = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "POWER"})
_BINDERS = frozenset({"PLUS", "MINUS"})
_STATEMENT_ONLY = re.compile(r"(?:mixer|dim|input|let|decay|state|output|layer)[ \t]+[^\W\d]")
_CLOSERS = frozenset({"$END", "COMMA", "RPAR", "RSQB"})


def in_words(terminals: frozenset[str]) -> str:
    """`an operator, `,` or `)``: a set of terminals as a person says it."""
    words: list[str] = []
    if terminals >= _EXPRESSION:
        terminals, words = terminals - _EXPRESSION, ["an expression"]
    elif terminals >= _BINDERS:
        terminals, words = terminals - _OPERATORS - {"LSQB"}, ["an operator"]
    words += [_WORDS.get(name, f"`{name.lower()}`") for name in sorted(terminals, key=_reading_order)]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _reading_order(terminal: str) -> tuple[int, str]:
    """Names and keywords first, then punctuation, then what closes."""
    return (2 if terminal in _CLOSERS else 1 if terminal in _WORDS else 0, terminal)


def syntax_error(error: UnexpectedInput, source: Source, line: Line, in_layer: bool) -> Diagnostic:
    """The diagnostic of a parse failure in a logical line."""
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        start, end = error.token.start_pos or 0, error.token.end_pos or 0
    else:
        start = error.pos_in_stream if isinstance(error, UnexpectedCharacters) else line.end
        end = min(start + 1, line.end)
    if start == line.start or (in_layer and _STATEMENT_ONLY.match(source.text, line.start)):
        return _unknown_statement(source, line, in_layer)
    if isinstance(error, UnexpectedCharacters):
        return _unknown_character(source, start)
    return _unexpected(error, source, line, Span(start, end))


def _unexpected(error: UnexpectedInput, source: Source, line: Line, where: Span) -> Diagnostic:
    parser = error.interactive_parser
    expected = frozenset(parser.accepts()) if parser is not None else frozenset({"NAME"})
    words = in_words(expected)
    found = source.text[where.start : where.end]
    if where.start >= line.end:
        found, where = "end of the statement", Span(line.end, line.end)
    elif found.startswith('"""'):
        found = "a docstring"
    else:
        found = f"`{found}`"
    label = Label(where, f"expected {words}")
    return Diagnostic("R0102", f"unexpected {found}", label, help=_advice(source, where, expected), source=source)


def _advice(source: Source, where: Span, expected: frozenset[str]) -> str | None:
    """A hint for the mistakes that other languages' habits bring."""
    before, here = source.text[: where.start].rstrip(" \t"), source.text[where.start :]
    operator = "STAR" in expected
    if expected == {"ARROW"} and before[-1:] == "t":
        return "only a name has a past: name this part with `let`, then read the name at `[t-1]`"
    if here[:1] == "j" and before[-1:].isdigit():
        return "the imaginary unit is `1i`"
    if operator and before[-1:] not in ("", "\n") and (here[:1].isalnum() or here[:1] in ("_", "(")):
        return "a product is written with `*`"
    if where.start == where.end and expected >= _EXPRESSION:
        return "an expression that goes on over several lines stands in parentheses"
    if here.startswith("=="):
        return "write a single `=`"
    return None


def _unknown_character(source: Source, start: int) -> Diagnostic:
    character = source.text[start]
    advice = {
        "^": "write a power with `**`",
        "@": "write a product over an axis as `sum[K](a * b)`",
        ";": "put each statement on a line of its own",
        "{": "axes and times stand in square brackets, as in `sum[K](..)` and `S[t-1]`",
        "'": 'a docstring stands between `"""`',
        '"': 'a docstring stands between `"""`',
        "\u2212": "write minus as `-`",
        "\u00d7": "write the product with `*`",
        "\u00b7": "write the product with `*`",
    }.get(character)
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    return Diagnostic(
        "R0103",
        f"the character `{shown}` has no meaning in a spec",
        Label(Span(start, start + 1), "unexpected character"),
        notes=("a name has letters, Greek letters, digits and `_`",) if character.isalnum() else (),
        help=advice,
        source=source,
    )


def _unknown_statement(source: Source, line: Line, in_layer: bool) -> Diagnostic:
    """The first word of a line is not one that begins a statement."""
    text = source.text[line.start : line.end]
    word = next((word for word in text.replace("=", " ").replace(":", " ").split()), text)
    end = line.start + min(len(word), 40)
    label = Label(Span(line.start, end), "not the beginning of a statement")
    if in_layer and word in KEYWORDS:
        return Diagnostic(
            "R0101",
            f"`{word}` cannot stand in a layer block",
            Label(label.span, "in a layer block"),
            notes=("a layer block holds assignments, `param`, `const` and a last `return`",),
            help="indent this line no deeper than `layer` to end the block",
            source=source,
        )
    shown = source.text[line.start : end]
    return Diagnostic("R0101", f"unknown statement `{shown}`", label, help=_statement_advice(word, text), source=source)


def _statement_advice(word: str, text: str) -> str:
    if word == "return":
        return "`return` stands in a layer block, indented deeper than `layer`"
    near = difflib.get_close_matches(word, KEYWORDS, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    if text[len(word) :].lstrip().startswith(("=", ":", "[")) and word.isidentifier():
        return f"say what `{word}` is: `let {word} = ..`, `state {word} : [..] = ..`, `output {word} = ..`"
    return "a statement begins with one of " + ", ".join(f"`{keyword}`" for keyword in KEYWORDS[:-1])
