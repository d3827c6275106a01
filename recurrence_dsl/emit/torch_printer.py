"""Prints the values of a block program as torch statements, one function body for each program."""

from __future__ import annotations

from typing import assert_never

from ..program.ops import BATCH, COL, HEAD, LEADING, LEAVES, ROW, Mask, Op, Value
from .layout import shaped
from .torch_contract import Operand, contraction
from .torch_ladder import by_channel, carried, printing_order, read_off, sides, unfloored
from .torch_pointwise import TorchPointwise
from .torch_shapes import Sizes, aligned

_SUMS = {Op.CUMSUM: "upto", Op.CUMSUM_BEFORE: "before", Op.CUMSUM_AFTER: "after", Op.REVCUMSUM: "from"}
INLINE = 68
"""A value used once and shorter than this is written where it is used."""


class TorchPrinter(TorchPointwise):
    """Statements for one program, of its static part and of its block's part."""

    # --- bodies ---

    def body(self, static: bool) -> list[str]:
        """The statements of the static part or of the block's part."""
        lines: list[str] = []
        self.fusions, self.read_off = self._fusions(), read_off(self.program, self.static)
        self.unfloored = unfloored(self.program, self.read_off)
        self.carried = carried(self.program, self.read_off, self.uses)
        taken_up = self.taken_up()
        for v in printing_order(self.program, self.read_off):
            if (v.index in self.static) is not static or v.op is Op.NUMBER or v.index in taken_up:
                continue
            if v.op in LEAVES and v.op is not Op.HEAD_INDEX:
                continue
            lines += self._factors(v)
            text, strength = self.expression(v)
            if self._inlined(v, text):
                self._text[v.index] = (text, strength)
                continue
            if v.op is Op.RENAME and text.isidentifier():
                self.names[v.index] = text  # another name for the same tensor
            else:
                lines.append(shaped(f"{self.names[v.index]} = {text}", self._sizes(v).names(v.dims)))
            self._text[v.index] = (self.names[v.index], 9)
        return lines

    def _inlined(self, v: Value, text: str) -> bool:
        return v.op is Op.MAP and self.uses[v.index] == 1 and len(text) <= INLINE and not v.hint

    def crossing(self) -> tuple[str, ...]:
        """Names that the static part hands to the block's part."""
        used = {a for v in self.program.values if v.index not in self.static for a in v.args}
        used |= {i for _, i in self.program.outputs}
        own = {self.names[v.index] for v in self.program.values if v.op in LEAVES - {Op.HEAD_INDEX}}
        names = (self.names[v.index] for v in self.program.values if v.index in used & self.static)
        return tuple(n for n in dict.fromkeys(names) if n not in own)

    def result(self, key: str) -> str:
        i = self.program.output(key)
        v = self.program.values[i]
        return self.text(i) if v.op is Op.NUMBER else self.names[i]

    # --- expressions ---

    def expression(self, v: Value) -> tuple[str, int]:
        """The value's text and how tightly it binds."""
        if v.index in self.read_off:
            pair, which = self.read_off[v.index]
            return f"{self.text(pair)}.{which}()", 9
        if v.index in self.carried:
            x, which, pair, how = self.carried[v.index]
            return f"{self.factors[x, which, pair, v.index in self.static]}.{how}()", 9
        match v.op:
            case Op.MAP:
                return self._map(v)
            case Op.CONTRACT:
                return self._contract(v)
            case Op.SCORES:
                return self._scores(v)
            case _:
                return self._call(v), 9

    def _contract(self, v: Value) -> tuple[str, int]:
        x, y = (self._matching(a, v.is_complex) for a in v.args)
        return self._product(x, y, v, v.dims)

    def _matching(self, index: int, is_complex: bool) -> Operand:
        """The operand, made complex where the other one is: a matrix product does not promote."""
        x, v = self.operand(index), self.program.values[index]
        return Operand(f"{x.text}.to(dtype.to_complex())", x.dims) if is_complex and not v.is_complex else x

    def _sizes(self, v: Value) -> Sizes:
        return Sizes(self.sizes.axes, self._terms.get(v.index, 1))

    def _product(self, x: Operand, y: Operand, v: Value, out: tuple[str, ...]) -> tuple[str, int]:
        text = contraction(x, y, v.attr, out)  # type: ignore[arg-type]
        for d in out:
            text = text.replace(f"@{d}@", self._sizes(v).of(d))
        return text, 2 if " @ " in text and not text.startswith("(") else 9

    def _scores(self, v: Value) -> tuple[str, int]:
        x, y, pair = v.args
        if by_channel(self.program.values[pair]):
            return self._ladder_call(v), 9
        dims = self.program.values[y].dims
        columns = Operand(self.atom(y), tuple(COL if d == ROW else d for d in dims))
        out = tuple(d for d in v.dims if d in (*self.program.values[x].dims, *columns.dims))
        text, _ = self._product(self.operand(x), columns, v, out)
        if self._over_scores(v, out):
            return f"({text}).mul_({aligned(self.atom(pair), self.program.values[pair].dims, out)})", 9
        return f"({text}) * {self.text(pair)}", 2

    def _over_scores(self, v: Value, out: tuple[str, ...]) -> bool:
        """May the decays be multiplied into the product of `x` and `y`, whose dims are `out`?"""
        x, y, pair = v.args
        one = {x, y} <= self.narrow and pair not in self.narrow
        return self.in_place and not one and set(self.program.values[pair].dims) <= set(out)

    def _factors(self, v: Value) -> list[str]:
        """Statements that multiply operands with factors of a pair, unless another product's have."""
        if v.index in self.carried:
            x, which, pair, _ = self.carried[v.index]
            return self._factor(v, x, which, pair)
        pair = self.program.values[v.args[-1]] if v.op in (Op.SCORES, Op.APPLY, Op.APPLY_T) else None
        if pair is None or not by_channel(pair):
            return []
        return [line for x, which in sides(v) for line in self._factor(v, x, which, pair.index)]

    def _factor(self, v: Value, x: int, which: str, pair: int) -> list[str]:
        self.helpers.add("ladder")
        key = x, which, pair, v.index in self.static
        if key in self.factors:
            return []
        self.factors[key] = self.unique(f"{which}_{self.names[x]}")
        return [f"{self.factors[key]} = _{which}({self._flat(x)}, {self.text(pair)})"]

    def _flat(self, index: int) -> str:
        axes = self._axis_count(index)
        return f"{self.atom(index)}.flatten(-{axes})" if axes > 1 else self.text(index)

    def _axis_count(self, index: int) -> int:
        return len([d for d in self.program.values[index].dims if d not in LEADING])

    def _ladder_call(self, v: Value) -> str:
        found = [self.factors[x, which, v.args[-1], v.index in self.static] for x, which in sides(v)]
        if v.op is Op.SCORES:
            return f"_scores({', '.join(found)})"
        text = f"_{v.op.value}({self.text(v.args[0])}, {found[0]})"
        return f"{text}.reshape{self._sizes(v).shape(v.dims)}" if self._axis_count(v.args[1]) > 1 else text

    def _call(self, v: Value) -> str:
        x = v.args[0] if v.args else -1
        row = v.dims.index(ROW) if ROW in v.dims else -1
        match v.op:
            case Op.SUM:
                return f"{self.atom(x)}.sum({self._where(x, v.attr)})"
            case Op.AMAX | Op.PEAK:
                return f"{self.atom(x)}.amax({self._where(x, v.attr)})"
            case Op.EXPAND:
                return self._expand(v)
            case Op.RENAME:
                return self._rename(v)
            case Op.STACK:
                parts = ", ".join(self.text(a) for a in v.args)
                return f"torch.stack(({parts}), {v.dims.index(str(v.attr))})"
            case Op.SELECT:
                dim, index = v.attr  # type: ignore[misc]
                return f"{self.atom(x)}.select({self.program.values[x].dims.index(str(dim))}, {index})"
            case Op.CUMSUM | Op.CUMSUM_BEFORE | Op.CUMSUM_AFTER | Op.REVCUMSUM:
                self.helpers.add("cumsum")
                return f'_summed({self.text(x)}, {row}, "{_SUMS[v.op]}")'
            case Op.UNSHIFT | Op.PLACE_FIRST | Op.PLACE_LAST:
                self.helpers.add(v.op.value)
                extra = ", C" if v.op in (Op.PLACE_FIRST, Op.PLACE_LAST) else ""
                return f"_{v.op.value}({self.text(x)}, {row}{extra})"
            case Op.SHIFT:
                self.helpers.add("shift")
                source = tuple(d for d in v.dims if d != ROW)
                return f"_shift({self.fit(x, v.dims)[0]}, {self.fit(v.args[1], source)[0]}, {row})"
            case Op.FIRST | Op.LAST:
                at = 0 if v.op is Op.FIRST else -1
                return f"{self.atom(x)}.select({self.program.values[x].dims.index(ROW)}, {at})"
            case Op.PAIR:
                return self._pair(v)
            case Op.APPLY | Op.APPLY_T:
                return self._ladder_call(v)
            case Op.SOLVE | Op.SOLVE_T:
                return self._solve(v)
            case Op.SCAN | Op.SCAN_T:
                self.helpers.add("scan")
                a = self.fit(v.args[0], v.dims)[0]
                rest = ", ".join(self.text(i) for i in v.args[1:])
                return f"_{v.op.value}({a}, {rest}, {row})"
            case Op.HEAD_INDEX:
                return "torch.arange(H, dtype=dtype, device=device)"
            case (
                Op.INPUT | Op.PARAM | Op.STATE | Op.COTANGENT | Op.NUMBER | Op.SIZE | Op.HEAD_COUNT
                | Op.MAP | Op.CONTRACT | Op.SCORES | Op.INVERSE
            ):  # fmt: skip
                raise AssertionError(f"{v.op} has its own text")
            case _:
                assert_never(v.op)

    def _where(self, x: int, over: object) -> str:
        dims = self.program.values[x].dims
        at = [dims.index(d) - len(dims) for d in over]  # type: ignore[attr-defined]
        return str(at[0]) if len(at) == 1 else str(tuple(at))

    def _expand(self, v: Value) -> str:
        (x,) = v.args
        shape = self._sizes(v).shape(v.dims)
        if self.program.values[x].op is Op.NUMBER:
            kind = "dtype.to_complex()" if v.is_complex else "dtype"
            return f"torch.full({shape}, {self.text(x)}, dtype={kind}, device=device)"
        text, strength = self.fit(x, v.dims)
        return f"{self._bracketed(text, strength)}.expand{shape}"

    def _rename(self, v: Value) -> str:
        (x,) = v.args
        source, target = v.attr  # type: ignore[misc]
        renamed = [target if d == source else d for d in self.program.values[x].dims]
        order = [renamed.index(d) for d in v.dims]
        if order == sorted(order):
            return self.atom(x)
        return f"{self.atom(x)}.permute({', '.join(map(str, order))})"

    def _pair(self, v: Value) -> str:
        strict = v.attr is Mask.BEFORE
        if not v.args:
            self.helpers.add("causal")
            return f"_causal(C, {strict}, dtype, device)"
        (g,) = v.args
        axes = [d for d in v.dims if d not in LEADING]
        self.helpers.update(("ladder" if axes else "pair", "decay"))
        if not axes:
            return f"_pair({self.text(g)}, {strict})"
        g = self.unfloored.get(g, g)
        flat = f"{self.atom(g)}.flatten(-{len(axes)})" if len(axes) > 1 else self.text(g)
        return f"_ladder({flat}, {strict})"

    def _solve(self, v: Value) -> str:
        self.helpers.add("solve")
        a, x = v.args
        rows = len([d for d in v.dims if d not in LEADING])
        terms = len([d for d in v.dims if d in LEADING and d not in (BATCH, HEAD)])
        return f"_{v.op.value}({self.text(a)}, {self.text(x)}, {terms}, {rows})"
