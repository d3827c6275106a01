"""The source lines that a diagnostic shows, laid out in terminal columns: tabs, wide letters and long lines too."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from .diagnostics import Label
from .source import Source

MAX_WIDTH = 140
"""Columns of a source line; longer ones are cut around what is marked."""

TAB = 4


@dataclass(frozen=True, slots=True)
class Marker:
    """A run of carets below a line, in terminal columns from 0, and the words behind it."""

    column: int
    width: int
    primary: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A source line as shown; `number` is None for a row that stands for left-out lines."""

    number: int | None
    text: str = ""
    markers: tuple[Marker, ...] = ()


@dataclass(frozen=True, slots=True)
class Snippet:
    lines: tuple[Line, ...]

    @property
    def number_width(self) -> int:
        return max((len(str(line.number)) for line in self.lines if line.number is not None), default=1)


def snippet(source: Source, primary: Label, secondary: tuple[Label, ...]) -> Snippet:
    """The lines that the labels touch, in order; of a label over several lines the first and the last."""
    texts = source.text.split("\n")
    starts = tuple(accumulate((len(text) + 1 for text in texts), initial=0))
    marked: dict[int, list[Marker]] = {}
    inside: set[int] = set()
    for label, is_primary in ((primary, True), *((label, False) for label in secondary)):
        for number, marker in _markers(label, is_primary, texts, starts):
            marked.setdefault(number, []).append(marker)
        first, last = _line_of(label.span.start, starts), _line_of(label.span.end, starts)
        inside.update(range(first + 1, last))
    return Snippet(tuple(_lines(texts, marked, inside)))


def _lines(texts: list[str], marked: dict[int, list[Marker]], inside: set[int]) -> Iterator[Line]:
    """The marked lines; a gap that lies inside a label is shown as left out."""
    previous = None
    for number in sorted(marked):
        if previous is not None and any(between in inside for between in range(previous + 1, number)):
            yield Line(None)
        previous = number
        yield _cut(Line(number + 1, shown(texts[number]), tuple(marked[number])))


def _markers(label: Label, primary: bool, texts: list[str], starts: tuple[int, ...]) -> Iterator[tuple[int, Marker]]:
    """A label's marker, or two for a label over several lines; the words stand behind the last."""
    first, last = _line_of(label.span.start, starts), _line_of(max(label.span.start, label.span.end - 1), starts)
    for number in dict.fromkeys((first, last)):
        text, offset = texts[number].rstrip("\r"), starts[number]
        indent = len(text) - len(text.lstrip())
        begin = max(label.span.start - offset, 0 if number == first else indent)
        end = min(label.span.end - offset, len(text))
        column = columns(text[:begin]) + max(0, begin - len(text))
        width = max(1, columns(text[:end]) - columns(text[:begin]))
        yield number, Marker(column, width, primary, label.text if number == last else "")


def _line_of(offset: int, starts: tuple[int, ...]) -> int:
    """The index of the line that holds an offset."""
    return max(0, min(bisect_right(starts, offset) - 1, len(starts) - 2))


def _cut(line: Line) -> Line:
    """A line of at most the greatest width, around its first marker."""
    if len(line.text) <= MAX_WIDTH:
        return line
    start = max(0, min(line.markers[0].column - MAX_WIDTH // 3, len(line.text) - MAX_WIDTH))
    end = start + MAX_WIDTH
    text = ("…" if start else "") + line.text[start + (start > 0) : end - 1] + "…"
    markers = tuple(_shift(marker, start) for marker in line.markers if start <= marker.column < end)
    return replace(line, text=text, markers=markers)


def _shift(marker: Marker, start: int) -> Marker:
    column = marker.column - start
    return replace(marker, column=column, width=min(marker.width, MAX_WIDTH - column))


def shown(text: str) -> str:
    """A line as a terminal may print it: tabs as spaces, control characters made harmless."""
    spread: list[str] = []
    for character in text.rstrip("\r"):
        if character == "\t":
            spread.append(" " * TAB)
        else:
            spread.append(character if character.isprintable() else "\ufffd")
    return "".join(spread)


def columns(text: str) -> int:
    """How many terminal columns a piece of a line takes."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if character == "\t":
        return TAB
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
