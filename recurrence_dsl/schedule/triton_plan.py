"""Programs -> the plan of the Triton back end: which kernels there are, what each computes, and how it is launched.

Every plan is a slicing of the same two programs by their results. *fused*: one kernel walks over the chunks with the state
in registers. *split*: a kernel that only carries the state along and stores what comes into each chunk, then one that
finishes all chunks at once. The backward pass walks in reverse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ..maths.recurrence import Form, Recurrence
from ..program.ops import COL, HEAD, BATCH, ROW, Program, only
from .splits import may_split, shares


class Walk(Enum):
    """How a kernel goes through a sequence: all chunks at once, or one after the other with the state in registers."""

    PARALLEL = "parallel"
    FORWARD = "forward"
    REVERSE = "reverse"


@dataclass(frozen=True, slots=True)
class Task:
    """What a kernel does. `keep` stores what comes into each chunk; `splits` are axes divided over instances."""

    name: str
    doc: str
    program: Program
    walk: Walk
    keep: bool = False
    splits: tuple[str, ...] = ()
    partial: frozenset[str] = frozenset()


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


PAIR_CHUNK = 64
"""Tokens a chunk where pairs of tokens are multiplied as matrices."""
SCAN_NUMBERS = 8192
"""Numbers in a tile of states at every token of a chunk."""
HELD = 24
"""Tiles of a chunk's widest value that a kernel holds at a time, as a rule of thumb for the block sizes."""


def triton_plan(
    recurrence: Recurrence,
    body: Program,
    backward: Program,
    step: Program,
    sizes: Mapping[str, int],
    form: str,
    chunk_size: int | None,
) -> TritonPlan:
    """The plan for one form; a given chunk size is obeyed."""
    walking = form == "recurrent"
    chunk = 1 if walking else chunk_size or _chunk(recurrence, body, sizes)
    launches = [
        _launch("forward", "Outputs and the states after the last token.", body, Walk.FORWARD, sizes, chunk, keep=True),
        _launch("gradient", "All gradients.", backward, Walk.REVERSE, sizes, chunk),
        _launch("carry", "The states before each chunk.", _states(body), Walk.FORWARD, sizes, chunk, keep=True),
    ]
    plans = {"fused": ("forward",)}, {"fused": ("carry", "gradient")}
    if not walking:
        launches += [
            _launch("finish", "Outputs of each chunk.", _outputs(body), Walk.PARALLEL, sizes, chunk),
            _launch("carry_back", "The states' gradients after each chunk.", _states(backward), Walk.REVERSE, sizes, chunk,
                    keep=True),
            _launch("finish_back", "Gradients of each chunk.", _leaves(backward), Walk.PARALLEL, sizes, chunk),
        ]
        plans[0]["split"] = ("carry", "finish")
        plans[1]["split"] = ("carry", "carry_back", "finish_back")
        launches.append(_launch("step", "One token.", step, Walk.FORWARD, sizes, 1))
    return TritonPlan(form, chunk, tuple(launches), tuple(plans[0].items()), tuple(plans[1].items()))


def _states(program: Program) -> Program:
    return only(program, lambda key: key.startswith("state:"))


def _outputs(program: Program) -> Program:
    return only(program, lambda key: key.startswith("output:"))


def _leaves(program: Program) -> Program:
    """An adjoint without the states' gradients."""
    return only(program, lambda key: not key.startswith("state:"))


def _chunk(recurrence: Recurrence, body: Program, sizes: Mapping[str, int]) -> int:
    """PAIR_CHUNK where every state is matrices; else as many tokens as keep the states at all of them small."""
    if all(s.form is Form.MATRIX for s in recurrence.states):
        return PAIR_CHUNK
    widest = max(_numbers(v.dims, sizes) for v in body.values if ROW in v.dims)
    return max(16, min(PAIR_CHUNK, 1 << (SCAN_NUMBERS // max(widest, 1)).bit_length() - 1))


def _numbers(dims: tuple[str, ...], sizes: Mapping[str, int]) -> int:
    return math.prod(sizes.get(d, 1) for d in dims if d not in (BATCH, HEAD, ROW, COL))


def _launch(
    name: str, doc: str, program: Program, walk: Walk, sizes: Mapping[str, int], chunk: int, keep: bool = False
) -> Launch:
    free = [a for a in sizes if may_split(program, a, walk is Walk.REVERSE)]
    blocks = _blocks(program, free, sizes, chunk)
    splits = tuple(blocks)
    task = Task(name, doc, program, walk, keep, splits, shares(program, splits))
    return Launch(task, Settings(chunk, tuple(blocks.items()), _warps(program, blocks, sizes, chunk)))


def _blocks(program: Program, free: list[str], sizes: Mapping[str, int], chunk: int) -> dict[str, int]:
    """Blocks of the axes that are divided: the widest free one is halved while tiles are too large."""
    blocks: dict[str, int] = {}
    while free:
        whole = {a: blocks.get(a, _power(n)) for a, n in sizes.items()}
        if _widest(program, whole, chunk) <= SCAN_NUMBERS:
            break
        axis = max(free, key=lambda a: whole[a])
        if whole[axis] <= 16:
            break
        blocks[axis] = whole[axis] // 2
    return blocks


def _power(size: int) -> int:
    return max(16, 1 << (size - 1).bit_length())


def _widest(program: Program, sizes: Mapping[str, int], chunk: int) -> int:
    """Numbers in the largest tile; decays of pairs of tokens along an axis are never formed."""
    full = {**sizes, ROW: chunk, COL: chunk}
    found = [
        math.prod(full.get(d, 1) for d in v.dims)
        for v in program.values
        if not (COL in v.dims and any(d in sizes for d in v.dims) and ROW in v.dims)
    ]
    return max(found, default=1)


def _warps(program: Program, blocks: Mapping[str, int], sizes: Mapping[str, int], chunk: int) -> int:
    widest = _widest(program, {a: blocks.get(a, _power(n)) for a, n in sizes.items()}, chunk)
    return 1 if widest <= 1024 else 4 if widest <= SCAN_NUMBERS else 8
