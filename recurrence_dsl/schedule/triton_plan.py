"""Programs -> the plan of the Triton back end: which kernels there are, what each computes, and how it is launched.

Every plan is a slicing of the same two programs by their results. *fused*: one kernel walks over the chunks with the
state in registers. *split*: a kernel that only carries the state along and stores what comes into each chunk, then one
that finishes all chunks at once. *segments*: a sequence is cut, and each piece walked over side by side, once from zero
and, when the pieces' effects are joined, once more from the state before it. The backward pass walks in reverse;
*merged*: what follows from the state's gradient alone is computed on the way.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace

from ..maths.recurrence import Form, Recurrence
from ..program.ops import BATCH, COL, HEAD, ROW, Program, only
from .finishing import Backward, finishing
from .maker import Maker
from .segments import Composition, composition
from .tasks import Launch, Start, TritonPlan, Walk

PAIR_CHUNK = 64
"""Tokens a chunk where pairs of tokens are multiplied as matrices."""
SCAN_NUMBERS = 8192
"""Numbers in a tile of states at every token of a chunk."""


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
    maker = Maker(recurrence, sizes)
    if form == "recurrent":
        return _recurrent(maker, body, backward)
    wanted = (chunk_size,) if chunk_size else _chunks(recurrence, body, sizes)
    back = finishing(maker, _leaves(backward), wanted)
    chunk, finish_back = back.chunk, tuple(x.task.name for x in back.launches)
    smaller = () if chunk_size else tuple(c for c in (32, 16) if c < chunk)
    launches = [
        _forward(maker, body, chunk, smaller),
        maker.launch("carry", "The states before each chunk.", _states(body), Walk.FORWARD, (chunk, *smaller),
                     keep=chunk),
        maker.launch("finish", "Outputs of each chunk.", _outputs(body), Walk.PARALLEL, (chunk,)),
        maker.launch("carry_back", "The states' gradients after each chunk.", _states(backward), Walk.REVERSE,
                     (chunk, *smaller), keep=chunk),
        *back.launches,
        maker.launch("step", "One token.", step, Walk.FORWARD, (1,)),
    ]  # fmt: skip
    plans: tuple[dict[str, tuple[str, ...]], ...] = (
        {"fused": ("forward",), "split": ("carry", "finish")},
        {"split": ("carry", "carry_back", *finish_back)},
    )
    gradient = maker.fitting("gradient", "All gradients.", backward, Walk.REVERSE, chunk)
    if gradient is not None:
        launches.append(gradient)
        plans[1]["fused"] = ("carry", "gradient")
    for merged, rest in _merged(maker, backward, back):
        launches.append(merged)
        plans[1]["merged"] = ("carry", merged.task.name, rest)
    composed = composition(recurrence, body, backward, sizes)
    if composed is not None:
        launches += _segment_launches(recurrence, composed, launches[1], launches[3])
        plans[0]["segments"] = ("segment", "transit", "forward")
        plans[1]["segments"] = ("segment", "transit", "carry", "segment_back", "carry_back", *finish_back)
    return TritonPlan(form, chunk, tuple(launches), tuple(plans[0].items()), tuple(plans[1].items()), composed)


def _merged(maker: Maker, backward: Program, back: Backward) -> list[tuple[Launch, str]]:
    """The walk back that also stores what one of two finishing kernels would, if it can, and the name of the other."""
    doc = "The states' gradients after each chunk, and those of each chunk that follow from them."
    for one, other in itertools.permutations(back.launches, 2):
        also = {key for key, _ in one.task.program.outputs}
        program = only(backward, lambda key: key.startswith("state:") or key in also)  # noqa: B023
        found = maker.fitting("walk_back", doc, program, Walk.REVERSE, back.chunk)
        if found is not None and not found.task.partial and len(back.launches) == 2:
            return [(replace(found, task=replace(found.task, keep=back.chunk)), other.task.name)]
    return []


def _forward(maker: Maker, body: Program, chunk: int, smaller: tuple[int, ...]) -> Launch:
    """The fused kernel. Its chunks may be parts of the others'; it stores the states before each of theirs."""
    return maker.launch("forward", "Outputs and the last states.", body, Walk.FORWARD, (chunk, *smaller), keep=chunk)


def _segment_launches(recurrence: Recurrence, composed: Composition, carry: Launch, carry_back: Launch) -> list[Launch]:
    """What a segment adds to the state and to its gradient, and how it passes them on."""
    added = replace(carry.task, name="segment", doc="The last states from zero.", keep=0, start=Start.ZERO)
    added_back = replace(
        carry_back.task, name="segment_back", doc="The first states' gradients from zero.", keep=0, start=Start.ZERO
    )
    transit = Maker(recurrence, composed.sizes).launch(
        "transit", "How a segment passes a state on.", composed.transit, Walk.REVERSE, (carry.settings.chunk,)
    )
    start = Start.IDENTITY if composed.matrix else Start.ONES
    own = replace(transit.task, start=start, sizes=tuple(composed.sizes.items()))
    return [Launch(added, carry.settings), Launch(added_back, carry_back.settings), replace(transit, task=own)]


def _recurrent(maker: Maker, body: Program, backward: Program) -> TritonPlan:
    """Token by token, the state in registers; the backward pass walks over states that a first walk stores."""
    launches = (
        maker.launch("forward", "Outputs and the last states.", body, Walk.FORWARD, (1,)),
        maker.launch("carry", "The state before each token.", _states(body), Walk.FORWARD, (1,), keep=1),
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


def _chunks(recurrence: Recurrence, body: Program, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """PAIR_CHUNK or half of it where every state is matrices; else as many tokens as keep the states at all of them
    small."""
    if all(s.form is Form.MATRIX for s in recurrence.states):
        return PAIR_CHUNK, PAIR_CHUNK // 2
    widest = max(_numbers(v.dims, sizes) for v in body.values if ROW in v.dims)
    return (max(16, min(PAIR_CHUNK, 1 << (SCAN_NUMBERS // max(widest, 1)).bit_length() - 1)),)


def _numbers(dims: tuple[str, ...], sizes: Mapping[str, int]) -> int:
    return math.prod(sizes.get(d, 1) for d in dims if d not in (BATCH, HEAD, ROW, COL))
