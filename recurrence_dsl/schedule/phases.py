"""Splits a program by what depends on the carried state: prepare, carry, finish.

Only `carry` must run chunk after chunk. The other two take several chunks at once, as more entries of the batch, which
costs far fewer and larger operations. A value that crosses is a result `keep:NAME` of one phase and a leaf NAME of a
later one; a name starts with @, which no input can.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from ..program.factor import early_first
from ..program.ops import BATCH, LEADING, LEAVES, Op, Prim, Program, Value, term_counts

_FREE = frozenset((Op.PARAM, Op.NUMBER, Op.SIZE, Op.HEAD_INDEX, Op.HEAD_COUNT))
_COSTLY = frozenset((Op.CONTRACT, Op.SCORES, Op.APPLY, Op.APPLY_T, Op.SOLVE, Op.SOLVE_T))
"""What the carry phase computes of these is kept for the finish phase; the rest is computed again."""


@dataclass(frozen=True, slots=True)
class Phases:
    """`to_carry` and `to_finish` are what the prepare phase keeps for each, `carried` what the carry phase keeps."""

    prepare: Program
    carry: Program
    finish: Program
    to_carry: tuple[str, ...]
    to_finish: tuple[str, ...]
    carried: tuple[str, ...]


def phases(program: Program, sequential: Callable[[Value], bool]) -> Phases:
    """The phases of a program whose `sequential` leaves come from the chunk before (or, backwards, after)."""
    program = early_first(program, _late(program, sequential))
    late, free = _late(program, sequential), _free(program)
    early = frozenset(v.index for v in program.values if v.index not in late | free and v.op not in LEAVES)
    early -= _light(program, early, free)
    pairs = frozenset(v.index for v in program.values if v.op is Op.PAIR and _by_channel(v))
    states = [(k, i) for k, i in program.outputs if k.startswith("state:")]
    others = [(k, i) for k, i in program.outputs if not k.startswith("state:")]
    inside = _needed(program, [i for _, i in states], early - pairs)
    costly = frozenset(i for i in inside & late if program.values[i].op in _COSTLY)
    rest = _needed(program, [i for _, i in others], early | costly)
    to_carry, to_finish, carried = inside & early - pairs, rest & early, rest & costly
    return Phases(
        _part(program, [(f"keep:{_name(i)}", i) for i in sorted(to_carry | to_finish)], ()),
        _part(program, [*states, *((f"keep:{_name(i)}", i) for i in sorted(carried))], to_carry),
        _part(program, others, to_finish | carried),
        _names(to_carry),
        _names(to_finish),
        _names(carried),
    )


def _name(index: int) -> str:
    return f"@{index}"


def _names(indices: Collection[int]) -> tuple[str, ...]:
    return tuple(_name(i) for i in sorted(indices))


def _late(program: Program, sequential: Callable[[Value], bool]) -> frozenset[int]:
    found: set[int] = set()
    for v in program.values:
        if sequential(v) or any(a in found for a in v.args):
            found.add(v.index)
    return frozenset(found)


def _free(program: Program) -> frozenset[int]:
    """What depends on params alone: every phase has it."""
    found: set[int] = set()
    for v in program.values:
        root = v.op in _FREE or (v.op is Op.PAIR and not v.args)
        if BATCH not in v.dims and (root or (v.args and all(a in found for a in v.args))):
            found.add(v.index)
    return frozenset(found)


def _light(program: Program, early: frozenset[int], free: frozenset[int]) -> frozenset[int]:
    """Products of a token's own inputs and params that only later phases use: formed there, as part of a sum."""
    users: dict[int, list[int]] = {}
    for v in program.values:
        for a in v.args:
            users.setdefault(a, []).append(v.index)
    results = {i for _, i in program.outputs}
    plain = {i for i in early if program.values[i].op is Op.MAP and program.values[i].attr is Prim.MUL} - results
    own = {v.index for v in program.values if v.op is Op.INPUT} | free
    own |= {v.index for v in program.values if v.op is Op.COTANGENT and str(v.attr).startswith("output:")}
    return frozenset(
        i for i in plain if set(program.values[i].args) <= own and not any(u in early for u in users.get(i, ()))
    )


def _by_channel(v: Value) -> bool:
    """A pair of log-decays per channel is no tensor that could be cut by chunks."""
    return any(d not in LEADING for d in v.dims)


def _needed(program: Program, roots: list[int], cut: Collection[int]) -> frozenset[int]:
    """The roots and all that they need, not looking behind the cut."""
    found: set[int] = set()
    stack = list(roots)
    while stack:
        i = stack.pop()
        if i not in found:
            found.add(i)
            stack.extend(() if i in cut else program.values[i].args)
    return frozenset(found)


def _part(program: Program, outputs: list[tuple[str, int]], cut: Collection[int]) -> Program:
    """The part of a program that some results need, with the values of the cut as leaves."""
    needed = sorted(_needed(program, [i for _, i in outputs], cut))
    new = {old: k for k, old in enumerate(needed)}
    values = tuple(_moved(program.values[i], new, i in cut) for i in needed)
    counts = term_counts(program)
    terms = tuple((_name(i), counts[i]) for i in needed if i in cut and i in counts)
    return replace(program, values=values, outputs=tuple((k, new[i]) for k, i in outputs), terms=terms)


def _moved(v: Value, new: dict[int, int], is_leaf: bool) -> Value:
    if is_leaf:
        hint = v.hint or "x"
        return Value(new[v.index], Op.INPUT, (), _name(v.index), v.dims, v.is_complex, hint=hint)
    return replace(v, index=new[v.index], args=tuple(new[a] for a in v.args))
