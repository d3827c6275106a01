"""Decays per channel in the torch back end: which factors of them a program needs, and what is read off them.

The pair of a log-decay g is printed as `D = _ladder(g, ..)`. An operand of products with it is multiplied with its
factors once, `_late(x, D)` or `_early(y, D)`, however many products take it; and where the sums of g up to, after, or
over all of the rows are exponentiated, the ladder has these decays already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from ..program.ops import LEADING, ROW, Mask, Op, Prim, Program, Value

CUT = -200.0
"""A ladder takes no log-decay below this for what it is, in any precision (`_LEAST` in its template)."""
_SIDE_OF = {"upto": "late", "after": "early"}
_SIDES = {Op.SCORES: ((0, "late"), (1, "early")), Op.APPLY: ((1, "early"),), Op.APPLY_T: ((1, "late"),)}
"""Which operands of a product take factors, and which factors."""


def by_channel(v: Value) -> bool:
    """Has a pair, made here or received, a log-decay for each channel?"""
    return any(d not in LEADING for d in v.dims)


def sides(v: Value) -> tuple[tuple[int, str], ...]:
    """The operands of a product that take factors of its pair."""
    return tuple((v.args[at], which) for at, which in _SIDES[v.op])


def read_off(program: Program, static: Collection[int]) -> dict[int, tuple[int, str]]:
    """Decays that a ladder has: value -> (its pair, how they are called there)."""
    pairs = [v for v in program.values if v.op is Op.PAIR and len(_axes(v)) == 1]
    found = {}
    for v in program.values:
        if v.op is Op.MAP and v.attr is Prim.DECAY:
            total = program.values[v.args[0]]
            for p in pairs:
                which = _which(total, p)
                if which and (p.index in static) == (v.index in static):
                    found[v.index] = p.index, which
    return found


def _which(total: Value, pair: Value) -> str:
    if total.args != pair.args:
        return ""
    if total.op is Op.SUM:
        return "total" if total.attr == (ROW,) else ""
    upto = Op.CUMSUM_BEFORE if pair.attr is Mask.BEFORE else Op.CUMSUM
    return {upto: "upto", Op.CUMSUM_AFTER: "after"}.get(total.op, "")


def _axes(v: Value) -> list[str]:
    return [d for d in v.dims if d not in LEADING]


Carried = tuple[int, str, int, str]
"""An operand, which factors it takes, of which pair, and how a decay of the same side is called there."""


def carried(program: Program, found: Mapping[int, tuple[int, str]], uses: Mapping[int, int]) -> dict[int, Carried]:
    """Products of an operand that takes factors anyway and a decay of the same side that nothing else uses."""
    taken = {(v.args[at], which, v.args[-1]) for v in program.values for at, which in _SIDES.get(v.op, ())}
    result = {}
    for v in program.values:
        if v.op is Op.MAP and v.attr is Prim.MUL:
            for x, decay in (v.args, v.args[::-1]):
                pair, how = found.get(decay, (-1, ""))
                which = _SIDE_OF.get(how, "")
                if (x, which, pair) in taken and uses[decay] == 1 and program.values[x].dims == v.dims:
                    result[v.index] = x, which, pair, how
    return result


def unfloored(program: Program, found: Mapping[int, tuple[int, str]]) -> dict[int, int]:
    """Log-decays with a floor below what a ladder takes, which nothing but it sees: value -> what has no floor."""
    result = {}
    ladders = [v for v in program.values if v.op is Op.PAIR and by_channel(v)]
    of_one = {a for a, count in Counter(a for p in ladders for a in p.args).items() if count == 1}
    for i in of_one - _seen(program, found, {v.index for v in ladders}):
        v = program.values[i]
        if v.op is Op.MAP and v.attr is Prim.MAX:
            x, floor = (program.values[a] for a in v.args)
            if floor.op is Op.NUMBER and float(floor.attr) <= CUT and x.dims == v.dims:  # type: ignore[arg-type]
                result[v.index] = x.index
    return result


def _seen(program: Program, found: Mapping[int, tuple[int, str]], ladders: set[int]) -> set[int]:
    """What is used by more than ladders."""
    gone = _sums(program, found) | ladders
    return {i for _, i in program.outputs} | {a for v in program.values if v.index not in gone for a in v.args}


def _sums(program: Program, found: Mapping[int, tuple[int, str]]) -> set[int]:
    """The sums that only `found` uses."""
    wanted = {i for _, i in program.outputs}
    wanted |= {a for v in program.values if v.index not in found for a in v.args}
    return {program.values[i].args[0] for i in found} - wanted


def printing_order(program: Program, found: Mapping[int, tuple[int, str]]) -> list[Value]:
    """The values without what is not needed any more: sums that only `found` used, floors that ladders do without. Each
    pair stands before what is read off it."""
    gone = _sums(program, found) | unfloored(program, found).keys()
    order: list[Value] = []
    placed: set[int] = set()
    for v in program.values:
        first = (found[v.index][0],) if v.index in found else ()
        for i in (*first, v.index):
            if i not in placed | gone:
                placed.add(i)
                order.append(program.values[i])
    return order
