"""`rd.compile`: a spec and sizes -> a torch module."""

from __future__ import annotations

from pathlib import Path

from ..check.spec import Spec
from ..pipeline import lifted, load
from .choices import choose, split_options
from .mixer import Mixer


def compile(
    spec: Spec | str | Path,
    *,
    heads: int = 1,
    groups: int = 1,
    backend: str = "auto",
    form: str = "auto",
    chunk_size: int | None = None,
    **sizes_and_consts: float,
) -> Mixer:
    """The recurrence of a spec as a torch module.

    spec        a checked spec, a path or a spec's text
    heads       H; `groups` G divides it where the spec has `per group` inputs
    backend     "torch", "triton", "interpreter"; "auto" chooses and says once what and why
    form        "chunk", "recurrent" or "auto"
    chunk_size  tokens a chunk; None lets the schedule choose
    others      sizes of the spec's dims (`K=64`), and values for its consts

    Raises SpecError for a spec that is no linear recurrence, CallError for a choice that cannot be honoured.
    """
    checked = spec if isinstance(spec, Spec) else load(spec)
    sizes, consts = split_options(checked, sizes_and_consts)
    recurrence = lifted(checked, consts)
    chosen = choose(
        recurrence, sizes, consts, heads=heads, groups=groups, backend=backend, form=form, chunk_size=chunk_size
    )
    return Mixer(recurrence, chosen)
