"""Picks the number of threads that is fastest now: on busy or shared cores one thread often beats several."""

from __future__ import annotations

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
            seconds = {count: _seconds(run, count) for count in (1, most)}
            torch.set_num_threads(min(seconds, key=lambda count: seconds[count]))
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(most)


def _seconds(run: Callable[[], object], threads: int) -> float:
    torch.set_num_threads(threads)
    start = time.perf_counter()
    for _ in range(RUNS):
        run()
    return time.perf_counter() - start
