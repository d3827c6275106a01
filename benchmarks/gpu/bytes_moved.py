"""The bytes of a whole call: what the compiler's model of its plan says, and the least that any kernel must move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from recurrence_dsl.pipeline import derive, planned_triton
from recurrence_dsl.program.lower import Known
from recurrence_dsl.schedule.traffic import Traffic, plan_traffic


@dataclass(frozen=True, slots=True)
class Moved:
    """`model`: with what the plan keeps between its kernels; `least`: inputs, outputs and their gradients once."""

    model: float
    least: float


def moved(mixer: Any, inputs: Mapping[str, Tensor]) -> tuple[Moved, Moved]:
    """Forward and backward of a call, by the plans that the kernels choose for it."""
    chosen, module = mixer.choices, mixer.kernels
    sizes = dict(chosen.sizes)
    compiled = derive(mixer.recurrence, Known(sizes, chosen.heads), chosen.form, chosen.chunk_size)
    tensors = [inputs[row[0]] for row in module.INPUTS]
    dtype = str(tensors[0].dtype).removeprefix("torch.")
    sharing = chosen.heads // chosen.groups
    ways = plan_traffic(mixer.spec, planned_triton(compiled, sizes), sizes, dtype, sharing)
    count = tensors[0].shape[0] * tensors[0].shape[1] * chosen.heads
    names = [module.choose_plan(table, tensors, None, chosen.heads).split()[0] for table in ("FORWARD", "BACKWARD")]
    keeps = "carry" in module.FORWARD[names[0]]
    found = _way(ways[0], names[0]), _way(ways[1], f"{names[1]}, states kept" if keeps else names[1])
    forward, backward = (Moved(t.moved * count, t.least * count) for t in found)
    return forward, backward


def _way(ways: tuple[Traffic, ...], name: str) -> Traffic:
    """The one named; without what is said of states kept, where that makes no difference."""
    by_name = {t.name: t for t in ways}
    return by_name.get(name) or by_name[name.partition(",")[0]]
