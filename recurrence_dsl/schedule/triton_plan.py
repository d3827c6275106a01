"""Programs -> the plan of the Triton back end: which kernels there are, what each computes, and how it is launched.

Every plan is a slicing of the same two programs by their results. *fused*: one kernel walks over the chunks with the
state in registers. *split*: a kernel that only carries the state along and stores what comes into each chunk, then one
that finishes all chunks at once. *segments*: a sequence is cut, and each piece walked over side by side, once from zero
and, when the pieces' effects are joined, once more from the state before it. The backward pass walks in reverse.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..maths.recurrence import Form, Recurrence
from ..program.ops import BATCH, COL, HEAD, ROW, Program, only
from .pressure import Body, block_of, body_of
from .segments import Composition, composition
from .splits import may_split, shares
from .tasks import Launch, Settings, Start, Task, TritonPlan, Walk

PAIR_CHUNK = 64
"""Tokens a chunk where pairs of tokens are multiplied as matrices."""
SCAN_NUMBERS = 8192
"""Numbers in a tile of states at every token of a chunk."""
HELD = {4: 24_000, 8: 46_000}
"""Numbers that an instance of so many warps holds without spilling, by the estimate of `pressure`: 32 lanes a warp,
each
with 255 registers, less what addresses and layouts take."""
PARTS = 64
"""Largest block of a divided axis in a walk, where instances for each sequence and head are few."""


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
    maker = _Maker(recurrence, sizes)
    if form == "recurrent":
        return _recurrent(maker, body, backward)
    chunk = chunk_size or _chunk(recurrence, body, sizes)
    smaller = () if chunk_size else tuple(c for c in (32, 16) if c < chunk)
    forward = maker.launch("forward", "Outputs and the last states.", body, Walk.FORWARD, (chunk, *smaller))
    launches = [
        forward,
        maker.launch("carry", "The states before each chunk.", _states(body), Walk.FORWARD, (chunk,), keep=True),
        maker.launch("finish", "Outputs of each chunk.", _outputs(body), Walk.PARALLEL, (chunk,)),
        maker.launch("carry_back", "The states' gradients after each chunk.", _states(backward), Walk.REVERSE, (chunk,),
                     keep=True),
        maker.launch("finish_back", "Gradients of each chunk.", _leaves(backward), Walk.PARALLEL, (chunk,)),
        maker.launch("step", "One token.", step, Walk.FORWARD, (1,)),
    ]  # fmt: skip
    plans: tuple[dict[str, tuple[str, ...]], ...] = (
        {"fused": ("forward",), "split": ("carry", "finish")},
        {"split": ("carry", "carry_back", "finish_back")},
    )
    gradient = maker.fitting("gradient", "All gradients.", backward, Walk.REVERSE, chunk)
    if gradient is not None:
        launches.append(gradient)
        plans[1]["fused"] = ("carry", "gradient")
    composed = composition(recurrence, body, backward, sizes)
    if composed is not None:
        launches += _segment_launches(recurrence, composed, launches[1], launches[3])
        plans[0]["segments"] = ("segment", "transit", "forward")
        plans[1]["segments"] = ("segment", "transit", "carry", "segment_back", "carry_back", "finish_back")
    return TritonPlan(form, chunk, tuple(launches), tuple(plans[0].items()), tuple(plans[1].items()), composed)


def _segment_launches(recurrence: Recurrence, composed: Composition, carry: Launch, carry_back: Launch) -> list[Launch]:
    """What a segment adds to the state and to its gradient, and how it passes them on."""
    added = replace(carry.task, name="segment", doc="The last states from zero.", keep=False, start=Start.ZERO)
    added_back = replace(
        carry_back.task, name="segment_back", doc="The first states' gradients from zero.", keep=False, start=Start.ZERO
    )
    transit = _Maker(recurrence, composed.sizes).launch(
        "transit", "How a segment passes a state on.", composed.transit, Walk.REVERSE, (carry.settings.chunk,)
    )
    start = Start.IDENTITY if composed.matrix else Start.ONES
    own = replace(transit.task, start=start, sizes=tuple(composed.sizes.items()))
    return [Launch(added, carry.settings), Launch(added_back, carry_back.settings), replace(transit, task=own)]


def _recurrent(maker: _Maker, body: Program, backward: Program) -> TritonPlan:
    """Token by token, the state in registers; the backward pass walks over states that a first walk stores."""
    launches = (
        maker.launch("forward", "Outputs and the last states.", body, Walk.FORWARD, (1,)),
        maker.launch("carry", "The state before each token.", _states(body), Walk.FORWARD, (1,), keep=True),
        maker.launch("gradient", "All gradients.", backward, Walk.REVERSE, (1,)),
    )
    return TritonPlan("recurrent", 1, launches, (("fused", ("forward",)),), (("fused", ("carry", "gradient")),))


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


@dataclass(frozen=True, slots=True)
class Choice:
    """Blocks of the divided axes and of the axis looped over, and what the kernel then holds."""

    splits: Mapping[str, int]
    loop: tuple[str, int] | None
    chunk: int
    held: int

    @property
    def warps(self) -> int:
        small = self.held <= HELD[4] // 8
        return 1 if small and self.chunk == 1 else 4 if self.held <= HELD[4] else 8

    @property
    def fits(self) -> bool:
        return self.held <= HELD[8]


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes launches for the axes' sizes."""

    recurrence: Recurrence
    sizes: Mapping[str, int]

    def launch(
        self, name: str, doc: str, program: Program, walk: Walk, chunks: tuple[int, ...], keep: bool = False
    ) -> Launch:
        """The first choice that fits, or the one that holds the least."""
        best: Choice | None = None
        for choice in self.choices(program, walk, chunks):
            if choice.fits:
                best = choice
                break
            best = choice if best is None or choice.held < best.held else best
        assert best is not None
        return self._made(name, doc, program, walk, keep, best)

    def fitting(self, name: str, doc: str, program: Program, walk: Walk, chunk: int) -> Launch | None:
        """As `launch`, but nothing where no choice fits."""
        found = self.launch(name, doc, program, walk, (chunk,))
        held = self._held(program, walk, dict(found.settings.blocks), found.task.loop, chunk)
        return found if held <= HELD[8] else None

    def _made(self, name: str, doc: str, program: Program, walk: Walk, keep: bool, choice: Choice) -> Launch:
        splits = tuple(choice.splits)
        loop = choice.loop[0] if choice.loop else None
        task = Task(name, doc, program, walk, keep, splits, shares(program, splits), loop)
        blocks = {**choice.splits, **(dict([choice.loop]) if choice.loop else {})}
        return Launch(task, Settings(choice.chunk, tuple(blocks.items()), choice.warps))

    def choices(self, program: Program, walk: Walk, chunks: tuple[int, ...]) -> Iterator[Choice]:
        """What may be tried, the best first: few blocks before many, loops before dividing an axis over instances."""
        body = self._body(program, walk)
        free = [a for a in self.sizes if may_split(program, a, walk is Walk.REVERSE)]
        looped = [a for a in self.sizes if walk is Walk.PARALLEL and body.loops(a)]
        full = {a: block_of(n, body.least) for a, n in self.sizes.items()}
        for chunk in chunks:
            for splits in self._splits(free, full, walk):
                for loop in (None, *self._loops(looped, {**full, **splits})):
                    blocks = {**full, **splits, **(dict([loop]) if loop else {})}
                    yield Choice(splits, loop, chunk, body.held(blocks, chunk, loop[0] if loop else None))

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

    def _held(self, program: Program, walk: Walk, blocks: Mapping[str, int], loop: str | None, chunk: int) -> int:
        body = self._body(program, walk)
        full = {a: block_of(n, body.least) for a, n in self.sizes.items()}
        return body.held({**full, **blocks}, chunk, loop)
