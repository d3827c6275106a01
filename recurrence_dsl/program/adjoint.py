"""The adjoint of a block program, by reverse-mode differentiation op by op.

The ops are closed under it: the adjoint of SCORES is APPLY and APPLY_T with the same pair, that of a triangular solve a
transposed one, that of a scan a scan in reverse. The log-decays need no product of their own: every pairwise factor is
exp(Gx_t - Gy_s), so each row gains x * dx and each column loses y * dy (docs/formalism.md, section 3).
"""

from __future__ import annotations

from typing import assert_never

from .builder import Builder
from .derivatives import pull_back
from .ops import COL, LEADING, LEAVES, ROW, TERM, TERM2, Mask, Op, Prim, Program, Value

_CONSTANT = frozenset((Op.NUMBER, Op.SIZE, Op.HEAD_INDEX, Op.HEAD_COUNT))
_KEYS = {Op.INPUT: "input", Op.PARAM: "param", Op.STATE: "state"}


class _Adjoint:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.b = Builder(program.axes)
        self.at: list[int] = []
        for v in program.values:
            args = tuple(self.at[a] for a in v.args)
            self.at.append(self.b.emit(v.op, args, v.attr, v.dims, is_complex=v.is_complex, hint=v.hint))
        self.differs = self._differs()
        self.parts: dict[int, list[int]] = {}
        self.selected: dict[int, dict[int, list[int]]] = {}
        self.summed: dict[int, list[tuple[Op, int]]] = {}

    def _differs(self) -> set[int]:
        """Values through which a gradient flows to an input, parameter or state."""
        live: set[int] = set()
        for i, v in zip(self.at, self.program.values, strict=True):
            if v.op in _KEYS or any(self.at[a] in live for a in v.args):
                live.add(i)
        return live

    # --- cotangents ---

    def give(self, target: int, part: int | None, source: int) -> None:
        """Adds a contribution from `source`'s rule to `target`, summed over the dims that only the source has."""
        if part is None or target not in self.differs:
            return
        gone = self.b.dims(source) - self.b.dims(target)
        part = self.b.sum(self.b.expand(part, gone), gone)
        if self.b.is_complex(part) and not self.b.is_complex(target):
            part = self.b.map(Prim.RE, part)
        self.parts.setdefault(target, []).append(part)

    def cotangent(self, v: Value) -> int | None:
        parts = list(self.parts.get(v.index, ()))
        if v.index in self.selected:
            chosen = self.selected[v.index]
            zero = self.b.number(0)
            dims = self.b.dims(v.index) - {TERM}
            columns = [self._total(chosen.get(i, [zero])) for i in range(max(chosen) + 1)]
            parts.append(self.b.stack([self.b.expand(c, dims) for c in columns], TERM))
        parts += self._unsummed(v)
        return self._total(parts) if parts else None

    def _unsummed(self, v: Value) -> list[int]:
        """What reaches a value through sums along the rows, with a single sum from the end.

        A sum up to row t passes x_t on to the rows up to t; one before t leaves row t out; one after t passes it on to
        the rows after t, which is the total less the sum from the end.
        """
        b = self.b
        total = plain = b.number(0)
        given = [(op, b.expand(x, v.dims)) for op, x in self.summed.get(v.index, ())]
        if not given:
            return []
        for op, x in given:
            match op:
                case Op.CUMSUM:
                    total = b.add(total, x)
                case Op.CUMSUM_BEFORE:
                    total, plain = b.add(total, x), b.sub(plain, x)
                case _:
                    total, plain = b.sub(total, x), b.add(plain, b.sum(x, (ROW,)))
        return [b.add(b.along(Op.REVCUMSUM, total), plain)]

    def _total(self, parts: list[int]) -> int:
        total = parts[0]
        for p in parts[1:]:
            total = self.b.add(total, p)
        return total

    def run(self) -> Program:
        b = self.b
        for key, i in self.program.outputs:
            v = b.values[self.at[i]]
            leaf = b.leaf(Op.COTANGENT, key, v.dims, v.is_complex)
            self.give(v.index, leaf, v.index)
        for i in sorted(set(self.at), reverse=True):
            v = b.values[i]
            if i not in self.differs or v.op in LEAVES:
                continue
            g = self.cotangent(v)
            if g is not None:
                self.rule(v, g)
        return b.program(f"{self.program.name}_backward", self._gradients())

    def _gradients(self) -> list[tuple[str, int]]:
        """Every leaf's gradient; a leaf that nothing depends on has a zero one."""
        found = []
        for i in sorted(set(self.at)):
            v = self.b.values[i]
            if v.op not in _KEYS:
                continue
            g = self.cotangent(v)
            total = self.b.expand(self.b.number(0) if g is None else g, v.dims)
            found.append((f"{_KEYS[v.op]}:{v.attr}", self.b.named(total, f"d{v.attr}")))
        return found

    # --- rules ---

    def rule(self, v: Value, g: int) -> None:
        b, out = self.b, v.index
        x = v.args[0] if v.args else -1
        match v.op:
            case Op.MAP:
                assert isinstance(v.attr, Prim)
                for a, part in zip(v.args, pull_back(b, v.attr, v.args, out, g), strict=False):
                    self.give(a, part, out)
            case Op.SUM | Op.EXPAND:
                self.give(x, g, out)
            case Op.AMAX:
                hit = b.map(Prim.EQUAL, x, out)
                self.give(x, b.mul(hit, b.div(g, b.sum(hit, v.attr))), out)  # type: ignore[arg-type]
            case Op.PEAK | Op.PAIR:
                pass
            case Op.RENAME:
                source, target = v.attr  # type: ignore[misc]
                self.parts.setdefault(x, []).append(b.rename(b.expand(g, v.dims), str(target), str(source)))
            case Op.STACK:
                g = b.expand(g, v.dims)
                for i, a in enumerate(v.args):
                    self.give(a, b.select(g, str(v.attr), i), a)
            case Op.SELECT:
                self.selected.setdefault(x, {}).setdefault(int(v.attr[1]), []).append(g)  # type: ignore[index]
            case Op.CUMSUM | Op.CUMSUM_BEFORE | Op.CUMSUM_AFTER:
                self.give_sum(x, v.op, g)
            case Op.SHIFT:
                g = b.expand(g, v.dims)
                self.give(x, b.along(Op.UNSHIFT, g), out)
                self.give(v.args[1], b.along(Op.FIRST, g), v.args[1])
            case Op.LAST:
                self.give(x, b.along(Op.PLACE_LAST, g), out)
            case Op.FIRST:
                self.give(x, b.along(Op.PLACE_FIRST, g), out)
            case Op.CONTRACT:
                self.contract(v, g)
            case Op.SCORES:
                self.scores(v, b.expand(g, v.dims))
            case Op.APPLY:
                self.apply(v, b.expand(g, v.dims))
            case Op.SOLVE:
                self.solve(v, b.expand(g, v.dims))
            case Op.SCAN:
                self.scan(v, b.expand(g, v.dims))
            case Op.REVCUMSUM | Op.UNSHIFT | Op.PLACE_FIRST | Op.PLACE_LAST | Op.APPLY_T | Op.SOLVE_T | Op.SCAN_T:
                raise AssertionError(f"{v.op} occurs in adjoints only")
            case Op.INVERSE:
                raise AssertionError("a schedule takes inverses, where gradients are known already")
            case (
                Op.INPUT | Op.PARAM | Op.STATE | Op.COTANGENT | Op.NUMBER | Op.SIZE | Op.HEAD_INDEX | Op.HEAD_COUNT
            ):  # fmt: skip
                raise AssertionError("a leaf has no operands")
            case _:
                assert_never(v.op)

    def give_sum(self, target: int, op: Op, part: int) -> None:
        """A contribution to `target` through a sum along its rows."""
        if target in self.differs:
            extra = self.b.dims(part) - self.b.dims(target)
            self.summed.setdefault(target, []).append((op, self.b.sum(part, extra)))

    def contract(self, v: Value, g: int) -> None:
        b = self.b
        x, y = v.args
        for one, other in ((x, y), (y, x)):
            if one in self.differs:
                part = b.contract(g, b.map(Prim.CONJ, other), b.dims(other) - b.dims(one))
                gone = b.dims(v.index) - b.dims(one) - b.dims(other)
                assert not gone
                self.parts.setdefault(one, []).append(self._real(one, b.sum(part, b.dims(part) - b.dims(one))))

    def _real(self, target: int, part: int) -> int:
        wanted = self.b.is_complex(target)
        return part if wanted or not self.b.is_complex(part) else self.b.map(Prim.RE, part)

    def scores(self, v: Value, g: int) -> None:
        """dx = sum_s dA pair y, dy = sum_t dA pair x."""
        b = self.b
        x, y, pair = v.args
        if self._axes(pair):
            dx, dy = b.apply(g, y, pair), b.apply(g, x, pair, transposed=True)
        else:
            p = b.mul(g, pair)
            dx = b.contract(p, b.rename(y, ROW, COL), (COL,))
            dy = b.rename(b.contract(p, x, (ROW,)), COL, ROW)
        self._give_rows(x, dx)
        self._give_rows(y, dy)
        self.decays(pair, b.mul(x, dx), b.mul(y, dy))

    def apply(self, v: Value, g: int) -> None:
        b = self.b
        a, y, pair = v.args
        over = tuple(d for d in b.values[y].dims if d not in LEADING)
        self.give(a, b.scores(g, y, pair, over), a)
        dy = b.apply(a, g, pair, transposed=True)
        self._give_rows(y, dy)
        self.decays(pair, b.mul(g, v.index), b.mul(y, dy))

    def decays(self, pair: int, rows: int, columns: int) -> None:
        """The pair's share in the gradient of the log-decay: rows see the sum up to or before them, columns lose it."""
        v = self.b.values[pair]
        for g in v.args:
            self.give_sum(g, Op.CUMSUM if v.attr is Mask.NOW else Op.CUMSUM_BEFORE, rows)
            self.give_sum(g, Op.CUMSUM, self.b.neg(columns))

    def _give_rows(self, target: int, part: int) -> None:
        if target in self.differs:
            extra = self.b.dims(part) - self.b.dims(target)
            self.parts.setdefault(target, []).append(self._real(target, self.b.sum(part, extra)))

    def _axes(self, pair: int) -> bool:
        return any(d not in LEADING for d in self.b.values[pair].dims)

    def solve(self, v: Value, g: int) -> None:
        """u = (I - A)^-1 x: dx = z = (I - A)^-T g, dA = z u^T."""
        b = self.b
        a, x = v.args
        z = b.named(b.solve(a, g, transposed=True), "Z")
        self.give(x, z, x)
        over = tuple(d for d in b.values[v.index].dims if d not in LEADING)
        u = b.rename(b.rename(v.index, ROW, COL), TERM, TERM2)
        da = b.contract(z, u, over)
        self.parts.setdefault(a, []).append(b.sum(da, b.dims(da) - b.dims(a)))

    def scan(self, v: Value, g: int) -> None:
        """S_t = a_t S_{t-1} + w_t: what reaches S_t reaches w_t, and, times S_{t-1}, a_t."""
        b = self.b
        a, w, s0 = v.args
        total = b.named(b.scan_t(a, g), f"d{v.hint or 'S'}")
        self.give(w, total, v.index)
        before = b.shift(v.index, s0)
        self.give(a, b.mul(total, b.map(Prim.CONJ, before)), v.index)
        self.give(s0, b.along(Op.FIRST, b.mul(b.map(Prim.CONJ, a), total)), s0)


def adjoint(program: Program) -> Program:
    """The gradients of a program's leaves, given its operands again and its results' cotangents.

    Results: `input:NAME`, `param:NAME`, `state:NAME`. Forward values that the gradients need are computed again.
    """
    return _Adjoint(program).run()
