"""What `recurrence train` is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Task(StrEnum):
    """What a model is trained on."""

    TEXT = "text"
    RECALL = "recall"


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Every choice of a training run.

    spec        a spec with a layer block: a path, the name of a shipped spec, or its text
    out         the folder for the picture and the figures, made if missing
    task        `text`: the next byte of the Python standard library's sources; `recall`: multi-query associative recall
    settings    sizes of the spec's dims and values of its consts; a dim without one has `d_model / heads`
    length      tokens a row; batch: rows a step; where not given, what suits the task
    steps       steps at most
    minutes     from the call to the last step, at most: a slow or busy machine makes fewer steps, and at least one
    rate        the highest learning rate
    pairs       key-value pairs of a recall row; vocab: its number of different tokens
    seed        of the weights and of the order of the data
    new_tokens  how many bytes are generated at the end
    """

    spec: str | Path
    out: Path = Path("out/train")
    task: Task = Task.TEXT
    settings: Mapping[str, float] = field(default_factory=dict)
    d_model: int = 128
    layers: int = 3
    heads: int = 4
    groups: int = 1
    length: int | None = None
    batch: int | None = None
    steps: int = 500
    minutes: float = 2.25
    rate: float = 4e-3
    pairs: int = 4
    vocab: int = 64
    seed: int = 0
    new_tokens: int = 240

    @property
    def rows(self) -> tuple[int, int]:
        """Rows a step and tokens a row; where not given, a few long rows of text, or many short ones of questions."""
        batch, length = (8, 256) if self.task is Task.TEXT else (32, 64)
        return self.batch or batch, self.length or length
