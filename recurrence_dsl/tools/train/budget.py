"""How much time a run has, whatever the machine."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]


LEAST = 0.2
"""The share of the seconds that is kept for the work, however long its preparation takes."""


class Budget:
    """Seconds that begin to run when it is made; `begin` marks where the work that they are for begins."""

    def __init__(self, seconds: float, clock: Clock = time.perf_counter) -> None:
        self.clock, self.seconds = clock, seconds
        self.start = clock()
        self.end = self.start + seconds

    def begin(self) -> None:
        """What is left from here on is what `spent` is a share of."""
        self.start = self.clock()
        self.end = max(self.end, self.start + LEAST * self.seconds)

    def spent(self) -> float:
        """The share of the time since `begin` that is over, from 0 to 1."""
        left = self.end - self.start
        return min((self.clock() - self.start) / left, 1.0) if left > 0 else 1.0

    def allows(self, seconds: float) -> bool:
        """Whether something that takes so long still fits."""
        return self.clock() + seconds <= self.end
