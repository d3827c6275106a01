"""Layout in the torch back end: a value is a tensor with exactly its dims, in layout order."""

from __future__ import annotations

from dataclasses import dataclass

from ..program.ops import BATCH, COL, HEAD, ROW


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a dim's size is called in the emitted code; `terms` is the number of one value's rank-one terms."""

    axes: dict[str, int]
    terms: int = 1

    def of(self, dim: str) -> str:
        names = {BATCH: "B", HEAD: "H", ROW: "C", COL: "C"}
        return names.get(dim) or str(self.axes.get(dim, self.terms))

    def shape(self, dims: tuple[str, ...]) -> str:
        inside = ", ".join(self.of(d) for d in dims)
        return f"({inside},)" if len(dims) == 1 else f"({inside})"

    def names(self, dims: tuple[str, ...]) -> str:
        """`[B, H, C, K]`, for readers."""
        known = {BATCH: "B", HEAD: "H", ROW: "C", COL: "C"}
        return f"[{', '.join(known.get(d) or (d if d in self.axes else str(self.terms)) for d in dims)}]"


def aligned(text: str, have: tuple[str, ...], want: tuple[str, ...]) -> str:
    """The operand with a dim of size one for each one it lacks, as far as broadcasting does not do it."""
    if not have:
        return text
    index = [":" if d in have else "None" for d in want[want.index(have[0]) :]]
    if "None" not in index:
        return text
    first = index.index("None")
    return f"{text}[{', '.join(['...', *index[first:]])}]"
