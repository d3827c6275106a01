"""How the generated code spells sizes, positions and broadcasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...program.ops import COL, ROW
from .tiles import Dims


@dataclass(frozen=True, slots=True)
class Layout:
    """The block of each axis that a kernel works on: its text (a number, or the name of a constexpr), and whether lanes
    may lie beyond the axis's end."""

    blocks: Mapping[str, str]
    masked: frozenset[str]

    def size(self, dim: str) -> str:
        parts = ["C" if d in (ROW, COL) else self.blocks[d] for d in dim.split("*")]
        return " * ".join(parts)

    def shape(self, dims: Dims) -> str:
        inside = ", ".join(self.size(d) for d in dims)
        return f"({inside},)" if len(dims) == 1 else f"({inside})"


def index_name(dim: str) -> str:
    """The variable with the positions along a dim."""
    return "i_t" if dim in (ROW, COL) else f"i_{dim}"


def mask_name(dim: str) -> str:
    """The variable that tells which of them lie before the end."""
    return "m_t" if dim in (ROW, COL) else f"m_{dim}"


def aligned(text: str, have: Dims, want: Dims) -> str:
    """A name or bracketed text indexed so that its dims stand where the wanted dims do."""
    if not have or have == want:
        return text
    assert [d for d in want if d in have] == list(have), f"{have} do not stand in the order of {want}"
    return f"{text}[{', '.join(':' if d in have else 'None' for d in want)}]"


def number_text(value: float) -> tuple[str, int]:
    """A number as a literal that is a float, and how tightly it binds."""
    if value in (float("inf"), -float("inf")):
        return ("float('inf')", 9) if value > 0 else ("float('-inf')", 9)
    return repr(float(value)), 3 if value < 0 else 9
