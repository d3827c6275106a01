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
    lines += [line for m in group.members for line in _start(p, m, strict)]
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
    body += [_level(p, m) for m in group.members]
    return [*lines, "for level in tl.range(0, LEVELS, disable_licm=True):", *(f"    {line}" for line in body)]


def _turned(m: Tile) -> bool:
    return m.kind is Kind.APPLY_T or (m.kind is Kind.SCORES and m.dims[0] == COL)


def _start(p: TilePrinter, m: Tile, strict: bool) -> list[str]:
    """What a token contributes to itself; nothing to add to a sum if that is zero."""
    summed = m.index in p.sums
    if strict and summed:
        return []
    x, y = (p.atom(a) for a in m.args[:2])
    if strict:
        text = f"tl.zeros({p.layout.shape(m.dims)}, tl.float32)"
    elif m.kind is Kind.SCORES:
        text = f"tl.where(i_t[:, None] == i_t[None, :], tl.sum({x} * {y}, 1)[:, None], 0.0)"
    else:
        text = f"{p.atom(m.args[3])}[:, None] * {y}"
    return [f"{p.names[m.index]} {'+=' if summed else '='} {text}"]


def _level(p: TilePrinter, m: Tile) -> str:
    """A level's contribution: late rows see early columns."""
    name = p.names[m.index]
    x, y = p.taken(m.args[0]) if m.kind is not Kind.SCORES else p.atom(m.args[0]), p.atom(m.args[1])
    there = "back" if _turned(m) else "across"
    if m.kind is not Kind.SCORES:
        return f"{name} += e * _dot(tl.where({there}, {x}, 0.0), {y} * e, DT, PRECISION, {p.number()})"
    left, right = (y, x) if _turned(m) else (x, y)
    found = f"_dot({left} * e, tl.trans({right} * e), DT, PRECISION, {p.number()})"
    if m.index in p.sums:
        return f"{name} += tl.where({there}, {found}, 0.0)"
    return f"{name} = tl.where({there}, {found}, {name})"
