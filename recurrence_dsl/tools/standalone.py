"""Writes a compiled mixer's source to a folder, to be used without this package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..check.spec import Spec
from ..pipeline import lifted
from ..runtime.choices import choose, split_options
from ..runtime.kernels import source


def write_standalone(
    spec: Spec, folder: Path, backend: str, heads: int, groups: int, settings: Mapping[str, float]
) -> Path:
    """Writes `folder/NAME.py`, which imports torch alone, and returns its path; the folder is made if missing.

    `settings` gives the sizes of axes and other values for consts. Raises CallError where a choice does not fit.
    """
    sizes, consts = split_options(spec, settings)
    recurrence = lifted(spec, consts)
    chosen = choose(
        recurrence, sizes, consts, heads=heads, groups=groups, backend=backend, form="auto", chunk_size=None
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{spec.name}.py"
    path.write_text(source(recurrence, chosen), encoding="utf-8")
    return path
