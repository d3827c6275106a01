"""Executes a block program in float64 and complex128: each operation by its definition, with no care for speed.

This is what the operations *mean*: the emitters are compared with it. An array has exactly its value's dims, in layout
order and at full size; `SCORES` and the like are sums of a broadcast product over everything, decays between tokens are
exponentials of sums over the rows that lie between, systems are solved as matrices, scans are loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import numpy as np

from .ops import COL, HEAD, ROW, TERM, TERM2, Mask, Op, Prim, Program, Value
from .pointwise import PRIMITIVES, Array

Dims = tuple[str, ...]
Leaves = Mapping[tuple[Op, str], Array]
"""Arrays by the leaf's op and name."""


def execute(program: Program, leaves: Leaves, sizes: Mapping[str, int]) -> dict[str, Array]:
    """The results by key. `sizes` has BATCH, HEAD, ROW (where the program has tokens) and every axis."""
    run = _Run(program, leaves, sizes)
    with np.errstate(all="ignore"):
        for v in program.values:
            run.arrays.append(run.checked(v))
    return {key: run.arrays[i] for key, i in program.outputs}


class _Run:
    def __init__(self, program: Program, leaves: Leaves, sizes: Mapping[str, int]) -> None:
        self.program, self.leaves = program, leaves
        self.sizes = {COL: sizes.get(ROW, 1), **sizes}
        self.arrays: list[Array] = []

    # --- operands ---

    def checked(self, v: Value) -> Array:
        """The value's array, of the shape and kind that the program says it has."""
        array = np.asarray(self.evaluate(v))
        self._learn(v, array)
        want = tuple(self.sizes[d] for d in v.dims)
        assert array.shape == want, f"{v.op} %{v.index} has shape {array.shape}, not {want}"
        assert v.is_complex or not np.iscomplexobj(array), f"{v.op} %{v.index} is complex"
        return array.astype(np.complex128 if v.is_complex else np.float64)

    def _learn(self, v: Value, array: Array) -> None:
        """The number of rank-one terms, which only the operands know."""
        for d in (TERM, TERM2):
            if d in v.dims:
                self.sizes[d] = array.shape[v.dims.index(d)]

    def dims(self, index: int) -> Dims:
        return self.program.values[index].dims

    def to(self, index: int, want: Dims, rows_as_columns: bool = False) -> Array:
        """The operand with a dim of size one for each of `want` that it lacks; its rows as `COL` if asked for."""
        have = tuple(COL if rows_as_columns and d == ROW else d for d in self.dims(index))
        return spread(self.arrays[index], have, want)

    # --- operations ---

    def evaluate(self, v: Value) -> Array:
        match v.op:
            case Op.INPUT | Op.PARAM | Op.STATE | Op.COTANGENT:
                return self.leaves[v.op, str(v.attr)]
            case Op.NUMBER:
                return np.asarray(v.attr)
            case Op.SIZE:
                return np.asarray(self.sizes[str(v.attr)])
            case Op.HEAD_INDEX:
                return np.arange(self.sizes[HEAD])
            case Op.HEAD_COUNT:
                return np.asarray(self.sizes[HEAD])
            case Op.MAP:
                assert isinstance(v.attr, Prim)
                return PRIMITIVES[v.attr](*(self.to(a, v.dims) for a in v.args))
            case Op.SUM | Op.AMAX | Op.PEAK | Op.EXPAND | Op.RENAME | Op.STACK | Op.SELECT:
                return self.over_dims(v)
            case (
                Op.CUMSUM | Op.CUMSUM_BEFORE | Op.CUMSUM_AFTER | Op.REVCUMSUM | Op.SHIFT | Op.UNSHIFT
                | Op.FIRST | Op.LAST | Op.PLACE_FIRST | Op.PLACE_LAST
            ):  # fmt: skip
                return self.along_rows(v)
            case Op.CONTRACT | Op.PAIR | Op.SCORES | Op.APPLY | Op.APPLY_T | Op.SOLVE | Op.SOLVE_T | Op.INVERSE:
                return self.matrices(v)
            case Op.SCAN:
                return self.scan(v)
            case Op.SCAN_T:
                return self.scan_transposed(v)
            case _:
                assert_never(v.op)

    def over_dims(self, v: Value) -> Array:
        x, dims = self.arrays[v.args[0]], self.dims(v.args[0])
        match v.op:
            case Op.SUM:
                return x.sum(positions(dims, v.attr))
            case Op.AMAX | Op.PEAK:
                return x.max(positions(dims, v.attr))
            case Op.EXPAND:
                return np.broadcast_to(spread(x, dims, v.dims), [self.sizes[d] for d in v.dims])
            case Op.RENAME:
                source, target = v.attr  # type: ignore[misc]
                renamed = [target if d == source else d for d in dims]
                return x.transpose([renamed.index(d) for d in v.dims])
            case Op.STACK:
                return np.stack([self.arrays[a] for a in v.args], v.dims.index(str(v.attr)))
            case _:
                dim, index = v.attr  # type: ignore[misc]
                return x.take(int(index), dims.index(str(dim)))

    def along_rows(self, v: Value) -> Array:
        """Rows in front, one at a time."""
        x = self.arrays[v.args[0]]
        row = (self.dims(v.args[0]) if v.op in (Op.FIRST, Op.LAST) else v.dims).index(ROW)
        count = self.sizes[ROW]
        if v.op in (Op.PLACE_FIRST, Op.PLACE_LAST):
            zero = np.zeros_like(x)
            return np.stack(
                [x if t == (0 if v.op is Op.PLACE_FIRST else count - 1) else zero for t in range(count)], row
            )
        if v.op is Op.SHIFT:
            x = np.broadcast_to(self.to(v.args[0], v.dims), [self.sizes[d] for d in v.dims])
        rows = np.moveaxis(x, row, 0)
        zero = np.zeros_like(rows[0])
        match v.op:
            case Op.FIRST:
                return rows[0]
            case Op.LAST:
                return rows[-1]
            case Op.CUMSUM:
                found = [rows[: t + 1].sum(0) for t in range(count)]
            case Op.CUMSUM_BEFORE:
                found = [rows[:t].sum(0) for t in range(count)]
            case Op.CUMSUM_AFTER:
                found = [rows[t + 1 :].sum(0) for t in range(count)]
            case Op.REVCUMSUM:
                found = [rows[t:].sum(0) for t in range(count)]
            case Op.UNSHIFT:
                found = [*rows[1:], zero]
            case _:
                first = self.to(v.args[1], tuple(d for d in v.dims if d != ROW))
                found = [np.broadcast_to(first, zero.shape), *rows[:-1]]
        return np.stack(found, row)

    def matrices(self, v: Value) -> Array:
        match v.op:
            case Op.CONTRACT:
                x, y = v.args
                return self.summed(v.attr, (self.dims(x), self.arrays[x]), (self.dims(y), self.arrays[y]), out=v.dims)
            case Op.PAIR:
                return self.pair(v)
            case Op.SCORES:
                x, y, pair = v.args
                return self.summed(v.attr, self.rows(x), self.columns(y), self.rows(pair), out=v.dims)
            case Op.APPLY:
                a, y, pair = v.args
                return self.summed((COL,), self.rows(a), self.columns(y), self.rows(pair), out=v.dims)
            case Op.APPLY_T:
                a, x, pair = v.args
                columns = tuple(COL if d == ROW else d for d in v.dims)
                return self.summed((ROW,), self.rows(a), self.rows(x), self.rows(pair), out=columns)
            case Op.INVERSE:
                return self.inverse(v)
            case _:
                return self.solved(v)

    def rows(self, index: int) -> tuple[Dims, Array]:
        return self.dims(index), self.arrays[index]

    def columns(self, index: int) -> tuple[Dims, Array]:
        return tuple(COL if d == ROW else d for d in self.dims(index)), self.arrays[index]

    def summed(self, over: object, *factors: tuple[Dims, Array], out: Dims) -> Array:
        """The broadcast product of all factors, summed over `over`."""
        assert isinstance(over, tuple)
        everything = (*out, *over)
        product = np.ones([self.sizes[d] for d in everything])
        for dims, array in factors:
            order = tuple(d for d in everything if d in dims)
            product = product * spread(array.transpose([dims.index(d) for d in order]), order, everything)
        return product.sum(positions(everything, over)) if over else product

    def pair(self, v: Value) -> Array:
        """exp of the sum over the rows between s and t, one pair after the other."""
        count, before = self.sizes[ROW], v.attr is Mask.BEFORE
        out = np.zeros([self.sizes[d] for d in v.dims])
        row, col = v.dims.index(ROW), v.dims.index(COL)
        pairs = np.moveaxis(out, (row, col), (0, 1))
        for t in range(count):
            for s in range(t if before else t + 1):
                pairs[t, s] = np.exp(self._between(v, s + 1, t if before else t + 1))
        return out

    def _between(self, v: Value, start: int, stop: int) -> Array | float:
        if not v.args:
            return 0.0
        g = np.moveaxis(self.arrays[v.args[0]], self.dims(v.args[0]).index(ROW), 0)
        return g[start:stop].sum(0)

    def solved(self, v: Value) -> Array:
        """(I - A)^-1 x or (I - A)^-T x, with the rows (and terms) of both as one dim and the other dims apart."""
        a, x = v.args
        at = tuple(d for d in (ROW, TERM) if d in v.dims)
        to = tuple({ROW: COL, TERM: TERM2}[d] for d in at)
        batch = tuple(d for d in self.dims(a) if d not in (*at, *to))
        rest = tuple(d for d in v.dims if d not in (*at, *batch))
        matrix = self.arranged(a, (batch, at, to))
        matrix = np.eye(matrix.shape[-1]) - matrix
        solved = np.linalg.solve(
            matrix.swapaxes(-1, -2) if v.op is Op.SOLVE_T else matrix, self.arranged(x, (batch, at, rest))
        )
        order = (*batch, *at, *rest)
        return solved.reshape([self.sizes[d] for d in order]).transpose([order.index(d) for d in v.dims])

    def inverse(self, v: Value) -> Array:
        """(I - A)^-1 with its rows (and terms) as one dim and its columns as another."""
        at = tuple(d for d in (ROW, TERM) if d in v.dims)
        to = tuple({ROW: COL, TERM: TERM2}[d] for d in at)
        batch = tuple(d for d in v.dims if d not in (*at, *to))
        matrix = self.arranged(v.args[0], (batch, at, to))
        order = (*batch, *at, *to)
        found = np.linalg.inv(np.eye(matrix.shape[-1]) - matrix).reshape([self.sizes[d] for d in order])
        return found.transpose([order.index(d) for d in v.dims])

    def arranged(self, index: int, groups: tuple[Dims, ...]) -> Array:
        """The operand transposed to the groups' order, each group one dim."""
        order = tuple(d for group in groups for d in group)
        array = self.arrays[index].transpose([self.dims(index).index(d) for d in order])
        return array.reshape([int(np.prod([self.sizes[d] for d in group])) for group in groups])

    def scan(self, v: Value) -> Array:
        a, w = (self.first_rows(i, v.dims) for i in v.args[:2])
        s, rows = self.arrays[v.args[2]], []
        for a_t, w_t in zip(a, w, strict=True):
            s = a_t * s + w_t
            rows.append(s)
        return np.stack(rows, v.dims.index(ROW))

    def scan_transposed(self, v: Value) -> Array:
        a, x = (self.first_rows(i, v.dims) for i in v.args)
        y, rows = np.zeros_like(x[0]), []
        for t in reversed(range(len(x))):
            y = x[t] + (np.conj(a[t + 1]) * y if t + 1 < len(x) else 0)
            rows.append(y)
        return np.stack(rows[::-1], v.dims.index(ROW))

    def first_rows(self, index: int, want: Dims) -> Array:
        """The operand at full size with its rows in front."""
        array = np.broadcast_to(self.to(index, want), [self.sizes[d] for d in want])
        return np.moveaxis(array, want.index(ROW), 0)


def spread(array: Array, have: Dims, want: Dims) -> Array:
    """`array` with dims `have`, which are among `want` and in its order, with size one for each missing dim."""
    return array.reshape([array.shape[have.index(d)] if d in have else 1 for d in want])


def positions(dims: Dims, over: object) -> tuple[int, ...]:
    """Where the dims `over` are."""
    assert isinstance(over, tuple)
    return tuple(dims.index(d) for d in over)
