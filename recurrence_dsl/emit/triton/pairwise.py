"""Prints operations with a decay of its own for each channel and pair of tokens.

Such decays are never formed. Blocks of 2, 4, 8, .. rows are split in an early and a late half; for a pair across the
halves the decay is what happens from the middle to t, times what happens from s to the middle, so every level is a
product of matrices. All exponents are sums of exactly the log-decays meant, so none is positive and none loses digits
to a difference of large sums. Operations that share their decays share the walk over the levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...program.ops import COL, Mask
from .joined import Joined
from .rounds import loop_lines
from .tiles import Kind, Tile

if TYPE_CHECKING:
    from .printer import TilePrinter


@dataclass(frozen=True, slots=True)
class Group:
    """Operations by the sums that they are part of; each sum has a variable."""

    printer: TilePrinter
    sums: tuple[Joined, ...]

    @property
    def members(self) -> tuple[Tile, ...]:
        return tuple(m for s in self.sums for m in s.members)

    def name(self, s: Joined) -> str:
        return self.printer.names[s.total]


def group_lines(group: Group) -> list[str]:
    """The statements: starting values (what a token contributes to itself), then a loop over the levels.

    Two rows lie in the two halves of one block where the highest bit in which they differ is that of the level.
    """
    p, first = group.printer, group.members[0]
    tag, strict = group.name(group.sums[0]), first.attr is Mask.BEFORE
    shape = p.layout.shape(p.tiles[first.args[2]].dims)
    up, down = f"up_{tag}", f"down_{tag}"
    lines = [f"{up}, {down} = _first_level({p.text(first.args[2])}, {strict}, EXACT)"]
    lines += [line for s in group.sums for line in _start(p, s, group.name(s), strict)]
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
    body += [_level(p, s, group.name(s)) for s in group.sums]
    return [*lines, *loop_lines("level", "0, LEVELS", body)]


def _turned(m: Tile) -> bool:
    return m.kind is Kind.APPLY_T or (m.kind is Kind.SCORES and m.dims[0] == COL)


def _start(p: TilePrinter, s: Joined, name: str, strict: bool) -> list[str]:
    """What is known before the levels: what the operations are added to, and what tokens contribute to themselves;
    nothing to add to a sum over blocks if that is zero."""
    summed = s.total in p.sums
    parts = [] if s.start is None else [p.text(s.start)]
    parts += [] if strict else [_own(p, m) for m in s.members]
    if not parts and summed:
        return []
    text = " + ".join(parts) or f"tl.zeros({p.layout.shape(s.members[0].dims)}, tl.float32)"
    return [f"{name} {'+=' if summed else '='} {text}"]


def _own(p: TilePrinter, m: Tile) -> str:
    """What a token contributes to itself."""
    x, y = (p.atom(a) for a in m.args[:2])
    if m.kind is Kind.SCORES:
        return f"tl.where(i_t[:, None] == i_t[None, :], tl.sum({x} * {y}, 1)[:, None], 0.0)"
    return f"{p.atom(m.args[3])}[:, None] * {y}"


def _level(p: TilePrinter, s: Joined, name: str) -> str:
    """A level's contribution: late rows see early columns."""
    first = s.members[0]
    if first.kind is Kind.SCORES:
        return _scores(p, first, name)
    found = ""
    for m in s.members:
        start = found and f", {found}"
        x, y, there = p.taken(m.args[0]), p.atom(m.args[1]), "back" if _turned(m) else "across"
        found = f"_dot(tl.where({there}, {x}, 0.0), {y} * e, DT, PRECISION, {p.number()}{start})"
    return f"{name} += e * {found}"


def _scores(p: TilePrinter, m: Tile, name: str) -> str:
    left, right = (p.atom(a) for a in (m.args[:2] if not _turned(m) else m.args[1::-1]))
    there = "back" if _turned(m) else "across"
    found = f"_dot({left} * e, tl.trans({right} * e), DT, PRECISION, {p.number()})"
    if m.index in p.sums:
        return f"{name} += tl.where({there}, {found}, 0.0)"
    return f"{name} = tl.where({there}, {found}, {name})"
