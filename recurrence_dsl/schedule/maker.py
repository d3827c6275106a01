"""Chooses how a kernel is launched: which axes are divided over instances, which one it loops over, how many warps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..maths.recurrence import Recurrence
from ..program.ops import Program
from .pressure import Body, block_of, body_of
from .splits import may_split, shares
from .tasks import Launch, Settings, Task, Walk

ROOM = {1: 94.0, 4: 140.0, 8: 185.0}
"""Registers of a thread that tiles may take by the estimate of `pressure`, by the number of warps: what left no kernel
of the shipped specs with spilled ones when compiled. There are 255; addresses, masks and tiles that change their layout
take the others."""
STRAIGHT = 135.0
"""Likewise for eight warps that compute all gradients of a chunk without a loop: the compiler moves loads and products
of long straight code ahead, and then holds more of them than the order of the tiles does."""
MEASURED = 320.0
"""Likewise for a kernel that is taken only where it is measured to be the fastest: with so many by the estimate they
spilled 700 bytes a thread at most."""
LOOPED = 220.0
"""Likewise for eight warps that loop over blocks of 32 and more, which may be made smaller once it spills: what left
no kernel of the shipped specs with spilled ones then, at 64 and at 128."""
PARTS = 64
"""Largest block of a divided axis in a walk, where instances for each sequence and head are few."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Blocks of the divided axes and of the axis looped over, and registers of a thread by the number of warps.
    `straight` tells long code without a loop from other kernels; `least` is the smallest block of an axis."""

    splits: Mapping[str, int]
    loop: tuple[str, int] | None
    chunk: int
    registers: Mapping[int, float]
    straight: bool = False
    least: int = 1

    @property
    def warps(self) -> int:
        few = (1, 4) if self.chunk == 1 else (4,)
        return next((w for w in few if self.registers[w] <= ROOM[w]), 8)

    @property
    def held(self) -> float:
        """Registers of a thread."""
        return self.registers[self.warps]

    @property
    def fits(self) -> bool:
        return self.held <= room(self.warps, self.straight)


def room(warps: int, straight: bool) -> float:
    """Registers of a thread that tiles may take."""
    return STRAIGHT if straight and warps == 8 else ROOM[warps]


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes launches for the axes' sizes."""

    recurrence: Recurrence
    sizes: Mapping[str, int]

    def launch(
        self, name: str, doc: str, program: Program, walk: Walk, chunks: tuple[int, ...], keep: int = 0
    ) -> Launch:
        """The choice that `best` finds."""
        return self._made(name, doc, program, walk, keep, self.best(program, walk, chunks))

    def fitting(self, name: str, doc: str, program: Program, walk: Walk, chunk: int) -> Launch | None:
        """As `launch`, but nothing where no choice fits."""
        choice = self.best(program, walk, (chunk,))
        return self._made(name, doc, program, walk, 0, choice) if choice.fits else None

    def cached(
        self, name: str, doc: str, program: Program, walk: Walk, chunk: int
    ) -> tuple[Launch, bool] | tuple[None, bool]:
        """A walk for what registers cannot hold: what it carries lies in memory between chunks, and may be looped over.

        Nothing is divided over instances, for each reads again all that it stored; and no gradient of a param, which is
        added up over the walk, may lie along the loop. The choice that holds the least, and whether registers should
        hold that by the estimate; None if it is too much even for a kernel that is only taken if measured.
        """
        added = {a for k, i in program.outputs if k.startswith("param:") for a in program.values[i].dims}
        whole = [c for c in self.choices(program, Walk.PARALLEL, (chunk,)) if not c.splits and c.held <= MEASURED]
        fitting = [c for c in whole if c.loop is None or c.loop[0] not in added]
        if not fitting:
            return None, False
        choice = min(fitting, key=lambda c: c.held)
        made = self._made(name, doc, program, walk, 0, choice)
        fits = choice.loop is not None and (choice.fits or (choice.loop[1] >= 32 and choice.held <= LOOPED))
        return replace(made, task=replace(made.task, cached=True)), fits

    def best(self, program: Program, walk: Walk, chunks: tuple[int, ...]) -> Choice:
        """The first choice that fits with the fewest shares of gradients, or the one that holds the least."""
        least: Choice | None = None
        found: tuple[int, Choice] | None = None
        for choice in self.choices(program, walk, chunks):
            parts = self.parts(program, choice)
            if found is not None and parts >= found[0]:
                continue
            if choice.fits and parts == 1:
                return choice
            if choice.fits:
                found = parts, choice
            least = choice if least is None or choice.held < least.held else least
        assert least is not None
        return found[1] if found else least

    def parts(self, program: Program, choice: Choice) -> int:
        """In how many shares gradients are stored."""
        if not shares(program, tuple(choice.splits)):
            return 1
        return math.prod(-(-self.sizes[a] // block) for a, block in choice.splits.items())

    def _made(self, name: str, doc: str, program: Program, walk: Walk, keep: int, choice: Choice) -> Launch:
        splits = self._divisible(program, walk, choice)
        loop = choice.loop[0] if choice.loop else None
        task = Task(name, doc, program, walk, keep, splits, shares(program, splits), loop)
        full = {a: block_of(self.sizes[a], choice.least) for a in splits}
        blocks = {**full, **choice.splits, **(dict([choice.loop]) if choice.loop else {})}
        return Launch(task, Settings(choice.chunk, tuple(blocks.items()), choice.warps))

    def _divisible(self, program: Program, walk: Walk, choice: Choice) -> tuple[str, ...]:
        """The axes whose blocks are a setting: those that are divided and, where no gradient would come in shares, one
        that may be, should tiles turn out to need smaller blocks."""
        if any(key.startswith(("input:", "param:")) for key, _ in program.outputs):
            return tuple(choice.splits)
        loop = choice.loop[0] if choice.loop else None
        free = [a for a in self.sizes if a != loop and may_split(program, a, walk is Walk.REVERSE)]
        return tuple(dict.fromkeys((*choice.splits, *free[-1:])))

    def choices(self, program: Program, walk: Walk, chunks: tuple[int, ...]) -> Iterator[Choice]:
        """What may be tried, the best first: few blocks before many, loops before dividing an axis over instances."""
        body = self._body(program, walk)
        free = [a for a in self.sizes if may_split(program, a, walk is Walk.REVERSE)]
        looped = [a for a in self.sizes if walk is Walk.PARALLEL and body.loops(a)]
        full = {a: block_of(n, body.least) for a, n in self.sizes.items()}
        gradients = walk is Walk.PARALLEL and any(key.startswith("input:") for key, _ in program.outputs)
        # of the smaller chunks that a walk may take instead, those that products of matrices take
        for chunk in (*chunks[:1], *(c for c in chunks[1:] if c >= body.least)):
            for splits in self._splits(free, full, walk):
                for loop in (None, *self._loops(looped, {**full, **splits})):
                    blocks = {**full, **splits, **(dict([loop]) if loop else {})}
                    needs = body.registers(blocks, chunk, loop[0] if loop else None, tuple(ROOM))
                    yield Choice(splits, loop, chunk, needs, gradients and loop is None, body.least)

    def _splits(self, free: list[str], full: Mapping[str, int], walk: Walk) -> Iterator[dict[str, int]]:
        """Ever smaller blocks of the axes that may be divided, the largest halved first."""
        blocks = dict(full)
        if walk is not Walk.PARALLEL:
            for a in free[-1:]:
                blocks[a] = min(blocks[a], PARTS)
        yield {a: b for a, b in blocks.items() if b != full[a]}
        while free:
            axis = max(free, key=lambda a: blocks[a])
            if blocks[axis] <= 16:
                return
            blocks[axis] //= 2
            yield {a: b for a, b in blocks.items() if b != full[a]}

    def _loops(self, axes: list[str], full: Mapping[str, int]) -> Iterator[tuple[str, int]]:
        for parts in (2, 4, 8):
            for a in axes:
                if full[a] // parts >= 16:
                    yield a, full[a] // parts

    def _body(self, program: Program, walk: Walk) -> Body:
        names = [s.name for s in self.recurrence.states]
        names += [c.name for c in self.recurrence.spec.carried]
        kept = {Walk.FORWARD: names, Walk.REVERSE: [f"state:{n}" for n in names], Walk.PARALLEL: []}[walk]
        return body_of(program, self.sizes, frozenset(kept))
