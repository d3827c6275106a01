"""Bytes that the kernels of a plan move between memory and the device, for each token and head.

A kernel moves every tensor that it uses once: what several of its instances read lies in the cache by then. Counted
are the tensors that grow with the tokens, the states kept for each chunk among them; not params, and not the states of
whole sequences and segments, nor what a walk carries in memory from chunk to chunk: as much for each sequence and head,
which stays in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..check.spec import Declared, Spec
from ..program.ops import Op, Program, is_stored
from ..program.step import carried_names
from .cost import flops
from .preparing import stored_values, stores
from .tasks import Launch, Task, TritonPlan, Walk

WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of an element."""
KEPT = {"float32": 4, "bfloat16": 2, "float16": 4}
"""Bytes of an element of a state kept between kernels: float16 would overflow."""
EXACT = 4
"""Bytes of an element of an inverse that is kept: a product of transitions."""
SHARE = 4
"""Bytes of an element of a gradient that is yet to be added up."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes and operations for a token and head; `least`: each input, output and gradient once."""

    name: str
    moved: float
    least: float
    flops: float


@dataclass(frozen=True, slots=True)
class Movement:
    """A tensor that a kernel reads or writes: its name there, and bytes for a token and head."""

    tensor: str
    bytes: float


def plan_traffic(
    spec: Spec, plan: TritonPlan, sizes: Mapping[str, int], dtype: str = "bfloat16", sharing: int = 1
) -> tuple[tuple[Traffic, ...], tuple[Traffic, ...]]:
    """Every forward plan, with the states stored that a backward pass wants (in segments none are), and every backward
    plan, each with and without these; `sharing`: heads that share a per-group input."""
    launches = {x.task.name: x for x in plan.launches}
    counter = _Counter(spec, dict(sizes), dtype, sharing)

    def one(name: str, kernels: tuple[str, ...], least: float, keeps: bool = True) -> Traffic:
        used = [launches[k] for k in kernels]
        moved = sum(counter.whole(x, keeps) for x in used)
        return Traffic(name, moved, least, sum(flops(x.task.program, sizes, x.settings.chunk) for x in used))

    def keeps(kernels: tuple[str, ...]) -> bool:
        """Does a forward plan store states? One that only walks does where a way back needs nothing else."""
        return "transit" not in kernels and not (solving and kernels == ("forward",))

    forward, backward = counter.least()
    solving = frozenset(x.task.name for x in plan.launches if x.task.keep and stores(x.task.program))
    kept = [
        (f"{name}, {what}", rest) for name, kernels in plan.backward for what, rest in _after_keeping(kernels, solving)
    ]
    return (
        tuple(one(name, kernels, forward, keeps(kernels)) for name, kernels in plan.forward),
        tuple(one(name, kernels, backward) for name, kernels in (*plan.backward, *kept)),
    )


def _after_keeping(kernels: tuple[str, ...], solving: frozenset[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is left of a way back for what a forward pass has stored; `solving` walks store more than states."""
    if kernels[0] == "carry":
        yield "states kept", kernels[1:]
    if kernels[0] == "prepare":
        if kernels[1] not in solving:
            yield "states kept", (kernels[0], *kernels[2:])
        yield "states and prepared kept", kernels[2:]


def movements(
    spec: Spec, launch: Launch, sizes: Mapping[str, int], dtype: str = "bfloat16", sharing: int = 1, keeps: bool = True
) -> tuple[Movement, ...]:
    """What one kernel reads and writes; `keeps`: it stores the states that it can store."""
    return tuple(_Counter(spec, dict(sizes), dtype, sharing).movements(launch, keeps))


def gradient_bytes(spec: Spec, launches: tuple[Launch, ...], sizes: Mapping[str, int]) -> float:
    """What kernels move in bfloat16, adding up shares of gradients included."""
    counter = _Counter(spec, dict(sizes), "bfloat16", 1)
    return sum(counter.whole(x) for x in launches)


def stored_bytes(spec: Spec, programs: Iterable[Program], sizes: Mapping[str, int]) -> float:
    """What it takes to write what walks store for other kernels in bfloat16."""
    counter = _Counter(spec, dict(sizes), "bfloat16", 1)
    return sum(counter.stored(p, name, 1) for p in programs for name in stores(p))


def state_bytes(spec: Spec, sizes: Mapping[str, int], chunk: int) -> float:
    """What it takes to write all states once a chunk in bfloat16."""
    counter = _Counter(spec, dict(sizes), "bfloat16", 1)
    return sum(counter.state(name, chunk) for name in carried_names(spec))


@dataclass(frozen=True, slots=True)
class _Counter:
    spec: Spec
    sizes: dict[str, int]
    dtype: str
    sharing: int

    def least(self) -> tuple[float, float]:
        """A call's inputs and outputs once; its inputs, what comes in for its outputs, and the inputs' gradients."""
        read = sum(self._token(d) for d in self.spec.inputs)
        written = sum(self._token(d) for d in self.spec.outputs)
        return read + written, 2 * read + written

    def whole(self, launch: Launch, keeps: bool = True) -> float:
        """All that a kernel moves, and what it takes to add up what it leaves apart."""
        return sum(m.bytes for m in self.movements(launch, keeps)) + self.added_up(launch)

    def movements(self, launch: Launch, keeps: bool) -> Iterator[Movement]:
        task = launch.task
        yield from self._read(task, launch.settings.chunk)
        for key, _ in task.program.outputs:
            kind, name = key.split(":")
            if kind == "keep" and (keeps or not task.keep):
                yield Movement(f"made_{name[1:]}", self.stored(task.program, name[1:], launch.settings.chunk))
            elif kind == "output":
                yield Movement(f"out_{name}", self._token(self._declared(name)))
            elif kind == "input":
                yield Movement(f"d_{name}", self._gradient(launch, name))
        if task.keep and keeps:
            kept = "kept" if task.walk is Walk.FORWARD else "kept_d"
            for name in carried_names(self.spec):
                yield Movement(f"{kept}_{name}", self.state(name, task.keep))

    def _read(self, task: Task, chunk: int) -> Iterator[Movement]:
        for v in task.program.values:
            name = str(v.attr)
            if is_stored(v):
                yield Movement(f"made_{name[1:]}", self.stored(task.program, name[1:], chunk))
            elif v.op is Op.INPUT:
                yield Movement(f"in_{name}", self._token(self._declared(name)))
            elif v.op is Op.STATE and task.walk is not Walk.FORWARD:
                yield Movement(f"kept_{name}", self.state(name, chunk))
            elif v.op is Op.COTANGENT and name.startswith("output:"):
                yield Movement(f"grad_{name[7:]}", self._token(self._declared(name[7:])))
            elif v.op is Op.COTANGENT and task.walk is Walk.PARALLEL:
                yield Movement(f"kept_d_{name[6:]}", self.state(name[6:], chunk))

    def stored(self, program: Program, name: str, chunk: int) -> float:
        """Tiles of pairs of tokens, or what each token has."""
        stored = stored_values(program)[name]
        numbers = chunk if stored.pairs else math.prod(self.sizes[a] for a in stored.axes)
        return stored.tiles * numbers * (EXACT if stored.exact else KEPT[self.dtype])

    def added_up(self, last: Launch) -> float:
        """What is moved to add up the shares of gradients and the heads of a group."""
        total = 0.0
        for key, _ in last.task.program.outputs:
            kind, name = key.split(":")
            if kind == "input" and self._apart(last, name):
                total += self._gradient(last, name) + self._token(self._declared(name))
        return total

    def _gradient(self, launch: Launch, name: str) -> float:
        if not self._apart(launch, name):
            return self._token(self._declared(name))
        parts = self._shares(launch) if name in launch.task.partial else 1
        return parts * self._numbers(self._declared(name)) * SHARE

    def _apart(self, launch: Launch, name: str) -> bool:
        """Does a gradient come in shares, or for each head of a group?"""
        grouped = self.sharing > 1 and getattr(self._declared(name), "per_group", False)
        return grouped or (name in launch.task.partial and self._shares(launch) > 1)

    def _shares(self, launch: Launch) -> int:
        blocks = dict(launch.settings.blocks)
        return math.prod(-(-self.sizes[a] // blocks[a]) for a in launch.task.splits)

    def _declared(self, name: str) -> Declared:
        own = (*self.spec.inputs, *self.spec.states, *self.spec.outputs, *self.spec.carried)
        return next(d for d in own if d.name == name)

    def _numbers(self, d: Declared) -> int:
        return math.prod(self.sizes[a] for a in d.axes) * (2 if getattr(d, "is_complex", False) else 1)

    def _token(self, d: Declared) -> float:
        heads = self.sharing if getattr(d, "per_group", False) else 1
        return self._numbers(d) * WIDTH[self.dtype] / heads

    def state(self, name: str, chunk: int) -> float:
        return self._numbers(self._declared(name)) * KEPT[self.dtype] / chunk
