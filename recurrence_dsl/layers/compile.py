"""`compile_layer`: a spec's layer block as a torch module around its compiled mixer."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..check.spec import Spec
from .build import build_layer
from .layer import Layer


def compile_layer(
    spec: Spec | str | Path,
    *,
    d_model: int,
    heads: int,
    groups: int = 1,
    layer_index: int = 0,
    layers: int = 1,
    backend: str = "auto",
    form: str = "auto",
    chunk_size: int | None = None,
    **sizes: float,
) -> Layer:
    """The layer of a spec: x [B, T, d_model] -> y [B, T, d_model].

    `sizes` gives the spec's dims their sizes and may replace consts of the mixer and of the layer block. `layer_index`
    of `layers` says which layer of a model this is, for specs whose layers differ. `backend`, `form` and `chunk_size`
    are the mixer's, as in `compile`. Raises SpecError for a layer block with an error in it, CallError for sizes that
    are missing or do not fit.
    """
    from ..pipeline import load
    from ..runtime.compile import compile as compile_mixer

    checked = spec if isinstance(spec, Spec) else load(spec)
    return build_layer(
        checked,
        partial(compile_mixer, backend=backend, form=form, chunk_size=chunk_size),
        d_model=d_model,
        heads=heads,
        groups=groups,
        layer_index=layer_index,
        layers=layers,
        sizes=sizes,
    )
