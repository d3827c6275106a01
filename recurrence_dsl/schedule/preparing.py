"""What a kernel for all chunks computes before the state is known, and stores for those that carry it and finish.

It pays where values of pairs of tokens are dear: the inverse of the system that rank-one terms solve, and scores with a
decay of its own for each channel. What is stored is found by what depends on the state and on cotangents; then every
kernel that would have computed it reads it instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..program.builder import Builder
from ..program.ops import (
    COL,
    LEADING,
    ROW,
    STORED_INVERSE,
    STORED_SCORES,
    TERM,
    TERM2,
    Op,
    Program,
    Value,
    is_exact,
    is_stored,
    only,
    term_counts,
)

_LATE = frozenset((Op.STATE, Op.COTANGENT))


@dataclass(frozen=True, slots=True)
class Prepared:
    """`prepare` computes what the other two, cut out of the forward program and the adjoint, read."""

    prepare: Program
    body: Program
    backward: Program


@dataclass(frozen=True, slots=True)
class Stored:
    """A value that kernels hand on in memory: for pairs of tokens or for each token and the given axes; how many such
    tiles it has, one for each choice of rank-one terms; and whether it is kept in full precision."""

    pairs: bool
    axes: tuple[str, ...]
    tiles: int
    exact: bool


def prepared(body: Program, backward: Program) -> Prepared | None:
    """The three parts; None where nothing is worth storing, or where complex numbers would have to be."""
    onwards, back = inverted(body), inverted(backward)
    names = _names(onwards)
    if not names or any(onwards.values[i].is_complex for i in names):
        return None
    known: dict[object, int] = {}
    named = {n: names[i] for i, n in enumerate(numbered(onwards, known)) if i in names}
    named_back = {i: named[n] for i, n in enumerate(numbered(back, known)) if n in named}
    parts = cut(onwards, names), cut(back, named_back)
    read = {str(v.attr) for p in parts for v in p.values if is_stored(v)}
    kept = tuple((f"keep:{name}", i) for i, name in names.items() if name in read)
    return Prepared(only(replace(onwards, outputs=kept), lambda key: True), *parts)


def inverted(program: Program) -> Program:
    """Systems solved by products with the inverse of their matrix, which is formed once for all of them."""
    b = Builder(program.axes)
    at: list[int] = []
    for v in program.values:
        args = tuple(at[a] for a in v.args)
        if v.op is Op.SOLVE:
            x = b.rename(b.rename(args[1], ROW, COL), TERM, TERM2)
            at.append(b.named(b.contract(_inverse(b, args[0]), x, (COL, TERM2)), v.hint))
        elif v.op is Op.SOLVE_T:
            found = b.contract(_inverse(b, args[0]), args[1], (ROW, TERM))
            at.append(b.named(b.rename(b.rename(found, COL, ROW), TERM2, TERM), v.hint))
        else:
            at.append(b.emit(v.op, args, v.attr, v.dims, is_complex=v.is_complex, hint=v.hint))
    return b.program(program.name, [(k, at[i]) for k, i in program.outputs])


def _inverse(b: Builder, a: int) -> int:
    return b.emit(Op.INVERSE, (a,), None, b.dims(a), hint="inverse")


def _names(program: Program) -> dict[int, str]:
    """What is stored, by index: dear values that depend on no state."""
    late: set[int] = set()
    found: dict[int, str] = {}
    for v in program.values:
        if v.op in _LATE or any(a in late for a in v.args):
            late.add(v.index)
        elif v.op is Op.INVERSE:
            found[v.index] = f"{STORED_INVERSE}{len(found)}"
        elif v.op is Op.SCORES and _by_channel(program.values[v.args[2]]):
            found[v.index] = f"{STORED_SCORES}{len(found)}"
    return found


def _by_channel(pair: Value) -> bool:
    return any(d not in LEADING for d in pair.dims)


def numbered(program: Program, known: dict[object, int]) -> list[int]:
    """For each value a number that equal computations share, in whatever program; `known` remembers them."""
    found: list[int] = []
    for v in program.values:
        key = (v.op, tuple(found[a] for a in v.args), type(v.attr), v.attr, v.dims)
        found.append(known.setdefault(key, len(known)))
    return found


def cut(program: Program, names: Mapping[int, str]) -> Program:
    """The program with stored values as leaves."""
    counts = term_counts(program)
    values = tuple(
        Value(v.index, Op.INPUT, (), names[v.index], v.dims, v.is_complex, v.hint) if v.index in names else v
        for v in program.values
    )
    terms = (*program.terms, *((name, counts[i]) for i, name in names.items() if i in counts))
    return only(replace(program, values=values, terms=terms), lambda key: True)


def stores(program: Program) -> tuple[str, ...]:
    """The names, without their @, of what a kernel stores for others."""
    return tuple(key.removeprefix("keep:@") for key, _ in program.outputs if key.startswith("keep:"))


def stored_values(program: Program) -> dict[str, Stored]:
    """What a kernel stores for others, or reads of it, by name without its @."""
    counts = term_counts(program)
    found = {str(v.attr): v for v in program.values if is_stored(v)}
    found |= {key.removeprefix("keep:"): program.values[i] for key, i in program.outputs if key.startswith("keep:")}
    tiles = lambda v: counts.get(v.index, 1) ** sum(d in v.dims for d in (TERM, TERM2))  # noqa: E731
    axes = lambda v: tuple(d for d in v.dims if d not in LEADING)  # noqa: E731
    return {name[1:]: Stored(COL in v.dims, axes(v), tiles(v), is_exact(name)) for name, v in found.items()}
