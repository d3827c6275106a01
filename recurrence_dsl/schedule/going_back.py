"""The ways to go back: the kernels of the backward pass, and which of them make up a plan."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from ..program.ops import Program, only
from .finishing import Backward
from .handing import Handed
from .maker import Maker
from .rearranging import rearranged
from .sums_ahead import sums_ahead
from .tasks import Launch, Walk
from .traffic import gradient_bytes

_SUMS = "Sums that the walk back needs of each chunk."
_CACHED = "All gradients; those of the states lie in memory between chunks."
CLEARLY = 0.8
"""What of the bytes a walk for all gradients must leave to be taken without a measurement."""
Plans = dict[str, tuple[str, ...]]
WALKED = ("state:", "keep:")
"""Results that a walk is there for: what it carries, and what it stores for other kernels."""


@dataclass(frozen=True, slots=True)
class GoingBack:
    """`carry` stores the states' gradients; `ahead` names the kernels before it, the results of some of which a forward
    pass may have stored. `busy` and `idle` are the plans that are taken unmeasured, with enough sequences and heads for
    the device and with too few."""

    carry: Launch
    launches: tuple[Launch, ...]
    plans: Plans
    ahead: tuple[str, ...]
    busy: str
    idle: str


def going_back(
    maker: Maker, parts: Handed, back: Backward, chunks: tuple[int, ...], first: tuple[str, ...]
) -> GoingBack:
    """Kernels and plans for an adjoint, when it is known how all chunks are finished.

    One walk for all gradients is no plan where they would come in shares: those are more to move than the states. It is
    taken unmeasured where it moves clearly less and should fit: with enough sequences and heads it works on as many
    chunks at a time as kernels for all chunks do, one on each processor.
    """
    *sums, carry = _carrying(maker, parts.backward, chunks, back.chunk)
    ahead, finish = (*first, *(x.task.name for x in sums)), tuple(x.task.name for x in back.launches)
    launches, plans, busy = [*sums, carry, *back.launches], {"split": (*ahead, "carry_back", *finish)}, ""
    walk = _one_walk(maker, parts.gradient, back.chunk)
    if walk is not None:
        spec, one, name = maker.recurrence.spec, walk.launch, walk.plan
        less = gradient_bytes(spec, (one,), maker.sizes) < CLEARLY * gradient_bytes(spec, tuple(launches), maker.sizes)
        busy = name if walk.fits and less else ""
        plans[name] = (*first, one.task.name)
        launches.append(one)
    for merged, rest in _merged(maker, parts.backward, back):
        launches.append(merged)
        plans["merged"] = (*first, merged.task.name, rest)
    idle = "merged" if "merged" in plans else "split"
    return GoingBack(carry, tuple(launches), plans, ahead, busy or idle, idle)


@dataclass(frozen=True, slots=True)
class _OneWalk:
    """A walk back for all gradients; `fits`: registers should hold it, as it is or
    once its loop's blocks are smaller."""

    launch: Launch
    plan: str
    fits: bool


def _one_walk(maker: Maker, gradient: Program, chunk: int) -> _OneWalk | None:
    """With the states' gradients in registers, where they fit, else in memory from chunk to chunk: a state for each
    sequence and head, which stays in the device's cache."""
    fused = maker.fitting("gradient", "All gradients.", gradient, Walk.REVERSE, chunk)
    if fused is not None and not fused.task.partial:
        return _OneWalk(fused, "fused", False)
    cached, fits = maker.cached("gradient", _CACHED, rearranged(gradient), Walk.REVERSE, chunk)
    return _OneWalk(cached, "cached", fits) if cached is not None else None


def _carrying(maker: Maker, backward: Program, chunks: tuple[int, ...], keep: int) -> list[Launch]:
    """The walk that stores the states' gradients, behind the kernel that forms sums for it, if there is one."""
    walk = only(backward, lambda key: key.startswith(WALKED))
    split = sums_ahead(walk, tuple(maker.sizes))
    sums = [maker.launch("sums_back", _SUMS, split.sums, Walk.PARALLEL, (keep,))] if split else []
    doc = "The states' gradients after each chunk."
    return [*sums, maker.launch("carry_back", doc, split.walk if split else walk, Walk.REVERSE, chunks, keep)]


def _merged(maker: Maker, program: Program, back: Backward) -> list[tuple[Launch, str]]:
    """The walk back that also stores what one of two finishing kernels would, if it can, and the name of the other."""
    doc = "The states' gradients after each chunk, and those of each chunk that follow from them."
    for one, other in itertools.permutations(back.launches, 2):
        also = {key for key, _ in one.task.program.outputs}
        part = only(program, lambda key: key.startswith(WALKED) or key in also)  # noqa: B023
        found = maker.fitting("walk_back", doc, part, Walk.REVERSE, back.chunk)
        if found is not None and not found.task.partial and len(back.launches) == 2:
            return [(replace(found, task=replace(found.task, keep=back.chunk)), other.task.name)]
    return []
