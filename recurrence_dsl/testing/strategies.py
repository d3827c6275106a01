"""Hypothesis strategies: cases of a spec, their tensors, and (in `random_specs`) whole specs."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from ..check.spec import Spec
from ..interpreter.binding import representative
from .backends import chunk_sizes_for, dtypes_for
from .case import Case, Gates
from .random_inputs import Drawn, draw_inputs
from .random_specs import specs

__all__ = ["cases", "inputs", "specs"]

LENGTHS = (1, 2, 0, 3, 5, 8, 13, 15, 16, 17, 31, 33, 50)
"""Around the chunk sizes and their neighbours; one long enough for a carry over many chunks."""


@st.composite
def cases(draw: st.DrawFn, spec: Spec, *, dtypes: Sequence[str] = (), backend: str = "torch") -> Case:
    """Cases of a spec: shapes, dtype, seed, gates, scale of the inputs, chunk size. They shrink to small plain ones.

    No `dtypes` means all that the back end takes. Raises CallError for one that it does not take.
    """
    grouped = any(i.per_group for i in spec.inputs)
    groups = draw(st.sampled_from((1, 2, 3))) if grouped else 1
    width = draw(st.sampled_from((1, 2, 3)))
    roots = dict.fromkeys(representative(dim.name, spec) for dim in spec.dims)
    size_of = {root: draw(st.sampled_from((1, 2, 3, 5, 8, 17))) for root in roots}
    return Case(
        batch=draw(st.sampled_from((1, 2, 3))),
        length=draw(st.sampled_from(LENGTHS)),
        heads=groups * width,
        groups=groups,
        sizes=tuple((dim.name, size_of[representative(dim.name, spec)]) for dim in spec.dims),
        dtype=draw(st.sampled_from(dtypes_for(backend, tuple(dtypes)))),
        seed=draw(st.integers(0, 999)),
        gates=draw(st.sampled_from(tuple(Gates))),
        scale=draw(st.sampled_from((1.0, 0.0, 0.01, 30.0))),
        chunk_size=draw(st.sampled_from(chunk_sizes_for(backend))),
        backend=backend,
    )


def inputs(spec: Spec, *, dtypes: Sequence[str] = (), backend: str = "torch") -> st.SearchStrategy[Drawn]:
    """The tensors of random cases: `.inputs`, `.params` and `.state` by name, inside the declared ranges."""
    return cases(spec, dtypes=dtypes, backend=backend).map(lambda case: draw_inputs(spec, case))
