"""Prints the values of a block program as torch statements, one function body for each program."""

from __future__ import annotations

import math
from typing import assert_never

from ..program.ops import BATCH, COL, HEAD, LEADING, LEAVES, ROW, Mask, Op, Prim, Program, Value, term_counts
from .layout import shaped
from .names import Names
from .torch_contract import Operand, contraction
from .torch_shapes import Sizes, aligned

_INFIX = {Prim.ADD: ("+", 1), Prim.SUB: ("-", 1), Prim.MUL: ("*", 2), Prim.DIV: ("/", 2), Prim.POW: ("**", 4)}
_CALLS = {
    Prim.EXP: "torch.exp",
    Prim.LOG: "torch.log",
    Prim.LOG1P: "torch.log1p",
    Prim.EXPM1: "torch.expm1",
    Prim.SQRT: "torch.sqrt",
    Prim.ABS: "torch.abs",
    Prim.SIGN: "torch.sign",
    Prim.SIGMOID: "torch.sigmoid",
    Prim.TANH: "torch.tanh",
    Prim.ERF: "torch.erf",
    Prim.SIN: "torch.sin",
    Prim.COS: "torch.cos",
    Prim.RE: "torch.real",
    Prim.IM: "torch.imag",
    Prim.CONJ: "torch.conj",
}
_STATIC = frozenset((Op.PARAM, Op.NUMBER, Op.SIZE, Op.HEAD_INDEX, Op.HEAD_COUNT))
_METHODS = {"+": "add_", "-": "sub_", "*": "mul_", "/": "div_"}
_FRESH = frozenset((Op.MAP, Op.CONTRACT, Op.SCORES, Op.APPLY, Op.APPLY_T, Op.SOLVE, Op.SOLVE_T, Op.SUM))
"""Operations whose result is a tensor of its own, not a view of an operand."""
_SUMS = {Op.CUMSUM: "upto", Op.CUMSUM_BEFORE: "before", Op.CUMSUM_AFTER: "after", Op.REVCUMSUM: "from"}
INLINE = 68
"""A value used once and shorter than this is written where it is used."""


class TorchPrinter:
    """Statements for one program. `static` values depend on parameters alone and are computed once a call."""

    def __init__(
        self, program: Program, sizes: Sizes, taken: frozenset[str] = frozenset(), in_place: bool = False
    ) -> None:
        self.in_place = in_place  # where no autograd watches, a value used up may hold the result
        self.program, self.sizes = program, sizes
        self.names = Names(program, taken).of
        self._terms = term_counts(program)
        self.helpers: set[str] = set()
        self.static = self._static()
        self.uses = self._uses()
        self._text: dict[int, tuple[str, int]] = {}

    def _static(self) -> frozenset[int]:
        found: set[int] = set()
        for v in self.program.values:
            root = v.op in _STATIC or (v.op is Op.PAIR and not v.args)
            if BATCH not in v.dims and (root or (v.args and all(a in found for a in v.args))):
                found.add(v.index)
        return frozenset(found)

    def _uses(self) -> dict[int, int]:
        count = dict.fromkeys(range(len(self.program.values)), 0)
        for v in self.program.values:
            for a in v.args:
                # what crosses from the static part to the block's must have a name
                count[a] += 2 if a in self.static and v.index not in self.static else 1
        for _, i in self.program.outputs:
            count[i] += 2
        return count

    # --- bodies ---

    def body(self, static: bool) -> list[str]:
        """The statements of the static part or of the block's part."""
        lines: list[str] = []
        for v in self.program.values:
            if (v.index in self.static) is not static or v.op is Op.NUMBER:
                continue
            if v.op in LEAVES and v.op is not Op.HEAD_INDEX:
                continue
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

    # --- operands ---

    def text(self, index: int) -> str:
        return self._operand(index)[0]

    def _operand(self, index: int) -> tuple[str, int]:
        v = self.program.values[index]
        if v.op is Op.NUMBER:
            return _number(v.attr)  # type: ignore[arg-type]
        return self._text.get(index, (self.names[index], 9))

    def atom(self, index: int) -> str:
        """The operand's text, bracketed unless it is a name or a call."""
        text, strength = self._operand(index)
        return text if strength >= 9 else f"({text})"

    def fit(self, index: int, want: tuple[str, ...]) -> tuple[str, int]:
        """The operand aligned to a result's dims."""
        have = self.program.values[index].dims
        if aligned("x", have, want) == "x":
            return self._operand(index)
        return aligned(self.atom(index), have, want), 9

    def operand(self, index: int) -> Operand:
        return Operand(self.atom(index), self.program.values[index].dims)

    # --- expressions ---

    def expression(self, v: Value) -> tuple[str, int]:
        """The value's text and how tightly it binds."""
        match v.op:
            case Op.MAP:
                return self._map(v)
            case Op.CONTRACT:
                return self._contract(v)
            case Op.SCORES:
                return self._scores(v)
            case _:
                return self._call(v), 9

    def _map(self, v: Value) -> tuple[str, int]:
        prim = v.attr
        assert isinstance(prim, Prim)
        if prim in _INFIX:
            return self._infix(v, *_INFIX[prim])
        x = v.args[0]
        match prim:
            case Prim.NEG:
                return self._negated(x)
            case Prim.DECAY:
                self.helpers.add("decay")
                return f"_decay({self.text(x)})", 9
            case Prim.SOFTPLUS:
                return f"-torch.nn.functional.logsigmoid({self._negated(x)[0]})", 3
            case Prim.MIN | Prim.MAX:
                return self._extreme(v, prim), 9
            case Prim.LESS | Prim.EQUAL:
                sign = "<" if prim is Prim.LESS else "=="
                left, right = (self._bracketed(*self.fit(a, v.dims)) for a in v.args)
                return f"({left} {sign} {right}).to(dtype)", 9
            case _:
                return f"{_CALLS[prim]}({self.text(x)})", 9

    def _negated(self, index: int) -> tuple[str, int]:
        text, strength = self._operand(index)
        if strength == 3 and text.startswith("-"):
            return text[1:], 9
        return (f"-{text}" if strength > 3 else f"-({text})"), 3

    def _bracketed(self, text: str, strength: int) -> str:
        return text if strength >= 9 else f"({text})"

    def _infix(self, v: Value, sign: str, level: int) -> tuple[str, int]:
        written = self._in_place(v, sign)
        if written:
            return written, 9
        (a, sa), (b, sb) = (self.fit(i, v.dims) for i in v.args)
        left = a if sa > level or (sa == level and sign in "+-*/") else f"({a})"
        right = b if sb > level or (sb == level and sign in "+*") else f"({b})"
        return f"{left} {sign} {right}", level

    def _in_place(self, v: Value, sign: str) -> str:
        """The result written over an operand that nothing else needs; empty where there is none."""
        method = _METHODS.get(sign)
        if method is None or not self.in_place:
            return ""
        x, y = v.args
        if self._used_up(x, v):
            return f"{self.atom(x)}.{method}({self.fit(y, v.dims)[0]})"
        if sign in "+*" and self._used_up(y, v):
            return f"{self.atom(y)}.{method}({self.fit(x, v.dims)[0]})"
        return ""

    def _used_up(self, index: int, v: Value) -> bool:
        x = self.program.values[index]
        fresh = x.op in _FRESH and x.attr not in (Prim.RE, Prim.IM, Prim.CONJ)
        return fresh and self.uses[index] == 1 and x.dims == v.dims and x.is_complex == v.is_complex

    def _extreme(self, v: Value, prim: Prim) -> str:
        x, y = v.args
        bound = self.program.values[y]
        if bound.op is Op.NUMBER:
            end = "min" if prim is Prim.MAX else "max"
            return f"torch.clamp({self.text(x)}, {end}={self.text(y)})"
        if self.program.values[x].op is Op.NUMBER:
            end = "min" if prim is Prim.MAX else "max"
            return f"torch.clamp({self.text(y)}, {end}={self.text(x)})"
        call = "torch.maximum" if prim is Prim.MAX else "torch.minimum"
        return f"{call}({self.fit(x, v.dims)[0]}, {self.fit(y, v.dims)[0]})"

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
        if self._vector_pair(pair):
            return self._ladder_call("scores", v), 9
        dims = self.program.values[y].dims
        columns = Operand(self.atom(y), tuple(COL if d == ROW else d for d in dims))
        out = tuple(d for d in v.dims if d in (*self.program.values[x].dims, *columns.dims))
        text, _ = self._product(self.operand(x), columns, v, out)
        if self.in_place and set(self.program.values[pair].dims) <= set(out):
            return f"({text}).mul_({aligned(self.atom(pair), self.program.values[pair].dims, out)})", 9
        return f"({text}) * {self.text(pair)}", 2

    def _vector_pair(self, index: int) -> bool:
        return any(d not in LEADING for d in self.program.values[index].dims)

    def _ladder_call(self, which: str, v: Value) -> str:
        self.helpers.update(("ladder", which))
        x, y, pair = v.args
        axes = len([d for d in self.program.values[y].dims if d not in LEADING])
        flat = lambda i: f"{self.atom(i)}.flatten(-{axes})" if axes > 1 else self.text(i)  # noqa: E731
        first = flat(x) if which == "scores" else self.text(x)
        text = f"_{which}({first}, {flat(y)}, {self.text(pair)})"
        if axes > 1 and which != "scores":
            text += f".reshape{self._sizes(v).shape(v.dims)}"
        return text

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
                return self._ladder_call(v.op.value, v)
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
                | Op.MAP | Op.CONTRACT | Op.SCORES
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
        flat = f"{self.atom(g)}.flatten(-{len(axes)})" if len(axes) > 1 else self.text(g)
        return f"_ladder({flat}, {strict})"

    def _solve(self, v: Value) -> str:
        self.helpers.add("solve")
        a, x = v.args
        rows = len([d for d in v.dims if d not in LEADING])
        terms = len([d for d in v.dims if d in LEADING and d not in (BATCH, HEAD)])
        return f"_{v.op.value}({self.text(a)}, {self.text(x)}, {terms}, {rows})"


def _number(value: float | complex) -> tuple[str, int]:
    if isinstance(value, complex):
        return repr(value), 9
    if math.isinf(value):
        return ("math.inf", 9) if value > 0 else ("-math.inf", 3)
    text = repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return text, 3 if value < 0 else 9


__all__ = ["TorchPrinter", "HEAD"]
