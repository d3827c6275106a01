"""How long a call takes on a device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

Clock = Callable[[Callable[[], object], torch.device], float]

BUDGET = 0.05
"""Seconds of runs that a median is taken over, between LEAST and MOST of them."""
LEAST, MOST = 5, 50


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """The median of several runs, by the device's own events on a GPU; the first runs warm up."""
    once = _events if device.type == "cuda" else _wall
    run()
    first = once(run)
    count = max(LEAST, min(MOST, int(BUDGET / max(first, 1e-6))))
    return statistics.median(once(run) for _ in range(count))


def _events(run: Callable[[], object]) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def _wall(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
