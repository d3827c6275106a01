"""What a back end can be tested with here: device, dtypes, chunk sizes. Says so before the first case, not in each."""

from __future__ import annotations

import torch

from ..diagnostics import CallError
from ..runtime.choices import BACKENDS, has_gpu, interpreting, triton_installed
from .case import DTYPES

CHUNK_SIZES = (None, 16, 8, 4, 2, 1, 3, 64)
TRITON_CHUNK_SIZES = (None, 16, 32, 64)
"""What kernels of the triton back end take, small ones."""


def resolved(backend: str) -> str:
    """The back end that is attacked. Raises CallError for one that does not exist or cannot run here."""
    if backend == "auto":
        return "triton" if triton_installed() and (has_gpu() or interpreting()) else "torch"
    if backend not in BACKENDS:
        raise CallError("R0909", f"there is no back end `{backend}`", f"it is one of: {', '.join(BACKENDS)}")
    if backend != "triton":
        return backend
    if not triton_installed():
        raise CallError("R0909", "the triton back end needs the package `triton`", "install it, or check torch's")
    if not has_gpu() and not interpreting():
        raise CallError(
            "R0909",
            "the triton back end needs a GPU, and there is none",
            "set TRITON_INTERPRET=1 to run its kernels on the CPU, slowly, or check torch's",
        )
    return backend


def dtypes_for(backend: str, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The dtypes asked for, or all that the back end takes here. Raises CallError for one that it does not take."""
    taken = _taken(backend)
    for dtype in asked:
        if dtype not in DTYPES:
            raise CallError("R0909", f"there is no dtype `{dtype}`", f"it is one of: {', '.join(DTYPES)}")
        if dtype not in taken:
            where = " in Triton's interpreter" if dtype == "bfloat16" else ""
            raise CallError(
                "R0909", f"the {backend} back end does not take {dtype}{where}", f"try {' or '.join(taken)}"
            )
    return tuple(asked) or taken


def _taken(backend: str) -> tuple[str, ...]:
    """What Triton's interpreter computes in bfloat16 on a CPU is wrong, whatever the kernel: it is left out there."""
    if backend != "triton":
        return tuple(DTYPES)
    return ("float32", "float16") if interpreting() else ("float32", "bfloat16", "float16")


def chunk_sizes_for(backend: str) -> tuple[int | None, ...]:
    """Chunk sizes to try, the compiler's own choice first."""
    return TRITON_CHUNK_SIZES if backend == "triton" else CHUNK_SIZES


def device_for(backend: str) -> torch.device:
    """Where a back end's kernels run."""
    return torch.device("cuda" if backend == "triton" and not interpreting() else "cpu")
