"""Block program -> tiles: the batch and head dims go, several numbers in one value become several tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import assert_never

from ...program.ops import (
    BATCH,
    COL,
    HEAD,
    LEADING,
    ROW,
    TERM,
    TERM2,
    Mask,
    Op,
    Prim,
    Program,
    Value,
    is_cotangent,
    is_inverse,
    is_stored,
    term_counts,
)
from .builder import TileBuilder
from .components import Parts, bilinear, complex_map, linear, whole_number, whole_power
from .flat_states import with_flat_states
from .rounding import with_rounding
from .tiles import Dims, Kind, Source, Tiles, natural

Key = tuple[tuple[str, int], ...]
"""Which rank-one term a tile belongs to: an index for each of TERM and TERM2 that the value has."""
Group = dict[Key, Parts]
_TERMS = (TERM, TERM2)
_OUTSIDE = (BATCH, HEAD, *_TERMS)
_SUMS = {Op.CUMSUM: Kind.UPTO, Op.CUMSUM_BEFORE: Kind.EARLIER, Op.CUMSUM_AFTER: Kind.LATER, Op.REVCUMSUM: Kind.FROM}


@dataclass(frozen=True, slots=True)
class Setting:
    """What the lowering must know of a kernel: dims whose tiles may reach beyond their end, and whether states and
    their cotangents stay in registers from chunk to chunk."""

    padded: frozenset[str]
    carried: frozenset[str] = frozenset()


def lower(program: Program, setting: Setting) -> Tiles:
    """The tiles of a program; results are named by their keys, `param:` and `state:` of an adjoint as gradients."""
    return with_rounding(with_flat_states(_Lowering(program, setting).run()))


class _Lowering:
    def __init__(self, program: Program, setting: Setting) -> None:
        self.program, self.setting = program, setting
        self.b = TileBuilder(program.axes, setting.padded)
        self.of: list[Group] = []
        self.counts = term_counts(program)
        self.adjoint = any(is_cotangent(v) for v in program.values)

    def run(self) -> Tiles:
        for v in self.program.values:
            group = self.value(v)
            for parts in group.values():
                for part, end in zip(parts, _endings(v, len(parts)), strict=True):
                    self.b.named(part, f"{v.hint}{end}" if v.hint else "")
            self.of.append(group)
        results = []
        for key, i in self.program.outputs:
            v = self.program.values[i]
            for part, tile in enumerate(x for k in self.keys(i, v.dims) for x in self.part(i, k)):
                whole = self.b.expand(tile, self.inner(v.dims))
                results.append((self._target(key, part), self.ended(key, whole)))
        return self.b.finish(results)

    def ended(self, key: str, x: int) -> int:
        """A result, fit beyond the ends for those that read it: a state is zero there, what is stored is finite."""
        if key.startswith("state:"):
            return self.emptied(x)
        return self.b.bounded(x) if key.startswith("keep:") else x

    def emptied(self, x: int) -> int:
        """Zero beyond the ends of the axes, as the next chunk takes a state to be."""
        for d in self.b.dims(x):
            x = self.b.masked(x, d)
        return x

    def _target(self, key: str, part: int) -> Source:
        kind, name = key.split(":")
        if kind == "keep":
            return Source("stored", name[1:], part)
        return Source(f"d{kind}" if self.adjoint else kind, name, part)

    # --- access ---

    def inner(self, dims: Sequence[str]) -> Dims:
        return tuple(d for d in dims if d not in _OUTSIDE)

    def keys(self, index: int, dims: Sequence[str]) -> Iterator[Key]:
        """Every choice of one of a value's rank-one terms for the term dims among `dims`."""
        own = [t for t in _TERMS if t in dims]
        for indices in product(range(self.counts.get(index, 1)), repeat=len(own)):
            yield tuple(zip(own, indices, strict=True))

    def part(self, index: int, key: Key = ()) -> Parts:
        """The tiles of a value for a choice of terms; choices for dims that it lacks are ignored."""
        dims = self.program.values[index].dims
        return self.of[index][tuple((d, i) for d, i in key if d in dims)]

    def each(self, v: Value, make: Callable[[Key], Parts]) -> Group:
        return {key: make(key) for key in self.keys(v.index, v.dims)}

    def unary(self, v: Value, make: Callable[[int], int]) -> Group:
        """A linear operation on each part of the only operand."""
        return self.each(v, lambda key: tuple(make(x) for x in self.part(v.args[0], key)))

    # --- values ---

    def value(self, v: Value) -> Group:
        match v.op:
            case Op.INPUT if is_stored(v):
                return self.stored(v)
            case Op.INPUT | Op.PARAM | Op.STATE | Op.COTANGENT:
                return {(): self.leaf(v)}
            case Op.NUMBER:
                x = complex(v.attr)  # type: ignore[arg-type]
                return {(): tuple(self.b.number(p) for p in ((x.real, x.imag) if v.is_complex else (x.real,)))}
            case Op.HEAD_INDEX:
                return {(): (self.b.head(),)}
            case Op.SIZE | Op.HEAD_COUNT:
                raise AssertionError("kernels are made for known sizes")
            case Op.MAP:
                return self.each(v, lambda key: self.map(v, key))
            case Op.SUM:
                return self.sum(v)
            case Op.AMAX | Op.PEAK:
                return self.unary(v, lambda x: self.b.max(x, v.attr))  # type: ignore[arg-type]
            case Op.EXPAND:
                return self.unary(v, lambda x: self.b.expand(x, self.inner(v.dims)))
            case Op.RENAME:
                return self.rename(v)
            case Op.STACK:
                return self.each(v, lambda key: self.part(v.args[dict(key)[str(v.attr)]], key))
            case Op.SELECT:
                return self.each(v, lambda key: self.part(v.args[0], tuple(sorted((*key, v.attr)))))  # type: ignore[misc]
            case Op.CUMSUM | Op.CUMSUM_BEFORE | Op.CUMSUM_AFTER | Op.REVCUMSUM:
                return self.unary(v, lambda x: self.b.summed(_SUMS[v.op], x))
            case Op.SHIFT:
                return self.each(v, lambda key: self.shift(v, key))
            case Op.UNSHIFT:
                return self.unary(v, self.b.after)
            case Op.FIRST | Op.LAST:
                return self.unary(v, lambda x: self.b.end(Kind(v.op.value), x))
            case Op.PLACE_FIRST | Op.PLACE_LAST:
                return self.unary(v, lambda x: self.b.place(Kind(v.op.value), x))
            case Op.CONTRACT:
                return self.contract(v)
            case Op.PAIR:
                return self.each(v, lambda key: self.pair(v, key))
            case Op.SCORES:
                return self.each(v, lambda key: self.scores(v, key))
            case Op.APPLY:
                return self.each(v, lambda key: self.apply(v, key, Kind.APPLY))
            case Op.APPLY_T:
                return self.each(v, lambda key: self.apply(v, key, Kind.APPLY_T))
            case Op.SOLVE | Op.SOLVE_T:
                return self.solve(v)
            case Op.INVERSE:
                return self.inverse(v)
            case Op.SCAN | Op.SCAN_T:
                return self.each(v, lambda key: self.scan(v, key))
            case _:
                assert_never(v.op)

    def stored(self, v: Value) -> Group:
        """What an earlier kernel stored, a tile for each choice of terms: for pairs of tokens, or for tokens."""
        name, keys = str(v.attr)[1:], list(self.keys(v.index, v.dims))
        dims = self.inner(v.dims)
        load = self.b.stored if COL in dims else lambda source: self.b.leaf(source, dims)
        return {key: (load(Source("stored", name, part)),) for part, key in enumerate(keys)}

    def leaf(self, v: Value) -> Parts:
        name = str(v.attr)
        carried = name in self.setting.carried if v.op is Op.COTANGENT or v.op is Op.STATE else False
        return tuple(
            self.b.leaf(Source(v.op.value, name, part), self.inner(v.dims), carried)
            for part in range(2 if v.is_complex else 1)
        )

    def map(self, v: Value, key: Key) -> Parts:
        prim, values = v.attr, [self.program.values[a] for a in v.args]
        assert isinstance(prim, Prim)
        args = tuple(self.part(a, key) for a in v.args)
        if any(x.is_complex for x in values):
            return complex_map(self.b, prim, args)
        exponent = whole_number(self.b, args[1]) if prim is Prim.POW else None
        if exponent is not None:
            return whole_power(self.b, args[0], exponent)
        return (self.b.map(prim, *(a[0] for a in args)),)

    def sum(self, v: Value) -> Group:
        terms = [d for d in v.attr if d in _TERMS]  # type: ignore[union-attr]
        inner = self.inner(v.attr)  # type: ignore[arg-type]

        def total(key: Key) -> Parts:
            parts = [self.part(v.args[0], tuple(sorted((*key, *more)))) for more in self.keys(v.args[0], terms)]
            added = tuple(self._added(column) for column in zip(*parts, strict=True))
            return tuple(self.b.sum(x, inner) for x in added)

        return self.each(v, total)

    def _added(self, tiles: Sequence[int]) -> int:
        total = tiles[0]
        for x in tiles[1:]:
            total = self.b.add(total, x)
        return total

    def rename(self, v: Value) -> Group:
        source, target = v.attr  # type: ignore[misc]
        if source not in _TERMS:
            return self.unary(v, lambda x: self.b.rename(x, str(source), str(target)))
        back = lambda key: tuple((source if d == target else d, i) for d, i in key)  # noqa: E731
        return self.each(v, lambda key: self.part(v.args[0], tuple(sorted(back(key)))))

    # --- along time ---

    def shift(self, v: Value, key: Key) -> Parts:
        x, first = (self.part(a, key) for a in v.args)
        return tuple(self.b.before(p, f) for p, f in zip(x, first, strict=True))

    def scan(self, v: Value, key: Key) -> Parts:
        a, w = (self.part(i, key) for i in v.args[:2])
        dims = self.inner(v.dims)
        a, w = (tuple(self.b.expand(x, dims) for x in group) for group in (a, w))
        reverse = v.op is Op.SCAN_T
        if reverse:
            a = self.unshifted(a)
        else:
            w = self.started(a, w, self.part(v.args[2], key))
            a = tuple(self.b.masked(x, ROW, fill) for x, fill in zip(a, (1.0, 0.0), strict=False))
        return self.b.scan(a, w, reverse)

    def unshifted(self, a: Parts) -> Parts:
        later = tuple(x if self.constant_in_time(x) else self.b.after(x) for x in a)
        return later if len(a) == 1 else (later[0], self.b.map(Prim.NEG, later[1]))

    def constant_in_time(self, x: int) -> bool:
        t = self.b.tiles[x]
        return t.kind is Kind.EXPAND and ROW not in self.b.dims(t.args[0])

    def started(self, a: Parts, w: Parts, s0: Parts) -> Parts:
        """w with what comes in added to its first row: a_0 s0."""
        coming = bilinear(self.b, self.b.mul, a, s0)
        first = tuple(self.b.place(Kind.PLACE_FIRST, c) for c in coming)
        return linear(self.b, Prim.ADD, (w, first))

    # --- matrices ---

    def contract(self, v: Value) -> Group:
        inner = self.inner(v.attr)  # type: ignore[arg-type]
        terms = [d for d in v.attr if d in _TERMS]  # type: ignore[union-attr]
        counted = next((a for a in v.args if set(terms) & set(self.program.values[a].dims)), v.index)
        exact = any(is_inverse(self.program.values[a]) for a in v.args)

        def one(key: Key) -> Parts:
            found: list[Parts] = []
            for more in self.keys(counted, terms):
                whole = tuple(sorted((*key, *more)))
                x, y = (self.part(a, whole) for a in v.args)
                found.append(bilinear(self.b, lambda p, q: self.b.contract(p, q, inner, exact), x, y))
            return tuple(self._added(column) for column in zip(*found, strict=True))

        return self.each(v, one)

    def pair(self, v: Value, key: Key) -> Parts:
        """The decay between two tokens; one with axes is left to the operations that use it."""
        b, mask = self.b, v.attr
        assert isinstance(mask, Mask)
        if not v.args:
            return (b.causal(b.number(1), mask, 0.0),)
        if self.inner_axes(v):
            return ()
        (g,) = self.part(v.args[0], key)
        return (b.pair(g, mask),)

    def inner_axes(self, v: Value) -> Dims:
        return natural((d for d in v.dims if d not in LEADING), self.program.axes)

    def scores(self, v: Value, key: Key) -> Parts:
        x, y, pair = v.args
        over = self.inner(v.attr)  # type: ignore[arg-type]
        axes = self.inner_axes(self.program.values[pair])
        xs, ys = self.part(x, key), self.part(y, key)
        if axes:
            make = lambda p, q: self.b.pairwise(Kind.SCORES, p, q, *self.decay(pair, key))  # noqa: E731
            return bilinear(self.b, make, xs, ys)
        columns = tuple(self.b.rename(p, ROW, COL) for p in ys)
        total = bilinear(self.b, lambda p, q: self.b.contract(p, q, over), xs, columns)
        return tuple(self.b.mul(p, *self.part(pair, key)) for p in total)

    def apply(self, v: Value, key: Key, kind: Kind) -> Parts:
        a, y, pair = v.args
        xs, ys = self.part(a, key), self.part(y, key)
        if self.inner_axes(self.program.values[pair]):
            make = lambda p, q: self.b.pairwise(kind, p, q, *self.decay(pair, key))  # noqa: E731
            return bilinear(self.b, make, xs, ys)
        weighted = tuple(self.b.mul(p, *self.part(pair, key)) for p in xs)
        if kind is Kind.APPLY:
            columns = tuple(self.b.rename(p, ROW, COL) for p in ys)
            return bilinear(self.b, lambda p, q: self.b.contract(p, q, (COL,)), weighted, columns)
        found = bilinear(self.b, lambda p, q: self.b.contract(p, q, (ROW,)), weighted, ys)
        return tuple(self.b.rename(p, COL, ROW) for p in found)

    def decay(self, pair: int, key: Key) -> tuple[int, Mask]:
        v = self.program.values[pair]
        assert isinstance(v.attr, Mask)
        (g,) = self.part(v.args[0], key)
        return g, v.attr

    def solve(self, v: Value) -> Group:
        """(I - A)^-1 x, or its transpose; A has a tile for each pair of terms."""
        a, x = v.args
        transposed = v.op is Op.SOLVE_T
        count = self.counts.get(v.index, 1)
        tiles = [[self._solve_tile(a, m, n, transposed, count) for n in range(count)] for m in range(count)]
        inverse = self.b.inverse(tiles, transposed)

        def one(key: Key) -> Parts:
            m = dict(key).get(TERM, 0)
            found = []
            for n in range(count):
                right = self.part(x, ((TERM, n),) if count > 1 or TERM in v.dims else ())
                renamed = tuple(self.b.rename(self.b.expand(p, (ROW,)), ROW, COL) for p in right)
                if transposed:
                    found.append(tuple(self.b.solved(inverse[m][n], p, ROW) for p in right))
                else:
                    found.append(tuple(self.b.solved(inverse[m][n], p, COL) for p in renamed))
            return tuple(self._added(column) for column in zip(*found, strict=True))

        return self.each(v, one)

    def inverse(self, v: Value) -> Group:
        """(I - A)^-1, a tile for each pair of terms."""
        count = self.counts.get(v.index, 1)
        tiles = [[self._solve_tile(v.args[0], m, n, False, count) for n in range(count)] for m in range(count)]
        whole = self.b.inverse(tiles, False)
        return self.each(v, lambda key: (whole[dict(key).get(TERM, 0)][dict(key).get(TERM2, 0)],))

    def _solve_tile(self, a: int, m: int, n: int, transposed: bool, count: int) -> int:
        """A's tile for terms (m, n); of the transposed system the twin of the tile for (n, m)."""
        first, second = (n, m) if transposed else (m, n)
        key = ((TERM, first), (TERM2, second)) if TERM in self.program.values[a].dims else ()
        (tile,) = self.part(a, key)
        return self.b.turn(tile) if transposed else tile


def _endings(v: Value, count: int) -> tuple[str, ...]:
    if count < 2:
        return ("",) * count
    return "_re", "_im"
