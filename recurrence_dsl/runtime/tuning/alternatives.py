"""What may be measured beside a plan's own settings, by kernel."""

from __future__ import annotations

from ...emit.triton.module import launch_options
from ...maths.recurrence import Recurrence
from ...program.lower import Known
from ...program.step import carried_names
from ...schedule.candidates import alternatives as of_launch
from ...schedule.pressure import body_of
from ...schedule.tasks import Launch, Walk
from ..choices import Choices


def alternatives(recurrence: Recurrence, choices: Choices) -> dict[str, tuple[dict[str, int], ...]]:
    """For each kernel at most three sets of settings, each as what differs from the kernel's own."""
    from ...pipeline import derive, planned_triton

    sizes = dict(choices.sizes)
    compiled = derive(recurrence, Known(sizes, choices.heads), choices.form, choices.chunk_size)
    names = frozenset(carried_names(recurrence.spec))
    return {x.task.name: _of(x, names, sizes) for x in planned_triton(compiled, sizes).launches}


def _of(launch: Launch, names: frozenset[str], sizes: dict[str, int]) -> tuple[dict[str, int], ...]:
    carried = {Walk.FORWARD: names, Walk.REVERSE: frozenset(f"state:{n}" for n in names)}
    held = frozenset() if launch.task.cached else carried.get(launch.task.walk, frozenset())
    body = body_of(launch.task.program, sizes, held)
    own = launch_options(launch.settings)
    others = [launch_options(settings) for settings in of_launch(launch, body, sizes)]
    return tuple({key: value for key, value in other.items() if own[key] != value} for other in others)
