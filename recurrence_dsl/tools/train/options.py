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
    length      tokens a row; batch: rows a step
    steps       steps at most, fewer where `minutes` of training are over first
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
    length: int = 256
    batch: int = 8
    steps: int = 500
    minutes: float = 2.0
    rate: float = 4e-3
    pairs: int = 8
    vocab: int = 128
    seed: int = 0
    new_tokens: int = 240
