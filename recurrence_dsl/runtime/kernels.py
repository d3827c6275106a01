"""From a mixer's choices to its kernels: derive, schedule, emit, load."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from ..check.spec import Input, Spec
from ..interpreter.binding import remembered
from ..maths.recurrence import Recurrence
from ..program.lower import Known
from .choices import Choices
from .load import load_source


def source(recurrence: Recurrence, choices: Choices) -> str:
    """The emitted text for one choice of sizes and form."""
    from ..pipeline import derive, emitted, emitted_triton

    known = Known(dict(choices.sizes), choices.heads)
    compiled = derive(recurrence, known, choices.form, choices.chunk_size)
    emit = emitted_triton if choices.backend == "triton" else emitted
    return emit(compiled, dict(choices.sizes), choices.heads)


def build(recurrence: Recurrence, choices: Choices) -> ModuleType:
    """The loaded module."""
    return load_source(source(recurrence, choices), recurrence.spec.name)


def zero_state(
    spec: Spec, choices: Choices, batch: int, dtype: torch.dtype, device: torch.device | str | None
) -> dict[str, Tensor]:
    """Zeros [B, H, *axes] for everything that a step hands to the next; a grouped input's are [B, G, *axes]."""
    found = {}
    for d in remembered(spec):
        heads = choices.groups if isinstance(d, Input) and d.per_group else choices.heads
        kind = dtype.to_complex() if getattr(d, "is_complex", False) else dtype
        shape = (batch, heads, *(choices.sizes[a] for a in d.axes))
        found[d.name] = torch.zeros(shape, dtype=kind, device=device)
    return found
