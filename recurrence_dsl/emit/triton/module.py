"""Kernels -> the text of a module that imports torch and triton alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jinja2

from ...check.spec import Spec
from ...program.step import carried_names
from ...resources import templates
from ..torch_module import digest
from .kernel import Kernel, KernelPrinter, Task
from .memory import Tensor, tensors

_HELPERS = ("maths", "dot", "sums", "pair", "inverse", "scan")
"""Files of helper functions, each after those that it uses."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a kernel is launched: tokens a chunk, the block of each split axis, warps and pipeline stages."""

    chunk: int
    blocks: tuple[tuple[str, int], ...] = ()
    warps: int = 4
    stages: int = 1

    def launch(self) -> dict[str, int]:
        blocks = {f"B_{a}": n for a, n in self.blocks}
        return {"C": self.chunk, **blocks, "num_warps": self.warps, "num_stages": self.stages}


@dataclass(frozen=True, slots=True)
class Launch:
    """A kernel's task and its settings."""

    task: Task
    settings: Settings


def triton_source(
    spec: Spec, launches: tuple[Launch, ...], sizes: Mapping[str, int], heads: int, about: dict[str, object]
) -> str:
    """The module's text."""
    kernels = printed(spec, launches, sizes)
    wanted = {h for k in kernels for h in k.helpers}
    known = tensors(spec, sizes)
    context: dict[str, object] = {
        "spec": spec.name,
        "doc": spec.doc,
        "origin": spec.source.name,
        "digest": digest(spec),
        "heads": heads,
        "tables": {
            "INPUTS": [known[i.name] for i in spec.inputs],
            "PARAMS": [known[p.name] for p in spec.params],
            "STATES": [known[n] for n in carried_names(spec)],
            "OUTPUTS": [known[o.name] for o in spec.outputs],
        },
        "axes": {i.name: i.axes for i in spec.inputs},
        "kernels": kernels,
        "settings": {entry.task.name: entry.settings.launch() for entry in launches},
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
    return environment.get_template("module.py.jinja").render(context)


def printed(spec: Spec, launches: tuple[Launch, ...], sizes: Mapping[str, int]) -> tuple[Kernel, ...]:
    """The kernels' statements."""
    return tuple(
        KernelPrinter(spec, sizes, entry.task, entry.settings.chunk, dict(entry.settings.blocks)).print()
        for entry in launches
    )


def _helper(name: str) -> str:
    return (templates() / "triton" / "support" / f"{name}.py").read_text().rstrip()


__all__ = ["Launch", "Settings", "Tensor", "triton_source"]
