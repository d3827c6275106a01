"""Writes a compiled mixer's source to a folder, to be used without this package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ..check.spec import Spec
from ..pipeline import lifted
from ..runtime.choices import choose, split_options
from ..runtime.kernels import source
from ..runtime.tuning.store import known

_EMPTY = "TUNED = {}"


def write_standalone(
    spec: Spec, folder: Path, backend: str, heads: int, groups: int, settings: Mapping[str, float]
) -> Path:
    """Writes `folder/NAME.py`, which imports torch, and triton where that is the back end, and nothing else; returns
    its path. The folder is made if missing. What the tuner knows of these kernels goes along.

    `settings` gives the sizes of axes and other values for consts. Raises CallError where a choice does not fit.
    """
    sizes, consts = split_options(spec, settings)
    recurrence = lifted(spec, consts)
    chosen = choose(
        recurrence, sizes, consts, heads=heads, groups=groups, backend=backend, form="auto", chunk_size=None
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{spec.name}.py"
    path.write_text(_tuned(source(recurrence, chosen)), encoding="utf-8")
    return path


def _tuned(text: str) -> str:
    """A source with the measured choices for its kernels, if there are any."""
    name = re.search(r'^NAME = "(\w+)"$', text, re.MULTILINE)
    found = known(name[1]) if name and _EMPTY in text else {}
    rows = "".join(f"    {key!r}: {choice!r},\n" for key, choice in sorted(found.items()))
    return text.replace(_EMPTY, f"TUNED = {{\n{rows}}}") if rows else text
