"""What a plan of the Triton back end is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..program.ops import Program
from .segments import Composition


class Walk(Enum):
    """How a kernel goes through a sequence: all chunks at once, or one after the other with the state in registers."""

    PARALLEL = "parallel"
    FORWARD = "forward"
    REVERSE = "reverse"


class Start(Enum):
    """What a walk begins with: a state from memory, zero, or what a linear map is read off from: ones or the
    identity."""

    GIVEN = "given"
    ZERO = "zero"
    ONES = "ones"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Task:
    """What a kernel does. `keep` tokens lie between the states that it stores, none if 0; `splits` are axes divided
    over instances; `loop` is an axis that an instance goes through block by block; `sizes` has the axes that differ
    from the spec's. What a walk carries lies in memory between chunks if `cached`, else in registers."""

    name: str
    doc: str
    program: Program
    walk: Walk
    keep: int = 0
    splits: tuple[str, ...] = ()
    partial: frozenset[str] = frozenset()
    loop: str | None = None
    start: Start = Start.GIVEN
    sizes: tuple[tuple[str, int], ...] = ()
    cached: bool = False


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
    """`forward` and `backward` list the plans that there are, each a name and its kernels in order; `composition` says
    how segments of a sequence compose, where they do; `preferred` are the plans that are taken unmeasured: forward with
    enough sequences and heads for the device, forward with too few, and likewise backward."""

    form: str
    chunk: int
    launches: tuple[Launch, ...]
    forward: tuple[tuple[str, tuple[str, ...]], ...]
    backward: tuple[tuple[str, tuple[str, ...]], ...]
    composition: Composition | None = None
    preferred: tuple[str, str, str, str] = ("fused", "fused", "fused", "fused")

    @property
    def parallel(self) -> tuple[str, ...]:
        return tuple(x.task.name for x in self.launches if x.task.walk is Walk.PARALLEL)
