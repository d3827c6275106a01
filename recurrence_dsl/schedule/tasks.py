"""What a plan of the Triton back end is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..program.ops import Program


class Walk(Enum):
    """How a kernel goes through a sequence: all chunks at once, or one after the other with the state in registers."""

    PARALLEL = "parallel"
    FORWARD = "forward"
    REVERSE = "reverse"


@dataclass(frozen=True, slots=True)
class Task:
    """What a kernel does. `keep` stores what comes into each chunk; `splits` are axes divided over instances; `loop`
    is an
    axis that an instance goes through block by block."""

    name: str
    doc: str
    program: Program
    walk: Walk
    keep: bool = False
    splits: tuple[str, ...] = ()
    partial: frozenset[str] = frozenset()
    loop: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How a kernel is launched: tokens a chunk, the block of each split axis, warps and pipeline stages."""

    chunk: int
    blocks: tuple[tuple[str, int], ...] = ()
    warps: int = 4
    stages: int = 1


@dataclass(frozen=True, slots=True)
class Launch:
    """A kernel's task and its settings."""

    task: Task
    settings: Settings


@dataclass(frozen=True, slots=True)
class TritonPlan:
    """`forward` and `backward` list the plans that there are, each a name and its kernels in order."""

    form: str
    chunk: int
    launches: tuple[Launch, ...]
    forward: tuple[tuple[str, tuple[str, ...]], ...]
    backward: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def parallel(self) -> tuple[str, ...]:
        return tuple(x.task.name for x in self.launches if x.task.walk is Walk.PARALLEL)
