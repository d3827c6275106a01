"""Prints the loops inside a kernel: over blocks of an axis, and over levels."""

from __future__ import annotations

from collections.abc import Iterable

SPARING = "SPARING"
"""The setting of kernels with such loops that lets them hold less: 1 keeps the rounds apart, 2 also has each load again
what products take, and decays computed where they are used."""
AGAIN = f"{SPARING} > 1"


def loop_lines(number: str, span: str, body: Iterable[str], step: str = "1") -> list[str]:
    """A loop over `span`, in which each round has a `number`, a multiple of `step`."""
    inside = [f"{number} = _rolled({number}, {step}, {SPARING}, DEVICE)", *body]
    return [f"for {number} in tl.range({span}, disable_licm=True):", *(f"    {line}" for line in inside)]
