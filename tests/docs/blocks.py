"""Finds the fenced blocks of Markdown files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and the line on which the text begins."""

    path: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def documents() -> tuple[Path, ...]:
    """The README and the pages of docs/."""
    return (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def blocks(language: str) -> tuple[Block, ...]:
    """Every block of a language, by document."""
    return tuple(b for path in documents() for b in _blocks(path) if b.language == language)


def _blocks(path: Path) -> tuple[Block, ...]:
    text = path.read_text(encoding="utf-8")
    return tuple(
        Block(path, match[1], match[2], text.count("\n", 0, match.start(2)) + 1) for match in _FENCE.finditer(text)
    )
