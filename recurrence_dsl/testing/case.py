"""One test case: everything that a run of a spec depends on, small enough to print and to shrink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch

from ..check.spec import Spec
from ..interpreter.binding import representative

DTYPES = {str(d).removeprefix("torch."): d for d in (torch.float64, torch.float32, torch.bfloat16, torch.float16)}


class Gates(Enum):
    """Where the inputs that feed a decay are pushed; the value is the log-decay aimed at, where there is one."""

    TYPICAL = "typical"
    OPEN = 0.0
    NEAR = -1e-6
    STRONG = -50.0
    SHUT = -1e4
    MIXED = "mixed"

    @property
    def depth(self) -> float:
        """The largest magnitude of one token's log-decay, roughly: heads and channels differ by a small factor."""
        return 4 * abs(self.value) if isinstance(self.value, float) else 4e4 if self is Gates.MIXED else 8.0


@dataclass(frozen=True, slots=True)
class Case:
    """Shapes, dtype, seed, gates and schedule of one run; `sizes` pairs each axis with its size.

    `scale` multiplies the inputs that feed no decay. `chunk_size` None leaves the choice to the compiler.
    """

    batch: int = 1
    length: int = 8
    heads: int = 1
    groups: int = 1
    sizes: tuple[tuple[str, int], ...] = ()
    dtype: str = "float64"
    seed: int = 0
    gates: Gates = Gates.TYPICAL
    scale: float = 1.0
    chunk_size: int | None = None
    backend: str = "torch"
    consts: tuple[tuple[str, float], ...] = ()

    @property
    def torch_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype]

    @property
    def size_of(self) -> Mapping[str, int]:
        return dict(self.sizes)


def case_for(spec: Spec, *, size: int = 4, **options: Any) -> Case:
    """A case with the same `size` for every axis of the spec; `sizes={...}` overrides those that it has."""
    given = {representative(axis, spec): n for axis, n in options.pop("sizes", {}).items()}
    return Case(sizes=tuple((d.name, given.get(representative(d.name, spec), size)) for d in spec.dims), **options)
