"""Prints the loops inside a kernel: over blocks of an axis, and over levels."""

from __future__ import annotations

from collections.abc import Iterable

ROLLED = "ROLLED"
"""The setting of kernels with such loops that keeps their rounds apart."""


def loop_lines(number: str, span: str, body: Iterable[str], step: str = "1") -> list[str]:
    """A loop over `span`, in which each round has a `number`, a multiple of `step`."""
    inside = [f"{number} = _rolled({number}, {step}, {ROLLED}, DEVICE)", *body]
    return [f"for {number} in tl.range({span}, disable_licm=True):", *(f"    {line}" for line in inside)]
