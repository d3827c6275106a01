"""Diagnostics as people read them: source lines with carets under what is meant, in plain text or in colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .diagnostics import Diagnostic, Severity
from .snippet import Marker, Snippet, shown, snippet

if TYPE_CHECKING:
    from rich.text import Text

MAX_SHOWN = 20
"""Diagnostics rendered in full; the others are counted."""

_COLOURS = {
    "error": "bold red",
    "warning": "bold yellow",
    "title": "bold",
    "gutter": "blue",
    "secondary": "cyan",
    "advice": "green",
    "plain": "",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Some characters of a rendered line; `style` is a key of the colours."""

    text: str
    style: str = "plain"


Row = tuple[Piece, ...]


def render(diagnostic: Diagnostic) -> str:
    """One diagnostic as plain text, several lines without a last newline."""
    return "\n".join("".join(piece.text for piece in row).rstrip() for row in _rows(diagnostic))


def render_all(diagnostics: Iterable[Diagnostic]) -> str:
    """Diagnostics as plain text, a blank line between them; past the first twenty they are only counted."""
    every = tuple(diagnostics)
    texts = [render(diagnostic) for diagnostic in every[:MAX_SHOWN]]
    return "\n\n".join([*texts, *_remainder(every)])


def render_rich(diagnostics: Iterable[Diagnostic]) -> Text:
    """What `render_all` gives, in colour, for a rich console."""
    from rich.text import Text

    every, text = tuple(diagnostics), Text()
    for index, diagnostic in enumerate(every[:MAX_SHOWN]):
        text.append("\n\n" if index else "")
        for number, row in enumerate(_rows(diagnostic)):
            text.append("\n" if number else "")
            for piece in row:
                text.append(piece.text, _COLOURS[piece.style] or None)
    for line in _remainder(every):
        text.append(f"\n\n{line}")
    return text


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors and 1 warning`; empty where there are none."""
    every = tuple(diagnostics)
    counts = [(sum(d.severity is severity for d in every), severity.value) for severity in Severity]
    return " and ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count)


def _remainder(diagnostics: tuple[Diagnostic, ...]) -> tuple[str, ...]:
    left = len(diagnostics) - MAX_SHOWN
    return (f"... and {left} more",) if left > 0 else ()


def _rows(diagnostic: Diagnostic) -> Iterator[Row]:
    severity = diagnostic.severity.value
    yield Piece(f"{severity}[{diagnostic.code}]", severity), Piece(f": {shown(diagnostic.message)}", "title")
    width = 1
    if diagnostic.source is not None:
        piece = snippet(diagnostic.source, diagnostic.primary, diagnostic.secondary)
        width = piece.number_width
        line, column = diagnostic.source.position(diagnostic.primary.span.start)
        yield Piece(" " * (width + 1) + "--> ", "gutter"), Piece(f"{diagnostic.source.name}:{line}:{column}")
        yield from _source_rows(piece, severity)
    for note in diagnostic.notes:
        yield from _advice_rows("note", note, width)
    if diagnostic.help is not None:
        yield from _advice_rows("help", diagnostic.help, width)


def _source_rows(piece: Snippet, severity: str) -> Iterator[Row]:
    blank = Piece(" " * piece.number_width + " | ", "gutter")
    for line in piece.lines:
        if line.number is None:
            yield (Piece("." * max(3, piece.number_width), "gutter"),)
            continue
        yield Piece(f"{line.number:>{piece.number_width}} | ", "gutter"), Piece(line.text)
        for marker in line.markers:
            yield blank, *_marker(marker, severity)


def _marker(marker: Marker, severity: str) -> Row:
    style, sign = (severity, "^") if marker.primary else ("secondary", "-")
    words = f" {shown(marker.text)}" if marker.text else ""
    return Piece(" " * marker.column), Piece(sign * marker.width + words, style)


def _advice_rows(kind: str, text: str, width: int) -> Iterator[Row]:
    first, *rest = (shown(line) for line in text.split("\n"))
    yield Piece(" " * width + " = ", "gutter"), Piece(f"{kind}: ", "advice"), Piece(first)
    for line in rest:
        yield (Piece(" " * (width + len(kind) + 5)), Piece(line))
