"""What to change in a kernel's settings where it turns out to spill registers, once it is compiled.

Whether it does is known for certain only then: the estimate of `pressure` leaves out how the compiler lays tiles out
and moves loads ahead. The changes come in the order of what they cost. None changes what other kernels, or the tensors
that a call makes for this one, depend on: the chunk, and into how many shares gradients are divided.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..emit.triton.rounds import SPARING
from .tasks import Launch

MOST = 255
"""Registers of a thread that a device has. The compiler aims at fewer where more instances then share a processor, and
may spill a few to get there."""
LEAST = 16
"""The smallest block of an axis that a product of matrices takes."""


def relief(launch: Launch, rolls: bool) -> tuple[dict[str, int], ...]:
    """Changes to launch options: all registers; half or twice the warps, since a product's rows are divided over few of
    them; a smaller block of an axis, which is read once more for each; and both. Before all that, in a kernel that
    `rolls` through loops, less is held from round to round."""
    warps = {"num_warps": 4 if launch.settings.warps == 8 else 8}
    parts = [(axis, block // n) for axis, block in _free(launch) for n in (2, 4) if block // n >= LEAST]
    smaller = tuple({f"B_{axis}": part} for axis, part in parts)
    changes = {"maxnreg": MOST}, warps, *smaller, *(warps | change for change in smaller)
    if not rolls:
        return changes
    return tuple({SPARING: level} | change for change in ({}, *changes) for level in (1, 2))


def _free(launch: Launch) -> Iterator[tuple[str, int]]:
    """Axes whose blocks may become smaller, with their blocks."""
    task = launch.task
    shared = bool(task.partial) or any(key.startswith("param:") for key, _ in task.program.outputs)
    for axis, block in launch.settings.blocks:
        if axis == task.loop or not shared:
            yield axis, block


__all__ = ["relief"]
