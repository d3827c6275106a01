"""Lays the statements of an emitted function out in lines that fit."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 116
"""Of a statement, which stands inside a function."""


def unpacked(names: Sequence[str], source: str) -> tuple[str, ...]:
    """`q, k = source`; nothing where no name is wanted (`_` stands for an unwanted one)."""
    if all(n == "_" for n in names):
        return ()
    line = f"({names[0]},) = {source}" if len(names) == 1 else f"{', '.join(names)} = {source}"
    return (line,) if len(line) <= WIDTH else ("(", *_filled(names), f") = {source}")


def packed(start: str, items: Sequence[str]) -> tuple[str, ...]:
    """`start(x, y)`, a tuple."""
    line = f"{start}({items[0]},)" if len(items) == 1 else f"{start}({', '.join(items)})"
    return (line,) if len(line) <= WIDTH else (f"{start}(", *_filled(items), ")")


def shaped(line: str, shape: str) -> str:
    """The statement with its result's shape behind it, where there is room."""
    commented = f"{line}  # {shape}"
    return commented if len(commented) <= WIDTH else line


def _filled(items: Sequence[str]) -> list[str]:
    text = ", ".join(items) + ","
    return textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ", break_long_words=False)
