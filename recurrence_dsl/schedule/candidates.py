"""The few settings of a kernel that are worth measuring, by a model of what bounds it.

A kernel is bound by memory: it must move its tiles once for each instance that needs them, and it can do so at the
memory's full rate only while enough warps are resident to cover the latency. Both follow from the estimate of
`pressure` and from the axes that are divided over instances. Nothing here runs a kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..emit.triton.order import element_count, needed
from ..emit.triton.tiles import Kind, Tiles
from ..program.ops import COL, ROW
from .pressure import Body, block_of
from .tasks import Launch, Settings, Walk

MOST = 4
"""Settings to be measured for each kernel, the plan's own one included."""
LANES = 32
REGISTERS = 65_536
"""Registers of a processor, and with at most 255 a thread."""
OVERHEAD = 40
"""Registers of a thread that hold addresses and counters, whatever the tiles."""
COVERING = 16
"""Resident warps a processor that keep its memory busy."""
STAGED = 48 * 1024
"""Bytes of tiles that a second pipeline stage may add to a kernel's shared memory."""


@dataclass(frozen=True, slots=True)
class _Model:
    """Relative times of one kernel's settings."""

    body: Body
    sizes: Mapping[str, int]
    launch: Launch

    def full(self) -> dict[str, int]:
        return {a: block_of(n, self.body.least) for a, n in self.sizes.items()}

    def registers(self, settings: Settings) -> float:
        """Registers of a thread."""
        blocks = {**self.full(), **dict(settings.blocks)}
        warps, loop = settings.warps, self.launch.task.loop
        return OVERHEAD + self.body.registers(blocks, settings.chunk, loop, (warps,))[warps]

    def fits(self, settings: Settings) -> bool:
        staged = 2 * self.loaded(settings) * (settings.stages - 1)
        return self.registers(settings) <= 255 and staged <= STAGED

    def loaded(self, settings: Settings) -> int:
        """Numbers that an instance loads for each chunk."""
        blocks = {**self.full(), **dict(settings.blocks), ROW: settings.chunk, COL: settings.chunk}
        return _loaded(self.body.tiles, blocks)

    def time(self, settings: Settings) -> float:
        """What is moved, over the part of the memory's rate that the resident warps can use."""
        instances = 1
        for axis in self.launch.task.splits:
            instances *= -(-self.sizes[axis] // dict(settings.blocks)[axis])
        resident = REGISTERS / (self.registers(settings) * LANES) * (1.5 if settings.stages > 1 else 1.0)
        return self.loaded(settings) * instances / min(1.0, resident / COVERING)


def _loaded(tiles: Tiles, blocks: Mapping[str, int]) -> int:
    count = element_count(blocks)
    return sum(count(tiles.tiles[i].dims) for i in needed(tiles) if tiles.tiles[i].kind is Kind.LOAD)


def alternatives(launch: Launch, body: Body, sizes: Mapping[str, int]) -> tuple[Settings, ...]:
    """Settings to be measured beside the plan's own one, at most MOST - 1: those that fit, the fastest by the model."""
    model = _Model(body, sizes, launch)
    fitting = [s for s in dict.fromkeys(_variants(launch, model)) if s != launch.settings and model.fits(s)]
    return tuple(sorted(fitting, key=model.time)[: MOST - 1])


def _variants(launch: Launch, model: _Model) -> Iterator[Settings]:
    """Half and twice the warps, a second stage, and half and twice each block; then two such changes at once."""
    for first in _changes(launch, launch.settings, model):
        yield first
        if first.blocks != launch.settings.blocks:
            yield from _changes(launch, first, model)


def _changes(launch: Launch, settings: Settings, model: _Model) -> Iterator[Settings]:
    chunk, blocks, warps, stages = settings.chunk, settings.blocks, settings.warps, settings.stages
    for other in (warps // 2, warps * 2):
        if 1 <= other <= 8:
            yield Settings(chunk, blocks, other, stages)
    if chunk > 1 and (launch.task.walk is not Walk.PARALLEL or launch.task.loop):
        yield Settings(chunk, blocks, warps, 2)
    full = model.full()
    for at, (axis, block) in enumerate(blocks):
        for other in (block // 2, block * 2):
            if max(16, model.body.least) <= other <= full[axis]:
                yield Settings(chunk, (*blocks[:at], (axis, other), *blocks[at + 1 :]), warps, stages)


__all__ = ["MOST", "alternatives"]
