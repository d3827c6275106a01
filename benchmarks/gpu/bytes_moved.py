"""The bytes of a whole call: what the compiler's model of its plan says, and the least that any kernel must move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from recurrence_dsl.pipeline import derive
from recurrence_dsl.program.lower import Known
from recurrence_dsl.schedule.cost import costs


@dataclass(frozen=True, slots=True)
class Moved:
    """`model`: with what the plan keeps between its kernels; `least`: inputs and outputs once."""

    model: float
    least: float


def moved(mixer: Any, tokens: int, dtype: torch.dtype) -> tuple[Moved, Moved]:
    """Forward and backward of a call with so many tokens."""
    chosen, recurrence = mixer.choices, mixer.recurrence
    sizes = dict(chosen.sizes)
    compiled = derive(recurrence, Known(sizes, chosen.heads), chosen.form, chosen.chunk_size)
    programs = compiled.programs
    found = costs(recurrence.spec, programs.body, programs.backward, compiled.plan, sizes, dtype.itemsize)
    count = tokens * chosen.heads
    forward, backward = (Moved(c.moved * count, c.least * count) for c in found)
    return forward, backward
