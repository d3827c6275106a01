"""Text that every machine has: the sources of the Python standard library, as bytes."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...diagnostics import CallError

BYTES = 256
"""The vocabulary."""
_SKIPPED = frozenset({"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "encodings"})
_LIMIT = 6_000_000
_HELD_OUT = 20
"""One file in so many is for evaluation."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Bytes to train on and bytes to evaluate on, from different files."""

    train: Tensor
    held_out: Tensor
    name: str = "the Python standard library's sources"

    def rows(self, batch: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random tokens and the tokens that follow them, both [batch, length]."""
        return _windows(self.train, torch.randint(len(self.train) - length, (batch,), generator=generator), length)

    def held_out_rows(self, count: int, length: int) -> tuple[Tensor, Tensor]:
        """Evenly spread rows of the held-out text and the tokens that follow, both [count, length]."""
        last = len(self.held_out) - length - 1
        return _windows(self.held_out, torch.linspace(0, last, count).long(), length)


def _windows(text: Tensor, starts: Tensor, length: int) -> tuple[Tensor, Tensor]:
    rows = text[starts[:, None] + torch.arange(length + 1)].long()
    return rows[:, :-1], rows[:, 1:]


def standard_library() -> Corpus:
    """The corpus of the Python that runs this. Raises CallError where its sources are not installed as files."""
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = [path for path in sorted(root.rglob("*.py")) if not _SKIPPED & set(path.relative_to(root).parts)]
    parts: tuple[list[bytes], list[bytes]] = ([], [])
    total = 0
    for index, path in enumerate(paths):
        if total > _LIMIT:
            break
        source = path.read_bytes()
        parts[index % _HELD_OUT == 0].append(source)
        total += len(source)
    train, held_out = (torch.frombuffer(bytearray(b"".join(part)), dtype=torch.uint8) for part in map(checked, parts))
    return Corpus(train, held_out)


def checked(files: list[bytes]) -> list[bytes]:
    """Files that hold enough text. Raises CallError where they do not."""
    if sum(map(len, files)) < 10_000:
        raise CallError("R0903", "the Python standard library's sources are not installed as files here")
    return files
