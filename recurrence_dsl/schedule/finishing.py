"""How the gradients of all chunks are computed at once: by one kernel or by two, and how many tokens a chunk has.

What one kernel cannot hold is divided over instances, and then gradients come in shares that are stored in full
precision and added up afterwards; or its results are divided over two kernels, which read their operands twice; or the
chunks are made smaller, and more states are stored. The way that moves the fewest bytes is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..program.ops import Program, only
from .maker import Maker, room
from .pressure import registers_of
from .rearranging import rearranged
from .spread import LANES
from .tasks import Launch, Walk
from .traffic import gradient_bytes, state_bytes

MISSED = 0.25
"""The part of spilled registers that a processor's own cache does not hold."""
Groups = tuple[tuple[str, str, Program], ...]
"""Kernels as a name, a description, and what they compute."""


@dataclass(frozen=True, slots=True)
class Backward:
    """Kernels for all gradients, the chunk that they are made for, and the bytes that they cost for each token and
    head; `whole`: one kernel, which needs no shares."""

    launches: tuple[Launch, ...]
    chunk: int
    cost: float
    whole: bool = False


def finishing(maker: Maker, program: Program, chunks: tuple[int, ...]) -> Backward:
    """The best way for an adjoint without the states' gradients; the first one, if it fits and needs no shares.

    Registers that a kernel lacks cost what it takes to store and load them again.
    """
    best: tuple[float, Backward] | None = None
    spec, sizes = maker.recurrence.spec, maker.sizes
    for chunk in chunks:
        for groups in _ways(program, tuple(sizes)):
            found = tuple(maker.launch(name, doc, part, Walk.PARALLEL, (chunk,)) for name, doc, part in groups)
            spilled = sum(_spilled(x, sizes) for x in found)
            cost = spilled + gradient_bytes(spec, found, sizes) + 2 * state_bytes(spec, sizes, chunk)
            if not spilled and len(found) == 1 and not found[0].task.partial:
                return Backward(found, chunk, cost, whole=True)
            if best is None or cost < best[1].cost:
                best = spilled, Backward(found, chunk, cost)
        if best is not None and not best[0] and not any(x.task.partial for x in best[1].launches):
            break
    assert best is not None
    return best[1]


def _spilled(launch: Launch, sizes: Mapping[str, int]) -> float:
    """Bytes that an instance stores and loads again for want of registers, for each token."""
    settings = launch.settings
    over = max(0.0, registers_of(launch, sizes) - room(settings.warps, launch.task.loop is None))
    return MISSED * 2 * 4 * over * LANES * settings.warps / settings.chunk


def _ways(program: Program, axes: tuple[str, ...]) -> Iterator[Groups]:
    """All gradients in one kernel; or those along an axis in one and the others in another."""
    name, doc = "finish_back", "Gradients of each chunk."
    yield ((name, doc, rearranged(program)),)
    for a in axes:
        along = frozenset(k for k, i in program.outputs if a in program.values[i].dims)
        others = frozenset(k for k, _ in program.outputs) - along
        if along and others:
            yield (
                (f"{name}_{a}", f"Gradients of each chunk along {a}.", rearranged(only(program, along.__contains__))),
                (name, "The other gradients of each chunk.", rearranged(only(program, others.__contains__))),
            )
