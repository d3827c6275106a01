"""Cuts a text into logical lines: newlines inside brackets do not end one, nor does one before a docstring."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..diagnostics import Diagnostic, Label
from ..source import Source, Span
from .limits import MAX_BRACKETS

KEYWORDS = ("mixer", "dim", "input", "param", "const", "let", "decay", "state", "output", "layer", "return")

_PIECE = re.compile(
    r'(?P<comment>#[^\n]*)|(?P<doc>"""[\s\S]*?""")|(?P<open_doc>""")|(?P<newline>\n)'
    r"|(?P<open>[(\[])|(?P<close>[)\]])|(?P<blank>[ \t\r\f\ufeff]+)|(?P<other>[^\n#\"()\[\] \t\r\f\ufeff]+|\")"
)
_NEW_STATEMENT = re.compile(r"[ \t\r\f]*(?:" + "|".join(KEYWORDS) + r")[ \t]+[^\W\d]")
_DOC_NEXT = re.compile(r'(?:[ \t\r\f]*(?:#[^\n]*)?\n)*[ \t\r\f]*"""')


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line: its characters `[start, end)`, its indentation, and what is wrong with its brackets or quotes."""

    start: int
    end: int
    indent: int
    fault: Diagnostic | None = None


def logical_lines(source: Source) -> Iterator[Line]:
    """The text's logical lines in order; blank and comment lines leave no trace."""
    offset, text = 0, source.text
    while offset < len(text):
        line, offset = _line(source, offset)
        if line is not None:
            yield line


def _line(source: Source, offset: int) -> tuple[Line | None, int]:
    """The logical line that begins at `offset`, or None where nothing is written, and where the next one begins."""
    text, first, last, fault = source.text, -1, offset, None
    brackets: list[int] = []
    while offset < len(text):
        piece = _PIECE.match(text, offset)
        assert piece is not None
        start, offset, kind = piece.start(), piece.end(), piece.lastgroup
        if kind == "newline" and _ends(text, offset, first, brackets):
            break
        if kind in ("newline", "comment", "blank"):
            continue
        first, last = start if first < 0 else first, offset
        fault = fault or _track(source, start, kind or "", brackets)
        if kind == "open_doc":
            offset = _end_of_line(text, offset)
    if first < 0:
        return None, offset
    if fault is None and brackets:
        fault = _unclosed_bracket(source, brackets[-1], last)
    return Line(first, last, _column(text, first), fault), offset


def _track(source: Source, start: int, kind: str, brackets: list[int]) -> Diagnostic | None:
    """Note an opening or closing bracket; what is wrong with it, or with a docstring's opening quotes."""
    if kind == "open":
        brackets.append(start)
        return _too_deep(source, start) if len(brackets) > MAX_BRACKETS else None
    if kind == "close" and brackets:
        brackets.pop()
    return _unclosed_docstring(source, start) if kind == "open_doc" else None


def _ends(text: str, offset: int, first: int, brackets: list[int]) -> bool:
    """Whether the newline just before `offset` ends the logical line."""
    if brackets:
        return _NEW_STATEMENT.match(text, offset) is not None
    waits_for_doc = first >= 0 and text.startswith("mixer", first) and '"""' not in text[first:offset]
    return not (waits_for_doc and _DOC_NEXT.match(text, offset))


def _end_of_line(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def _column(text: str, offset: int) -> int:
    """Where `offset` stands in its line, a tab counting up to the next multiple of eight."""
    return len(text[text.rfind("\n", 0, offset) + 1 : offset].lstrip("\ufeff").expandtabs(8))


def _unclosed_bracket(source: Source, start: int, end: int) -> Diagnostic:
    return Diagnostic(
        "R0104",
        f"the bracket `{source.text[start]}` is never closed",
        Label(Span(start, start + 1), "opened here"),
        secondary=(Label(Span(end - 1, end), "the statement ends here"),),
        source=source,
    )


def _unclosed_docstring(source: Source, start: int) -> Diagnostic:
    return Diagnostic(
        "R0104",
        "the docstring is never closed",
        Label(Span(start, start + 3), "opened here"),
        help='end the docstring with `"""`',
        source=source,
    )


def _too_deep(source: Source, start: int) -> Diagnostic:
    return Diagnostic(
        "R0105",
        f"brackets are nested more than {MAX_BRACKETS} deep",
        Label(Span(start, start + 1), f"level {MAX_BRACKETS + 1}"),
        help="name inner parts with `let`",
        source=source,
    )
