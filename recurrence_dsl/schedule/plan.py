"""BlockProgram -> Plan: how many tokens a block holds and how often a state is kept for the backward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..maths.recurrence import Form, Recurrence
from ..program.lower import Known
from ..program.ops import ROW, Program

CHUNK = 64
"""Tokens a block of pairs: square tiles of 64 keep a matrix product busy and a block's values in cache."""
ELEMENTS = 1 << 16
"""Most elements that a materialised value may have in a block, for one batch entry and head."""
KEPT = 32
"""Tokens between two kept states in the recurrent form, where every token would cost a whole state."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The schedule of the torch back end. `block` tokens are evaluated together; every `stride`-th state is kept."""

    form: str
    block: int
    stride: int


def plan(recurrence: Recurrence, body: Program, known: Known, form: str, chunk_size: int | None) -> Plan:
    """The plan for one form; a given chunk size is obeyed."""
    block = 1 if form == "recurrent" else chunk_size or default_chunk(recurrence, body, known)
    stride = KEPT if form == "recurrent" else 1
    return Plan(form, block, stride)


def default_chunk(recurrence: Recurrence, body: Program, known: Known) -> int:
    """CHUNK, or less where a state is materialised at every token and its tiles would leave the cache."""
    if all(s.form is Form.MATRIX for s in recurrence.states):
        return CHUNK
    widest = max(
        math.prod(known.sizes.get(a, CHUNK) for a in v.dims if not a.startswith("@"))
        for v in body.values
        if ROW in v.dims
    )
    return max(8, min(4 * CHUNK, 1 << (ELEMENTS // max(widest, 1)).bit_length() - 1)) if widest <= ELEMENTS else 8
