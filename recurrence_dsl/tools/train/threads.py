"""Picks the number of threads that is fastest now: on busy or shared cores one thread often beats several."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

RUNS = 2


@contextmanager
def fastest_threads(run: Callable[[], object]) -> Iterator[int]:
    """Sets torch's threads to the number, one or all, with which `run` takes less time; sets them back afterwards."""
    most = torch.get_num_threads()
    try:
        if most > 1:
            run()  # the first run allocates and compiles
            alone = _seconds(run, 1)
            torch.set_num_threads(most if _seconds(run, most, alone) < alone else 1)
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(most)


def _seconds(run: Callable[[], object], threads: int, limit: float = math.inf) -> float:
    """How long some runs take; not all are made when the first already take longer than `limit`."""
    torch.set_num_threads(threads)
    start, taken = time.perf_counter(), 0.0
    for _ in range(RUNS):
        run()
        taken = time.perf_counter() - start
        if taken > limit:
            break
    return taken
