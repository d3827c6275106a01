"""Which plan and which settings of its kernels are the fastest, of those that give the right result.

A *choice* is a plan's name and what it changes in the settings of its kernels, as in "split finish.num_warps=8": the
text that the kernels take. Nothing here knows what a kernel is, so that the search can be tested with kernels that lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Changes = Mapping[str, int]


class Bench(Protocol):
    """Runs one choice."""

    def fault(self, choice: str) -> str:
        """What is wrong with its result on a small problem, or nothing. It may raise whatever a kernel raises."""
        ...

    def seconds(self, choice: str) -> float:
        """How long it takes. It may raise whatever a kernel raises."""
        ...


@dataclass(slots=True)
class Search:
    """`plans`: kernels by plan. `alternatives`: by kernel, what may be changed. `drop` is told, a line each, what was
    given up and why."""

    plans: Mapping[str, Sequence[str]]
    alternatives: Mapping[str, Sequence[Changes]]
    bench: Bench
    drop: Callable[[str], None]
    _measured: dict[str, float | None] = field(default_factory=dict)

    def best(self) -> str | None:
        """The fastest choice, or None where every one fails."""
        found = [best for plan, kernels in self.plans.items() if (best := self._best_of(plan, kernels)) is not None]
        return min(found, key=lambda pair: pair[0])[1] if found else None

    def _best_of(self, plan: str, kernels: Sequence[str]) -> tuple[float, str] | None:
        """The settings of one kernel after the other, each with the best ones of those before."""
        chosen, taken = plan, self._measure(plan)
        for kernel in kernels:
            for changes in self.alternatives.get(kernel, ()):
                tried = " ".join([chosen_before(chosen, kernel), *(f"{kernel}.{k}={v}" for k, v in changes.items())])
                seconds = self._measure(tried)
                if seconds is not None and (taken is None or seconds < taken):
                    chosen, taken = tried, seconds
        return None if taken is None else (taken, chosen)

    def _measure(self, choice: str) -> float | None:
        """Seconds; None for a choice that fails to compile, to agree, or to repeat itself. Each is run once."""
        if choice not in self._measured:
            self._measured[choice] = self._run(choice)
        return self._measured[choice]

    def _run(self, choice: str) -> float | None:
        try:
            fault = self.bench.fault(choice)
            seconds = 0.0 if fault else self.bench.seconds(choice)
        except Exception as error:  # noqa: BLE001 - whatever a compiler or a device says, it is not to be chosen
            fault, seconds = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}", 0.0
        if fault:
            self.drop(f"dropped {choice}: {fault}")
            return None
        return seconds


def chosen_before(choice: str, kernel: str) -> str:
    """A choice without what it says of one kernel."""
    plan, *changes = choice.split()
    return " ".join([plan, *(c for c in changes if not c.startswith(f"{kernel}."))])
