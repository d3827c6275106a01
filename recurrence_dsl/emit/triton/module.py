"""Kernels -> the text of a module that imports torch and triton alone."""

from __future__ import annotations

from collections.abc import Mapping

import jinja2

from ...check.spec import Spec
from ...program.ops import SOLVED, SOLVED_BACK, STORED_INVERSE, STORED_SCORES, SUMMED
from ...program.step import carried_names
from ...resources import templates
from ...schedule.preparing import stored_values, stores
from ...schedule.relief import relief
from ...schedule.tasks import Launch, Settings, TritonPlan
from ..names import docstring, operator_name
from ..torch_module import digest
from .kernel import Kernel, KernelPrinter
from .memory import tensors
from .rounds import SPARING

_HELPERS = ("once", "rolled", "maths", "dot", "sums", "pair", "levels", "inverse", "scan")
"""Files of helper functions, each after those that it uses."""


_UNNAMED = "@unique@"
_STORED = {
    "PREPARED": (STORED_INVERSE, STORED_SCORES),
    "SOLVED": (SOLVED,),
    "SOLVED_BACK": (SOLVED_BACK,),
    "SUMMED": (SUMMED,),
}
"""Tables of what kernels store for one another, by how the names of it begin."""


def triton_source(spec: Spec, plan: TritonPlan, sizes: Mapping[str, int], heads: int, about: dict[str, object]) -> str:
    """The module's text."""
    kernels = printed(spec, plan.launches, sizes)
    wanted = {h for k in kernels for h in k.helpers}
    known = tensors(spec, sizes)
    context: dict[str, object] = {
        "spec": spec.name,
        "doc": docstring(spec.doc),
        "origin": spec.source.name,
        "digest": digest(spec),
        "heads": heads,
        "tables": {
            "INPUTS": [known[i.name] for i in spec.inputs],
            "PARAMS": [known[p.name] for p in spec.params],
            "STATES": [known[n] for n in carried_names(spec)],
            "OUTPUTS": [known[o.name] for o in spec.outputs],
        },
        "kernels": kernels,
        "settings": {
            x.task.name: launch_options(x.settings) | ({SPARING: 0} if k.rolls else {})
            for x, k in zip(plan.launches, kernels, strict=True)
        },
        "relief": {x.task.name: relief(x, k.rolls) for x, k in zip(plan.launches, kernels, strict=True)},
        "form": plan.form,
        "block": plan.chunk,
        "parallel": plan.parallel,
        "keeping": tuple(x.task.name for x in plan.launches if x.task.keep),
        "transitions": _transitions(spec, plan, sizes),
        "rule": plan.preferred,
        "stored": {table: _stored(plan, names, sizes) for table, names in _STORED.items()},
        "plans": {"FORWARD": dict(plan.forward), "BACKWARD": dict(plan.backward)},
        "step": "step" if any(x.task.name == "step" for x in plan.launches) else "forward",
        "unique_name": _UNNAMED,
        "helpers": [_helper(name) for name in _HELPERS if name in wanted],
        **about,
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates() / "triton"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("module.py.jinja").render(context)
    return text.replace(_UNNAMED, operator_name(spec.name, text))


def launch_options(settings: Settings) -> dict[str, int]:
    """The keyword arguments of a launch."""
    blocks = {f"B_{a}": n for a, n in settings.blocks}
    levels = settings.chunk.bit_length() - 1
    return {"C": settings.chunk, "LEVELS": levels, **blocks, "num_warps": settings.warps, "num_stages": settings.stages}


def printed(spec: Spec, launches: tuple[Launch, ...], sizes: Mapping[str, int]) -> tuple[Kernel, ...]:
    """The kernels' statements."""
    return tuple(
        KernelPrinter(
            spec, {**sizes, **dict(x.task.sizes)}, x.task, x.settings.chunk, dict(x.settings.blocks)
        ).print()
        for x in launches
    )  # fmt: skip


def _stored(plan: TritonPlan, names: tuple[str, ...], sizes: Mapping[str, int]) -> tuple[tuple[object, ...], ...]:
    """What kernels store for others under names that begin in some way."""
    found: dict[str, tuple[object, ...]] = {}
    for task in (x.task for x in plan.launches):
        values = stored_values(task.program)
        for name in (n for n in stores(task.program) if f"@{n}".startswith(names)):
            x = values[name]
            found[name] = name, x.tiles, x.exact, None if x.pairs else tuple(sizes[a] for a in x.axes)
    return tuple(found.values())


def _transitions(spec: Spec, plan: TritonPlan, sizes: Mapping[str, int]) -> list[tuple[int, ...] | None]:
    """How segments pass each carried value on: nothing where entry by entry, else the sizes of the matrix's axis and of
    the other one, the state's strides along both, and the matrix's."""
    composed = plan.composition
    if composed is None:
        return []
    if composed.matrix is None:
        return [None for _ in carried_names(spec)]
    (state,) = carried_names(spec)
    own, square = tensors(spec, sizes)[state], tensors(spec, composed.sizes)[state]
    axis = composed.matrix
    (other,) = (a for a in own.axes if a != axis)
    strides = [t.strides()[a] for t in (own, square) for a in (axis, other)]
    return [(sizes[axis], sizes[other], *strides)]


def _helper(name: str) -> str:
    return (templates() / "triton" / "support" / f"{name}.py").read_text().rstrip()


__all__ = ["launch_options", "printed", "triton_source"]
