"""Programs -> the plan of the Triton back end: which kernels there are, what each computes, and how it is launched.

Every plan is a slicing of the same two programs by their results. *fused*: one kernel walks over the chunks with the
state in registers. *split*: a kernel that only carries the state along and stores what comes into each chunk, then one
that finishes all chunks at once. *phases* and *prepared*: before these, or before the fused walk, one more kernel takes
all chunks at once and stores what is dear and depends on no state. *segments*: a sequence is cut, and each piece walked
over side by side, once from zero and, when the pieces' effects are joined, once more from the state before it. The
backward pass walks in reverse, and reads what is prepared, and what walks solve for where that is handed on; *merged*:
what follows from the state's gradient alone is computed on the way; *cached*: one walk computes all gradients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from ..maths.recurrence import Form, Recurrence
from ..program.ops import BATCH, COL, HEAD, ROW, Op, Program, only
from .finishing import Backward, finishing
from .going_back import WALKED, GoingBack, going_back
from .handing import Handed, handed, nothing_handed
from .maker import Maker
from .preparing import Prepared, prepared
from .segments import Composition, composition
from .tasks import Launch, Start, TritonPlan, Walk
from .traffic import stored_bytes

PAIR_CHUNK = 64
"""Tokens a chunk where pairs of tokens are multiplied as matrices."""
CLEARLY = 0.9
"""What of the bytes must be left for solutions to be handed on: they are more to keep for the backward pass."""
PARTS = (32, 16, 8, 4)
"""Tokens of a walk's chunks where the chunks of other kernels are too long for it; products of matrices need 16."""
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
    ready = prepared(body, backward)
    back = None if _has_inverse(ready) else finishing(maker, _leaves(backward), wanted)
    reads = ready is not None and (back is None or not back.whole)
    parts = nothing_handed(ready.body if ready else body, ready.backward if ready and reads else backward)
    if back is None or reads:
        back = finishing(maker, _leaves(parts.rest), wanted)
    if reads:
        back, parts = _cheaper(maker, back, parts, wanted)
    chunks = (back.chunk, *(() if chunk_size else tuple(c for c in PARTS if c < back.chunk)))
    onwards = _onwards(maker, body, chunks)
    launches, forward = [*onwards], {"fused": ("forward",), "split": ("carry", "finish")}
    if ready:
        launches += _phases(maker, ready.prepare, parts, back.chunk)
        forward |= {
            "prepared": ("prepare", "forward_prepared"),
            "phases": ("prepare", "carry_prepared", "finish_prepared"),
        }
    first = ("prepare", "carry_prepared") if reads else ("carry",)
    reverse = going_back(maker, parts, back, chunks[:1] if reads else chunks, first)
    launches += [*reverse.launches, maker.launch("step", "One token.", step, Walk.FORWARD, (1,))]
    backwards = dict(reverse.plans)
    composed = composition(recurrence, body, backward, sizes)
    if composed is not None:
        launches += _segment_launches(recurrence, composed, onwards[1], reverse.carry)
        forward["segments"] = ("segment", "transit", "forward")
        backwards["segments"] = _in_segments(reverse)
    fused = maker.best(body, Walk.FORWARD, chunks).fits
    preferred = *_preferred(ready, fused), reverse.busy, reverse.idle
    return TritonPlan(
        "chunk", back.chunk, tuple(launches), tuple(forward.items()), tuple(backwards.items()), composed, preferred
    )


def _in_segments(reverse: GoingBack) -> tuple[str, ...]:
    """The split way back, with what each segment adds computed before."""
    rest = reverse.plans["split"][len(reverse.ahead) :]
    return ("segment", "transit", *reverse.ahead, "segment_back", *rest)


def _preferred(ready: Prepared | None, fused: bool) -> tuple[str, str]:
    """The forward plans that are taken unmeasured: where sequences and heads keep the device busy, and where they do
    not.

    An inverse is dear to form inside a walk, where nothing else can be done meanwhile; scores are not, and are formed
    again rather than stored. `fused`: one walk's registers hold what it takes to go from states to outputs.
    """
    if _has_inverse(ready):
        return "prepared", "phases"
    return "fused" if fused else "split", "split"


def _has_inverse(ready: Prepared | None) -> bool:
    """Does it take an inverse? Scores alone are not worth reading again where one kernel finishes all gradients."""
    return ready is not None and any(v.op is Op.INVERSE for v in ready.prepare.values)


def _onwards(maker: Maker, body: Program, chunks: tuple[int, ...]) -> list[Launch]:
    """The fused kernel, and the two that carry the states and finish. What walks may take parts of the chunks, and
    stores the states before each whole one."""
    keep = chunks[0]
    return [
        maker.launch("forward", "Outputs and the last states.", body, Walk.FORWARD, chunks, keep),
        maker.launch("carry", "The states before each chunk.", _states(body), Walk.FORWARD, chunks, keep),
        maker.launch("finish", "Outputs of each chunk.", _outputs(body), Walk.PARALLEL, (keep,)),
    ]


def _cheaper(maker: Maker, back: Backward, parts: Handed, chunks: tuple[int, ...]) -> tuple[Backward, Handed]:
    """Kernels that finish all gradients, and what is handed on to them: what walks solve for, where that costs fewer
    bytes."""
    solved = handed(parts.body, parts.backward)
    if solved is None:
        return back, parts
    found = finishing(maker, _leaves(solved.rest), chunks)
    stored = stored_bytes(maker.recurrence.spec, (solved.body, solved.backward), maker.sizes)
    return (found, solved) if found.cost + stored < CLEARLY * back.cost else (back, parts)


def _phases(maker: Maker, prepare: Program, parts: Handed, chunk: int) -> list[Launch]:
    """What is stored for each chunk, and the kernels that read it."""
    doc, body = "What each chunk's kernels need of pairs of its tokens.", parts.body
    return [
        maker.launch("prepare", doc, prepare, Walk.PARALLEL, (chunk,)),
        maker.launch("forward_prepared", "Outputs and the last states.", body, Walk.FORWARD, (chunk,), chunk),
        maker.launch("carry_prepared", "The states before each chunk.", _states(body), Walk.FORWARD, (chunk,), chunk),
        maker.launch("finish_prepared", "Outputs of each chunk.", _outputs(parts.finish), Walk.PARALLEL, (chunk,)),
    ]


def _segment_launches(recurrence: Recurrence, composed: Composition, carry: Launch, carry_back: Launch) -> list[Launch]:
    """What a segment adds to the state and to its gradient, and how it passes them on."""
    added = replace(carry.task, name="segment", doc="The last states from zero.", keep=0, start=Start.ZERO)
    added_back = replace(
        carry_back.task,
        name="segment_back",
        doc="The first states' gradients from zero.",
        program=only(carry_back.task.program, lambda key: key.startswith("state:")),
        keep=0,
        start=Start.ZERO,
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
    return only(program, lambda key: key.startswith(WALKED))


def _outputs(program: Program) -> Program:
    return only(program, lambda key: key.startswith("output:"))


def _leaves(program: Program) -> Program:
    """An adjoint without the states' gradients."""
    return only(program, lambda key: not key.startswith("state:"))


def _chunks(recurrence: Recurrence, body: Program, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """PAIR_CHUNK or half of it where every state is matrices; else as many tokens as keep the states at all of them
    small."""
    if all(s.form is Form.MATRIX for s in recurrence.states):
        return PAIR_CHUNK, PAIR_CHUNK // 2, PAIR_CHUNK // 4
    widest = max(_numbers(v.dims, sizes) for v in body.values if ROW in v.dims)
    fitting = max(1, SCAN_NUMBERS // max(widest, 1))
    return (max(16, min(PAIR_CHUNK, 1 << fitting.bit_length() - 1)),)


def _numbers(dims: tuple[str, ...], sizes: Mapping[str, int]) -> int:
    return math.prod(sizes.get(d, 1) for d in dims if d not in (BATCH, HEAD, ROW, COL))
