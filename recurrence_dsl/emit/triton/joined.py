"""Sums of operations that share a walk over levels of decays: one accumulator for all that is added up.

What such operations say of a tile of rows is added to other values as a rule, also to one another. They then add to one
accumulator, which starts from what is known before the walk.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ...program.ops import Prim
from .tiles import APPLIED, Kind, Tile
from .uses import Uses


@dataclass(frozen=True, slots=True)
class Joined:
    """Operations of one walk and what they are added to before it, if anything; `total` is the sum of all."""

    members: tuple[Tile, ...]
    start: int | None
    total: int


def joined(group: tuple[Tile, ...], uses: Uses, done: Collection[int], ahead: Collection[int]) -> tuple[Joined, ...]:
    """The members of a group by the sums that they are part of; `done` are tiles with a value before the walk, `ahead`
    those whose statements follow."""
    left = {t.index: t for t in group}
    found = []
    while left:
        first = left.pop(next(iter(left)))
        members, start, total = [first], None, first.index
        while first.kind in APPLIED and (above := _sum_of(total, uses, ahead)) is not None:
            other = _other(uses.tiles[above], total)
            if (
                other in left
                and uses.users_here(other) == [above]
                and not uses.asked_for(other)
                and left[other].kind in APPLIED
            ):
                members.append(left.pop(other))
            elif start is None and other in done and uses.tiles[other].kind is not Kind.EXPAND:
                start = other
            else:
                break
            total = above
        found.append(Joined(tuple(members), start, total))
    return tuple(found)


def _sum_of(i: int, uses: Uses, ahead: Collection[int]) -> int | None:
    """The sum that a tile alone goes into, beside another one of the same dims."""
    users = uses.users_here(i)
    if len(users) != 1 or users[0] not in ahead or uses.asked_for(i) or users[0] in uses.sums:
        return None
    above = uses.tiles[users[0]]
    if above.kind is not Kind.MAP or above.attr is not Prim.ADD or above.args[0] == above.args[1]:
        return None
    alike = all(uses.tiles[a].dims == above.dims for a in above.args)
    return above.index if alike and not uses.factor(above) and not uses.fenced(above) else None


def _other(t: Tile, i: int) -> int:
    return t.args[1] if t.args[0] == i else t.args[0]


__all__ = ["Joined", "joined"]
