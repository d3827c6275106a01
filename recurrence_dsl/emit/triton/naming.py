"""Names for tiles: what a program calls them, else x with a number, and none that a kernel's text uses itself."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from .tiles import Tile

RESERVED = frozenset((
    "tl", "triton", "torch", "C", "T", "N", "H", "h", "b", "n", "e", "pid", "slot", "rows", "t0", "cu", "i_t",
    "m_t", "r_t", "late", "half", "back", "across", "apart", "corner", "sibling", "other", "share", "middle",
    "above", "found", "first", "length", "chunk", "step", "first_slot", "RATIO", "SLOTS", "UNITS", "ROWS", "DT",
    "PRECISION", "EXACT", "PACKED", "KEEP", "WIDE", "SPAN", "DEVICE", "LEVELS", "level", "SPARING"
))  # fmt: skip
"""What the template and the helpers call their own values."""


def tile_names(tiles: tuple[Tile, ...], order: Iterable[int], used: set[str]) -> dict[int, str]:
    """A name for each tile of an order; `used` are names that are taken, and become more."""
    names: dict[int, str] = {}
    for i in order:
        base = re.sub(r"\W", "_", tiles[i].hint or "x")
        base = f"{base}_" if keyword.iskeyword(base) or base.startswith("_") else base
        name, n = base, 1
        while name in used:
            n += 1
            name = f"{base}_{n}" if base != "x" else f"x{n}"
        used.add(name)
        names[i] = name
    return names


def further_names(names: dict[int, str], wanted: Iterable[int], ending: str, used: set[str]) -> dict[int, str]:
    """Second names for tiles, with an ending; `used` are names that are taken, and become more."""
    found: dict[int, str] = {}
    for i in wanted:
        name = f"{names[i]}_{ending}"
        while name in used:
            name += "_"
        found[i] = name
        used.add(name)
    return found
