"""Builds block programs: equal values are shared, trivial arithmetic is folded, dims are inferred."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .folding import fold
from .ops import COL, LEAVES, ROW, TERM2, Attr, Mask, Op, Prim, Program, Value, only, order_dims


class Builder:
    """Appends values; a method an op. Handles are indices into `values`."""

    def __init__(self, axes: tuple[str, ...]) -> None:
        self.axes = axes
        self.values: list[Value] = []
        self._known: dict[tuple[object, ...], int] = {}

    # --- the one place where a value is made ---

    def emit(
        self,
        op: Op,
        args: Sequence[int] = (),
        attr: Attr = None,
        dims: Iterable[str] = (),
        *,
        is_complex: bool | None = None,
        hint: str = "",
    ) -> int:
        ordered = order_dims(set(dims), self.axes)
        cplx = any(self.values[a].is_complex for a in args) if is_complex is None else is_complex
        key = (op, tuple(args), type(attr), attr, ordered, cplx)
        if key not in self._known:
            self._known[key] = len(self.values)
            self.values.append(Value(len(self.values), op, tuple(args), attr, ordered, cplx, hint))
        return self._known[key]

    def program(self, name: str, outputs: Iterable[tuple[str, int]]) -> Program:
        """The values that the outputs need, renumbered."""
        return only(Program(name, self.axes, tuple(self.values), tuple(outputs)), lambda _: True)

    def named(self, index: int, hint: str) -> int:
        """Gives a value a name for readers, unless it has one or is a leaf."""
        v = self.values[index]
        if not v.hint and v.op not in LEAVES:
            self.values[index] = Value(v.index, v.op, v.args, v.attr, v.dims, v.is_complex, hint)
        return index

    def dims(self, index: int) -> frozenset[str]:
        return frozenset(self.values[index].dims)

    def is_complex(self, index: int) -> bool:
        return self.values[index].is_complex

    def constant(self, index: int) -> float | complex | None:
        """The number a value is known to be."""
        v = self.values[index]
        return v.attr if v.op is Op.NUMBER else None  # type: ignore[return-value]

    # --- leaves ---

    def leaf(self, op: Op, name: str, dims: Iterable[str], is_complex: bool = False) -> int:
        return self.emit(op, (), name, dims, is_complex=is_complex, hint=name)

    def number(self, value: float | complex) -> int:
        if isinstance(value, complex) and value.imag == 0:
            value = value.real
        value = value if isinstance(value, complex) else float(value)
        return self.emit(Op.NUMBER, (), value, is_complex=isinstance(value, complex))

    # --- pointwise ---

    def map(self, prim: Prim, *args: int) -> int:
        known = [self.constant(a) for a in args]
        folded = fold(prim, known)
        if folded is not None:
            return self.number(folded)
        simple = self._simplify(prim, args, known)
        if simple is not None:
            return simple
        dims = frozenset().union(*(self.dims(a) for a in args))
        cplx = False if prim in (Prim.RE, Prim.IM, Prim.ABS) else None
        return self.emit(Op.MAP, args, prim, dims, is_complex=cplx)

    def _simplify(self, prim: Prim, args: tuple[int, ...], known: list[float | complex | None]) -> int | None:
        match prim, known:
            case (Prim.ADD, [0, None]) | (Prim.MUL, [1, None]):
                return args[1]
            case (Prim.ADD | Prim.SUB, [None, 0]) | (Prim.MUL | Prim.DIV | Prim.POW, [None, 1]):
                return args[0]
            case (Prim.SUB, [0, None]) | (Prim.MUL, [-1, None]):
                return self.map(Prim.NEG, args[1])
            case (Prim.MUL | Prim.DIV, [None, -1]):
                return self.map(Prim.NEG, args[0])
            case (Prim.MUL, [0, None]) | (Prim.MUL | Prim.DIV, [None, 0]) | (Prim.DIV, [0, None]):
                return self.number(0) if prim is Prim.MUL or known[0] == 0 else None
            case Prim.NEG, [None]:
                v = self.values[args[0]]
                return v.args[0] if v.op is Op.MAP and v.attr is Prim.NEG else None
            case Prim.CONJ | Prim.RE, [None] if not self.is_complex(args[0]):
                return args[0]
            case Prim.IM, [None] if not self.is_complex(args[0]):
                return self.number(0)
            case _:
                return self._push_sign(prim, args)

    def _push_sign(self, prim: Prim, args: tuple[int, ...]) -> int | None:
        """x + (-y) = x - y, x - (-y) = x + y."""
        if prim not in (Prim.ADD, Prim.SUB):
            return None
        right = self.values[args[1]]
        if right.op is Op.MAP and right.attr is Prim.NEG:
            return self.map(Prim.SUB if prim is Prim.ADD else Prim.ADD, args[0], right.args[0])
        left = self.values[args[0]]
        if prim is Prim.ADD and left.op is Op.MAP and left.attr is Prim.NEG:
            return self.map(Prim.SUB, args[1], left.args[0])
        return None

    def add(self, x: int, y: int) -> int:
        return self.map(Prim.ADD, x, y)

    def sub(self, x: int, y: int) -> int:
        return self.map(Prim.SUB, x, y)

    def mul(self, x: int, y: int) -> int:
        return self.map(Prim.MUL, x, y)

    def div(self, x: int, y: int) -> int:
        return self.map(Prim.DIV, x, y)

    def neg(self, x: int) -> int:
        return self.map(Prim.NEG, x)

    def exp(self, x: int) -> int:
        return self.map(Prim.EXP, x)

    def decay(self, x: int) -> int:
        return self.map(Prim.DECAY, x)

    # --- over dims ---

    def sum(self, x: int, over: Iterable[str]) -> int:
        gone = order_dims(set(over) & self.dims(x), self.axes)
        return self.emit(Op.SUM, (x,), gone, self.dims(x) - set(gone)) if gone else x

    def amax(self, x: int, over: tuple[str, ...], op: Op = Op.AMAX) -> int:
        """The largest along the axes; `op` is AMAX or PEAK."""
        gone = order_dims(set(over) & self.dims(x), self.axes)
        return self.emit(op, (x,), gone, self.dims(x) - set(gone)) if gone else x

    def expand(self, x: int, dims: Iterable[str]) -> int:
        """`x` with at least the given dims."""
        wanted = self.dims(x) | set(dims)
        if wanted == self.dims(x):
            return x
        return self.emit(Op.EXPAND, (x,), order_dims(wanted, self.axes), wanted)

    def rename(self, x: int, source: str, target: str) -> int:
        if source not in self.dims(x):
            return x
        dims = (self.dims(x) - {source}) | {target}
        return self.emit(Op.RENAME, (x,), (source, target), dims)

    def stack(self, xs: Sequence[int], dim: str) -> int:
        dims = frozenset().union(*(self.dims(x) for x in xs))
        return self.emit(Op.STACK, tuple(self.expand(x, dims) for x in xs), dim, dims | {dim})

    def select(self, x: int, dim: str, index: int) -> int:
        v = self.values[x]
        if v.op is Op.STACK and v.attr == dim:
            return v.args[index]
        if dim not in v.dims:
            return x
        return self.emit(Op.SELECT, (x,), (dim, index), self.dims(x) - {dim})

    # --- along ROW ---

    def along(self, op: Op, x: int) -> int:
        """The sums along ROW, UNSHIFT, FIRST, LAST, PLACE_FIRST, PLACE_LAST."""
        dims = self.dims(x)
        if op in (Op.FIRST, Op.LAST):
            return self.emit(op, (x,), None, dims - {ROW}) if ROW in dims else x
        if op in (Op.PLACE_FIRST, Op.PLACE_LAST):
            return self.emit(op, (x,), None, dims | {ROW})
        return self.emit(op, (self.expand(x, (ROW,)),), None, dims | {ROW})

    def shift(self, x: int, first: int) -> int:
        return self.emit(Op.SHIFT, (self.expand(x, (ROW,)), first), None, self.dims(x) | self.dims(first) | {ROW})

    # --- matrices ---

    def contract(self, x: int, y: int, over: Iterable[str]) -> int:
        """sum over `over` of x * y; dims that only one operand has are summed there first."""
        gone = set(over)
        x = self.sum(x, gone - self.dims(y))
        y = self.sum(y, gone - self.dims(x))
        both = gone & self.dims(x) & self.dims(y)
        if not both:
            return self.mul(x, y)
        dims = (self.dims(x) | self.dims(y)) - both
        return self.emit(Op.CONTRACT, (x, y), order_dims(both, self.axes), dims)

    def pair(self, g: int | None, mask: Mask) -> int:
        if g is None:
            return self.emit(Op.PAIR, (), mask, (ROW, COL), hint="causal")
        g = self.expand(g, (ROW,))
        return self.emit(Op.PAIR, (g,), mask, self.dims(g) | {COL}, hint="D")

    def scores(self, x: int, y: int, pair: int, over: tuple[str, ...]) -> int:
        wanted = {ROW, *over}
        x, y = self.expand(x, wanted), self.expand(y, wanted)
        dims = (self.dims(x) | self.dims(y) | self.dims(pair) | {COL}) - set(over)
        return self.emit(Op.SCORES, (x, y, pair), over, dims)

    def apply(self, a: int, y: int, pair: int, transposed: bool = False) -> int:
        y = self.expand(y, {ROW} | (self.dims(pair) - {COL}))
        dims = (self.dims(a) | self.dims(y) | self.dims(pair)) - {COL}
        return self.emit(Op.APPLY_T if transposed else Op.APPLY, (a, y, pair), None, dims)

    def solve(self, a: int, x: int, transposed: bool = False) -> int:
        x = self.expand(x, (self.dims(a) - {COL, TERM2}))
        return self.emit(Op.SOLVE_T if transposed else Op.SOLVE, (a, x), None, self.dims(x))

    def scan(self, a: int, w: int, s0: int) -> int:
        dims = self.dims(a) | self.dims(w) | self.dims(s0) | {ROW}
        w, s0 = self.expand(w, dims), self.expand(s0, dims - {ROW})
        return self.emit(Op.SCAN, (self.expand(a, (ROW,)), w, s0), None, dims)

    def scan_t(self, a: int, x: int) -> int:
        x = self.expand(x, self.dims(a))
        return self.emit(Op.SCAN_T, (a, x), None, self.dims(x))
