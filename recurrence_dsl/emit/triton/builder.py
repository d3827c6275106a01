"""Builds tiles: equal ones are shared, and what a sum would pick up beyond an end is masked where facts ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ...program.ops import COL, ROW, Mask, Prim
from .facts import Facts, of_map
from .tiles import Attr, Dims, Kind, Result, Source, Tile, Tiles, natural

INFINITY = float("inf")


class TileBuilder:
    """A method an operation; handles are indices into `tiles`. `padded`: dims whose tiles may reach beyond the end."""

    def __init__(self, axes: Dims, padded: frozenset[str]) -> None:
        self.axes, self.padded = axes, padded
        self.tiles: list[Tile] = []
        self.facts: list[Facts] = []
        self._known: dict[tuple[object, ...], int] = {}
        self._turned: dict[int, int] = {}

    def emit(
        self, kind: Kind, args: Sequence[int], attr: Attr, dims: Iterable[str], facts: Facts, hint: str = ""
    ) -> int:
        key = (kind, tuple(args), type(attr), attr, tuple(dims))
        if key not in self._known:
            self._known[key] = len(self.tiles)
            self.tiles.append(Tile(len(self.tiles), kind, tuple(args), attr, tuple(dims), hint))
            self.facts.append(facts)
        return self._known[key]

    def finish(self, results: Iterable[tuple[Source, int]]) -> Tiles:
        return Tiles(tuple(self.tiles), tuple(Result(s, i) for s, i in results))

    def named(self, i: int, hint: str) -> int:
        """Gives a tile a name for readers, unless it has one."""
        if hint and not self.tiles[i].hint and self.tiles[i].kind is not Kind.NUMBER:
            self.tiles[i] = replace(self.tiles[i], hint=hint)
        return i

    def dims(self, i: int) -> Dims:
        return self.tiles[i].dims

    def constant(self, i: int) -> float | None:
        t = self.tiles[i]
        return t.attr if t.kind is Kind.NUMBER else None  # type: ignore[return-value]

    # --- leaves ---

    def leaf(self, source: Source, dims: Iterable[str], carried: bool = False) -> int:
        ordered = natural(dims, self.axes)
        facts = Facts(zero=frozenset(ordered), product=carried)
        return self.emit(Kind.CARRIED if carried else Kind.LOAD, (), source, ordered, facts, source.name)

    def stored(self, source: Source) -> int:
        """A tile [t, s] that is zero where a token does not see the other; a short chunk's is stored as a whole."""
        return self.emit(Kind.LOAD, (), source, (ROW, COL), Facts(causal=True), source.name)

    def number(self, value: float) -> int:
        sign = 2 if value > 0 else 1 if value == 0 else 0
        return self.emit(Kind.NUMBER, (), float(value), (), Facts(sign=sign, finite=abs(value) < INFINITY))

    def head(self) -> int:
        return self.emit(Kind.HEAD, (), None, (), Facts(sign=1), "head")

    # --- pointwise ---

    def map(self, prim: Prim, *args: int, dims: Dims | None = None) -> int:
        """`dims` gives the order where it is not the natural one."""
        numbers = [self.constant(a) for a in args]
        simple = self._simplify(prim, args, numbers)
        if simple is not None:
            return simple
        own = [frozenset(self.dims(a)) for a in args]
        ordered = dims or natural(frozenset().union(*own), self.axes)
        args = tuple(self._standing(a, ordered) for a in args)
        facts = [self.facts[a] for a in args]
        if len(args) == 2 and args[0] == args[1]:
            facts = [facts[0], facts[0]]
        found = of_map(prim, facts, numbers, own)
        ends = any(part in self.padded for d in ordered for part in d.split("*"))
        return self.emit(Kind.MAP, args, prim, ordered, found if ends else replace(found, finite=True))

    def _standing(self, x: int, ordered: Dims) -> int:
        """`x` with its dims in the given order; that of a pair of tokens may stand the other way round."""
        have = self.dims(x)
        return x if have == tuple(d for d in ordered if d in have) else self.turn(x)

    def _simplify(self, prim: Prim, args: Sequence[int], numbers: list[float | None]) -> int | None:
        match prim, numbers:
            case (Prim.ADD, [0, _]) | (Prim.MUL, [1, _]):
                return args[1]
            case (Prim.ADD | Prim.SUB, [_, 0]) | (Prim.MUL | Prim.DIV, [_, 1]):
                return args[0]
            case (Prim.MUL, [0, _]) | (Prim.MUL, [_, 0]):
                return self.number(0)
            case Prim.SUB, [0, _]:
                return self.map(Prim.NEG, args[1])
            case Prim.NEG, [float(x)]:
                return self.number(-x)
            case Prim.MUL, _:
                return self._seen(args[0], args[1]) or self._seen(args[1], args[0])
            case Prim.ADD, _:
                return self._added_flat(args[0], args[1]) or self._added_flat(args[1], args[0])
            case _:
                return None

    def _seen(self, mask: int, x: int) -> int | None:
        """1 where a token sees the other, times x: x there and 0 elsewhere."""
        t = self.tiles[mask]
        if t.kind is not Kind.CAUSAL or self.constant(t.args[0]) != 1 or set(self.dims(x)) != set(t.dims):
            return None
        return self.causal(x, t.attr[0], 0.0)  # type: ignore[index,arg-type]

    def _added_flat(self, x: int, y: int) -> int | None:
        """A product of matrices taken apart into dims, plus a tile: added before it is, as part of the product."""
        t = self.tiles[x]
        if t.kind is not Kind.SPLIT or self.tiles[t.args[0]].kind is not Kind.DOT or self.dims(y) != t.dims:
            return None
        merged: Dims = t.attr  # type: ignore[assignment]
        return self.split(self.add(t.args[0], self.flat(y, merged)), merged)

    def add(self, x: int, y: int) -> int:
        return self.map(Prim.ADD, x, y)

    def sub(self, x: int, y: int) -> int:
        return self.map(Prim.SUB, x, y)

    def mul(self, x: int, y: int) -> int:
        return self.map(Prim.MUL, x, y)

    def causal(self, x: int, mask: Mask, fill: float) -> int:
        """`x`, but `fill` where a token does not see the other; a number becomes a tile [t, s]."""
        dims = self.dims(x) if len(self.dims(x)) > 1 else (ROW, COL)
        f = self.facts[x]
        facts = Facts(finite=f.finite, sign=f.sign, causal=fill == 0, product=f.product)
        return self.emit(Kind.CAUSAL, (x,), (mask, fill), dims, facts)

    # --- padding ---

    def is_zero(self, x: int, dim: str) -> bool:
        parts = dim.split("*")
        return not any(p in self.padded for p in parts) or dim in self.facts[x].zero or dim not in self.dims(x)

    def masked(self, x: int, dim: str, fill: float = 0.0) -> int:
        """`x` with `fill` beyond the end of `dim`."""
        if dim not in self.dims(x) or (fill == 0 and self.is_zero(x, dim)):
            return x
        t = self.tiles[x]
        if "*" in dim:
            assert t.kind is Kind.FLAT
            inside = t.args[0]
            for part in dim.split("*"):
                inside = self.masked(inside, part, fill)
            return self.flat(inside, tuple(dim.split("*")))
        if dim not in self.padded:
            return x
        f = self.facts[x]
        zero = f.zero | {dim} if fill == 0 else f.zero - {dim}
        finite = f.finite or self.padded & set(t.dims) <= zero
        facts = replace(f, zero=zero, finite=finite, sign=f.sign if fill >= 0 else 0, steady=False)
        return self.emit(Kind.MASK, (x,), (dim, fill), t.dims, facts)

    def bounded(self, x: int) -> int:
        """`x`, finite beyond every end, for operations that add up lanes from there times zero."""
        if not self.facts[x].finite:
            for d in self.dims(x):
                x = self.masked(x, d)
        return x

    def _guarded(self, x: int, y: int, dim: str) -> tuple[int, int]:
        """Two factors such that their sum over `dim` picks up nothing beyond its end."""
        fx, fy = self.facts[x], self.facts[y]
        if dim == COL and fx.finite and fy.finite and (fx.causal or fy.causal):
            return x, y
        if (self.is_zero(x, dim) and fy.finite) or (self.is_zero(y, dim) and fx.finite):
            return x, y
        if self.is_zero(x, dim):
            return x, self.masked(y, dim)
        if self.is_zero(y, dim) or len(self.dims(x)) <= len(self.dims(y)):
            masked = self.masked(x, dim)
            return masked, y if fy.finite else self.masked(y, dim)
        return x if fx.finite else self.masked(x, dim), self.masked(y, dim)

    # --- shapes ---

    def expand(self, x: int, dims: Iterable[str]) -> int:
        """`x` with at least the given dims, in natural order."""
        wanted = natural(set(self.dims(x)) | set(dims), self.axes)
        if set(wanted) == set(self.dims(x)):
            return x
        f = self.facts[x]
        return self.emit(Kind.EXPAND, (x,), wanted, wanted, replace(f, product=f.product and len(self.dims(x)) > 1))

    def expand_as(self, x: int, dims: Dims) -> int:
        """`x` with exactly the given dims in the given order."""
        if self.dims(x) == dims:
            return x
        return self.emit(Kind.EXPAND, (x,), dims, dims, self.facts[x])

    def rename(self, x: int, source: str, target: str) -> int:
        if source not in self.dims(x):
            return x
        dims = tuple(target if d == source else d for d in self.dims(x))
        ordered = natural(dims, self.axes)
        f = self.facts[x]
        zero = frozenset(target if d == source else d for d in f.zero)
        found = self.emit(Kind.RENAME, (x,), (source, target), dims, replace(f, zero=zero))
        if dims == ordered:
            return found
        if len(dims) == 2:
            return self.turn(found)
        return self.emit(Kind.TURN, (found,), None, ordered, replace(f, zero=zero))

    def flat(self, x: int, merged: Dims) -> int:
        """Adjacent dims as one."""
        if len(merged) < 2:
            return x
        name = "*".join(merged)
        at = self.dims(x).index(merged[0])
        dims = (*self.dims(x)[:at], name, *self.dims(x)[at + len(merged) :])
        f = self.facts[x]
        zero = {d for d in f.zero if d not in merged} | ({name} if all(self.is_zero(x, m) for m in merged) else set())
        return self.emit(Kind.FLAT, (x,), merged, dims, replace(f, zero=frozenset(zero)))

    def split(self, x: int, merged: Dims) -> int:
        if len(merged) < 2:
            return x
        name = "*".join(merged)
        at = self.dims(x).index(name)
        dims = (*self.dims(x)[:at], *merged, *self.dims(x)[at + 1 :])
        f = self.facts[x]
        zero = {d for d in f.zero if d != name} | (set(merged) if name in f.zero else set())
        return self.emit(Kind.SPLIT, (x,), merged, dims, replace(f, zero=frozenset(zero)))

    # --- over dims ---

    def sum(self, x: int, over: Iterable[str]) -> int:
        gone = tuple(d for d in self.dims(x) if d in set(over))
        if not gone:
            return x
        for d in gone:
            if not (d == COL and self.facts[x].causal and self.facts[x].finite):
                x = self.masked(x, d)
        return self._reduced(Kind.SUM, x, gone)

    def max(self, x: int, over: Iterable[str]) -> int:
        gone = tuple(d for d in self.dims(x) if d in set(over))
        for d in gone:
            x = self.masked(x, d, -INFINITY)
        return self._reduced(Kind.MAX, x, gone) if gone else x

    def _reduced(self, kind: Kind, x: int, gone: Dims) -> int:
        f = self.facts[x]
        rest = tuple(d for d in self.dims(x) if d not in gone)
        facts = Facts(
            zero=f.zero - set(gone), finite=f.finite, sign=min(f.sign, 1), product=f.product and len(rest) > 1
        )
        return self.emit(kind, (x,), gone, rest, facts)

    # --- along ROW ---

    def along(self, kind: Kind, x: int) -> int:
        """An operation along time that keeps the dims."""
        facts = replace(self.facts[x], zero=self.facts[x].zero - {ROW}, sign=0, causal=False, steady=False)
        return self.emit(kind, (x,), None, self.dims(x), facts)

    def summed(self, kind: Kind, x: int) -> int:
        """UPTO, EARLIER, LATER or FROM."""
        return self.along(kind, self.masked(self.expand(x, (ROW,)), ROW))

    def before(self, x: int, first: int) -> int:
        dims = natural({ROW} | set(self.dims(x)) | set(self.dims(first)), self.axes)
        x = self.expand_as(x, dims)
        fx, ff = self.facts[x], self.facts[first]
        facts = Facts(zero=(fx.zero & ff.zero) - {ROW}, finite=fx.finite and ff.finite, product=fx.product)
        return self.emit(Kind.BEFORE, (x, first), None, dims, facts)

    def after(self, x: int) -> int:
        x = self.masked(self.expand(x, (ROW,)), ROW)
        return self.emit(Kind.AFTER, (x,), None, self.dims(x), replace(self.facts[x], steady=False, causal=False))

    def end(self, kind: Kind, x: int) -> int:
        """FIRST or LAST."""
        if ROW not in self.dims(x):
            return x
        f = self.facts[x]
        rest = tuple(d for d in self.dims(x) if d != ROW)
        attr = f.steady if kind is Kind.LAST else None
        return self.emit(kind, (x,), attr, rest, replace(f, zero=f.zero - {ROW}, product=False, steady=False))

    def place(self, kind: Kind, x: int) -> int:
        """PLACE_FIRST or PLACE_LAST: that row of `x`, or `x` itself where it has no rows, and zero in the others."""
        dims = natural({ROW, *self.dims(x)}, self.axes)
        f = self.facts[x]
        return self.emit(kind, (x,), None, dims, replace(f, zero=f.zero | {ROW}, sign=min(f.sign, 1)))

    # --- matrices ---

    def contract(self, x: int, y: int, over: Iterable[str], exact: bool = False) -> int:
        """sum over `over` of x * y, as a product of matrices where both bring dims of their own."""
        gone = set(over)
        dx, dy = set(self.dims(x)), set(self.dims(y))
        x, y = self.sum(x, gone & dx - dy), self.sum(y, gone & dy - dx)
        both = tuple(d for d in natural(gone & dx & dy, self.axes))
        if not both:
            return self.mul(x, y)
        for d in both:
            x, y = self._guarded(x, y, d)
        own_x = tuple(d for d in self.dims(x) if d not in dy)
        own_y = tuple(d for d in self.dims(y) if d not in dx)
        shared = dx & dy - set(both)
        if own_x and own_y and not shared and self._two_sides(x, both) and self._two_sides(y, both):
            found = natural((*own_x, *own_y), self.axes)
            if found == (*own_x, *own_y):
                return self._dot(x, y, both, exact)
            if found == (*own_y, *own_x):
                return self._dot(y, x, both, exact)
        return self._reduced(Kind.SUM, self.mul(x, y), tuple(d for d in natural(dx | dy, self.axes) if d in both))

    def _two_sides(self, x: int, over: Dims) -> bool:
        """Do the dims that are summed over lie together, before or behind all others, so that `x` is a matrix?"""
        dims, n = self.dims(x), len(over)
        return dims[:n] == over or dims[-n:] == over

    def _dot(self, x: int, y: int, over: Dims, exact: bool) -> int:
        rows = tuple(d for d in self.dims(x) if d not in over)
        columns = tuple(d for d in self.dims(y) if d not in over)
        left, right = self._matrix(x, rows, over, self.turn), self._matrix(y, over, columns, self.turn_right)
        found = self.dot(left, right, exact)
        return self.split(self.split(found, rows), columns)

    def _matrix(self, x: int, rows: Dims, columns: Dims, turn: Callable[[int], int]) -> int:
        """`x` as a matrix [rows, columns], several dims of a side flattened into one."""
        for side in (rows, columns):
            x = self.flat(x, side)
        want = ("*".join(rows), "*".join(columns))
        return x if self.dims(x) == want else turn(x)

    def dot(self, x: int, y: int, exact: bool = False) -> int:
        (rows, a), (b, columns) = self.dims(x), self.dims(y)
        assert a == b
        fx, fy = self.facts[x], self.facts[y]
        zero = ({rows} & fx.zero if fy.finite else set()) | ({columns} & fy.zero if fx.finite else set())
        facts = Facts(zero=frozenset(zero), finite=fx.finite and fy.finite, product=True)
        return self.emit(Kind.DOT, (x, y), exact, (rows, columns), facts)

    def solved(self, inverse: int, x: int, over: str) -> int:
        """A tile of an inverse times x, its rows named ROW."""
        return self.rename(self.contract(inverse, x, (over,), exact=True), COL, ROW)

    def inverse(self, a: Sequence[Sequence[int]], upper: bool) -> list[list[int]]:
        """(I - A)^-1 for A in M x M tiles, each strictly triangular."""
        flat = tuple(self.bounded(x) for row in a for x in row)
        dims = self.dims(flat[0])
        facts = Facts(causal=not upper, product=True)
        whole = self.emit(Kind.INVERSE, flat, upper, dims, facts)
        if len(flat) == 1:
            return [[whole]]
        items = [self.emit(Kind.ITEM, (whole,), i, dims, facts) for i in range(len(flat))]
        return [items[i : i + len(a)] for i in range(0, len(flat), len(a))]

    def pair(self, g: int, mask: Mask) -> int:
        """The decay between two tokens [t, s] from the log-decay [t]; 0 where a token does not see the other."""
        facts = Facts(sign=1, causal=True)
        return self.emit(Kind.PAIR, (self.bounded(g),), mask, (ROW, COL), facts)

    def pairwise(self, kind: Kind, x: int, y: int, g: int, mask: Mask) -> int:
        """SCORES, APPLY or APPLY_T with log-decays g [t, axes]: x, y [t, axes], or x [t, s] and y [t, axes]."""
        axes = tuple(d for d in self.dims(g) if d != ROW)
        g = self.bounded(g)
        if kind is Kind.SCORES:
            for d in axes:
                x, y = self._guarded(x, y, d)
            facts = Facts(finite=self.facts[x].finite and self.facts[y].finite, causal=True, product=True)
            args, dims = (self.flat(x, axes), self.flat(y, axes)), (ROW, COL)
        else:
            y = self.masked(y, ROW) if kind is Kind.APPLY_T or not self.facts[y].finite else y
            x = self.masked(x, ROW) if kind is Kind.APPLY_T and not self.facts[x].finite else x
            facts = Facts(zero=self.facts[y].zero - {ROW}, finite=self.facts[x].finite, product=True)
            flat = self.flat(y, axes)
            args, dims = (self.turn(x) if kind is Kind.APPLY_T else x, flat), self.dims(flat)
        own = () if kind is Kind.SCORES or mask is Mask.BEFORE else (self._diagonal(x),)
        found = self.emit(kind, (*args, self.flat(g, axes), *own), mask, dims, facts)
        return found if kind is Kind.SCORES else self.split(found, axes)

    def _diagonal(self, x: int) -> int:
        return self.emit(Kind.DIAGONAL, (x,), None, (ROW,), Facts(finite=self.facts[x].finite))

    def scan(self, a: Sequence[int], w: Sequence[int], reverse: bool) -> tuple[int, ...]:
        """S_t = a_t S_{t-1} + w_t; in reverse S_t = a_t S_{t+1} + w_t. One tile each, or real and imaginary parts."""
        w = tuple(self.masked(x, ROW) for x in w)
        dims = self.dims(w[0])
        zero = frozenset({ROW} if reverse else ())
        facts = Facts(zero=zero | (self.facts[w[0]].zero - {ROW}), steady=not reverse, product=True)
        if len(a) == 1:
            return tuple(self.emit(Kind.SCAN, (*a, x), reverse, dims, facts) for x in w)
        nothing = self.emit(Kind.EXPAND, (self.number(0),), dims, dims, Facts(zero=frozenset(dims)))
        both = (*w, nothing) if len(w) == 1 else w
        whole = self.emit(Kind.SCAN, (*a, *both), reverse, dims, facts)
        return tuple(self.emit(Kind.ITEM, (whole,), i, dims, facts) for i in range(2))

    # --- twins ---

    def turn(self, x: int) -> int:
        """[a, b] as [b, a], fit for the left side of a product: what stems from a product is not turned over in
        registers
        but computed the other way round."""
        if x not in self._turned:
            self._turned[x] = found = self._turn(x)
            self._turned.setdefault(found, x)
            self.named(found, f"{self.tiles[x].hint}_T" if self.tiles[x].hint else "")
        return self._turned[x]

    def turn_right(self, x: int) -> int:
        """[a, b] as [b, a] for the right side of a product, which lies in shared memory anyway."""
        if x in self._turned:
            return self._turned[x]
        return self.emit(Kind.TURN, (x,), None, self.dims(x)[::-1], self.facts[x])

    def _turn(self, x: int) -> int:
        t, f = self.tiles[x], self.facts[x]
        if len(t.dims) < 2:
            return x
        assert len(t.dims) == 2
        if t.kind is Kind.TURN:
            return t.args[0]
        dims = (t.dims[1], t.dims[0])
        twin = self._twin(t, dims) if f.product or t.kind in (Kind.CAUSAL, Kind.PAIR) else None
        return self.emit(Kind.TURN, (x,), None, dims, f) if twin is None else twin

    def _twin(self, t: Tile, dims: Dims) -> int | None:
        f = self.facts[t.index]
        if t.kind is Kind.DOT:
            return self.emit(t.kind, (self.turn(t.args[1]), self.turn_right(t.args[0])), t.attr, dims, f)
        args = tuple(self.turn(a) if len(self.dims(a)) == 2 else a for a in t.args)
        match t.kind:
            case Kind.MAP if all(set(self.dims(a)) <= set(dims) for a in args):
                return self.emit(Kind.MAP, args, t.attr, dims, f)
            case Kind.MASK | Kind.CAUSAL:
                return self.emit(t.kind, args, t.attr, dims, f)
            case Kind.EXPAND:
                return self.emit(t.kind, args, dims, dims, f)
            case Kind.RENAME:
                return self.emit(t.kind, args, t.attr, dims, f)
            case Kind.SCORES | Kind.PAIR:
                return self.emit(t.kind, t.args, t.attr, dims, f)
            case Kind.INVERSE if len(args) == 1:
                return self.emit(t.kind, args, not t.attr, dims, f)
            case _:
                return None
