"""Prints operations with a decay of its own for each channel and pair of tokens.

Such decays are never formed. Blocks of 2, 4, 8, .. rows are split in an early and a late half; for a pair across the
halves the decay is what happens from the middle to t, times what happens from s to the middle, so every level is a
product
of matrices. All exponents are sums of exactly the log-decays meant, so none is positive and none loses digits to a
difference of large sums. Operations that share their decays share the walk over the levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...program.ops import COL, Mask
from .tiles import Kind, Tile

if TYPE_CHECKING:
    from .printer import TilePrinter


@dataclass(frozen=True, slots=True)
class Group:
    printer: TilePrinter
    members: tuple[Tile, ...]


def group_lines(group: Group) -> list[str]:
    """The statements: starting values (what a token contributes to itself), then a loop over the levels.

    Two rows lie in the two halves of one block where the highest bit in which they differ is that of the level.
    """
    p, first = group.printer, group.members[0]
    tag, strict = p.names[first.index], first.attr is Mask.BEFORE
    shape = p.layout.shape(p.tiles[first.args[2]].dims)
    up, down = f"up_{tag}", f"down_{tag}"
    lines = [f"{up}, {down} = _first_level({p.text(first.args[2])}, {strict}, EXACT)"]
    lines += [f"{p.names[m.index]} = {_start(p, m, strict)}" for m in group.members]
    body = [
        "half = 1 << level",
        "late = (i_t & half) != 0",
        f"sibling = tl.broadcast_to(_sibling(i_t, half, EXACT)[:, None], {shape})",
        f"e, {up}, {down} = _level({up}, {down}, {p.text(first.args[2])}, late[:, None], sibling, {strict}, EXACT)",
        "apart = (i_t[:, None] ^ i_t[None, :]) >> level == 1",
    ]
    if any(not _turned(m) for m in group.members):
        body.append("across = apart & (i_t[:, None] > i_t[None, :])")
    if any(_turned(m) for m in group.members):
        body.append("back = apart & (i_t[:, None] < i_t[None, :])")
    for m in group.members:
        body += _level(p, m)
    return [*lines, "for level in tl.range(0, LEVELS, disable_licm=True):", *(f"    {line}" for line in body)]


def _turned(m: Tile) -> bool:
    return m.kind is Kind.APPLY_T or (m.kind is Kind.SCORES and m.dims[0] == COL)


def _start(p: TilePrinter, m: Tile, strict: bool) -> str:
    if strict:
        return f"tl.zeros({p.layout.shape(m.dims)}, tl.float32)"
    x, y = (p.atom(a) for a in m.args[:2])
    same = "i_t[:, None] == i_t[None, :]"
    if m.kind is Kind.SCORES:
        return f"tl.where({same}, tl.sum({x} * {y}, 1)[:, None], 0.0)"
    return f"tl.sum(tl.where({same}, {x}, 0.0), 1)[:, None] * {y}"


def _level(p: TilePrinter, m: Tile) -> list[str]:
    """A level's contribution: late rows see early columns."""
    name = p.names[m.index]
    x, y = (p.atom(a) for a in m.args[:2])
    match m.kind:
        case Kind.SCORES if _turned(m):
            return [f"{name} = tl.where(back, _dot({y} * e, tl.trans({x} * e), DT, PRECISION), {name})"]
        case Kind.SCORES:
            return [f"{name} = tl.where(across, _dot({x} * e, tl.trans({y} * e), DT, PRECISION), {name})"]
        case Kind.APPLY:
            return [f"{name} += e * _dot(tl.where(across, {x}, 0.0), {y} * e, DT, PRECISION)"]
        case _:
            return [f"{name} += e * _dot(tl.where(back, {x}, 0.0), {y} * e, DT, PRECISION)"]
