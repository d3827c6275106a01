"""Prints pointwise primitives as torch expressions, written over an operand where one is used up."""

from __future__ import annotations

from ..program.ops import BATCH, HEAD, Op, Prim, Program, Value
from .torch_contract import Operand, factors
from .torch_operands import TorchOperands

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
_METHODS = {"+": "add_", "-": "sub_", "*": "mul_", "/": "div_"}
_FRESH = frozenset((
    Op.MAP, Op.CONTRACT, Op.SCORES, Op.APPLY, Op.APPLY_T, Op.SOLVE, Op.SOLVE_T, Op.SUM,
    Op.CUMSUM, Op.CUMSUM_BEFORE, Op.CUMSUM_AFTER, Op.REVCUMSUM,
))  # fmt: skip
"""Operations whose result is a tensor of its own, not a view of an operand."""

_VIEWS = frozenset((Op.RENAME, Op.EXPAND, Op.SELECT, Op.FIRST, Op.LAST))


def is_fresh(program: Program, v: Value) -> bool:
    """Has the value a tensor of its own? Another name for what nothing else looks at has."""
    if v.op is Op.RENAME:
        (x,) = v.args
        alone = sum(x in u.args for u in program.values) == 1 and all(x != i for _, i in program.outputs)
        return alone and is_fresh(program, program.values[x])
    return v.op in _FRESH and v.attr not in (Prim.RE, Prim.IM, Prim.CONJ)


def handed_over(program: Program) -> frozenset[str]:
    """Names of the kept results whose tensors only the receiver uses: fresh ones, of which there is no view."""
    seen = {a for v in program.values if v.op in _VIEWS for a in v.args}
    kept = [(k.removeprefix("keep:"), program.values[i]) for k, i in program.outputs if k.startswith("keep:")]
    return frozenset(name for name, v in kept if v.index not in seen and is_fresh(program, v))


class TorchPointwise(TorchOperands):
    """Texts of MAP values."""

    def _fusions(self) -> dict[int, tuple[int, int]]:
        """Sums that take a product up as it is formed: sum -> (what it is added to or taken from, the product)."""
        found: dict[int, tuple[int, int]] = {}
        for v in self.program.values if self.in_place else ():
            if v.op is Op.MAP and v.attr in (Prim.ADD, Prim.SUB) and v.index not in self.static and not v.is_complex:
                orders = (v.args, v.args[::-1]) if v.attr is Prim.ADD else (v.args,)
                fitting = [(x, y) for x, y in orders if self._takes_up(x, y, v)]
                if fitting:
                    matrices_first = lambda xy: (self.program.values[xy[1]].op is not Op.MAP, xy[1])  # noqa: E731
                    found[v.index] = max(fitting, key=matrices_first)
        return found

    def _takes_up(self, x: int, y: int, v: Value) -> bool:
        product = self.program.values[y]
        alone = self.uses[y] == 1 and not product.hint and product.dims == v.dims and y not in self.static
        pointwise = product.op is Op.MAP and product.attr is Prim.MUL
        return alone and (pointwise or self._is_matrix_product(self._renamed(product))) and self._used_up(x, v)

    def _renamed(self, v: Value) -> Value:
        """What a value only gives another name to, and nothing else uses."""
        if v.op is not Op.RENAME or self.uses[v.args[0]] > 1:
            return v
        source, target = v.attr  # type: ignore[misc]
        x = self.program.values[v.args[0]]
        return x if tuple(target if d == source else d for d in x.dims) == v.dims else v

    def taken_up(self) -> frozenset[int]:
        """Products that are no statements of their own."""
        products = [self.program.values[i] for _, i in self.fusions.values()]
        return frozenset(i for p in products for i in (p.index, self._renamed(p).index))

    def _is_matrix_product(self, v: Value) -> bool:
        if v.op is not Op.CONTRACT or v.dims[:2] != (BATCH, HEAD) or len(v.dims) != 4 or v.index in self.narrow:
            return False
        x, y = (Operand("x", self.program.values[a].dims) for a in v.args)
        return factors(x, y, v.attr, v.dims) is not None  # type: ignore[arg-type]

    def _fused(self, v: Value) -> str:
        """`total + x * y` or `total + x @ y`, or with a minus, written over the total."""
        total, index = self.fusions[v.index]
        minus = v.attr is Prim.SUB
        product = self._renamed(self.program.values[index])
        if product.op is Op.CONTRACT:
            self.helpers.add("plus")
            x, y = (self.operand(a) for a in product.args)
            a, b = factors(x, y, product.attr, product.dims) or ("", "")  # type: ignore[arg-type]
            return f"_plus({self.text(total)}, {a}, {b}{', -1' if minus else ''})"
        numbers = [a for a in product.args if self.program.values[a].op is Op.NUMBER]
        if numbers:
            (rest,) = (a for a in product.args if a not in numbers)
            add = "sub_" if minus else "add_"
            return f"{self.atom(total)}.{add}({self.fit(rest, v.dims)[0]}, alpha={self.text(numbers[0])})"
        x, y = (self.fit(a, v.dims)[0] for a in product.args)
        return f"{self.atom(total)}.addcmul_({x}, {y}{', value=-1' if minus else ''})"

    def _map(self, v: Value) -> tuple[str, int]:
        """The text, and how tightly it binds: 1 sums, 2 products, 3 signs, 4 powers, 9 names and calls."""
        prim = v.attr
        assert isinstance(prim, Prim)
        if prim in _INFIX:
            return self._infix(v, *_INFIX[prim])
        x = v.args[0]
        match prim:
            case Prim.NEG:
                over = self._over(v) and not self._passed_over(v) and not self._operand(x)[0].startswith("-")
                return (f"{self.atom(x)}.neg_()", 9) if over else self._negated(x)
            case Prim.EXP if self._over(v):
                return f"{self.atom(x)}.exp_()", 9
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
        v = self.program.values[index]
        if v.op is Op.MAP and v.attr is Prim.NEG:
            return self._operand(v.args[0])
        text, strength = self._operand(index)
        if strength == 3 and text.startswith("-"):
            return text[1:], 9
        return (f"-{text}" if strength > 3 else f"-({text})"), 3

    def _infix(self, v: Value, sign: str, level: int) -> tuple[str, int]:
        if v.index in self.fusions:
            return self._fused(v), 9
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

    def _over(self, v: Value) -> bool:
        """May the result be written over the only operand?"""
        return self.in_place and v.index not in self.static and self._used_up(v.args[0], v)

    def _passed_over(self, v: Value) -> bool:
        """Is a negated value used by what negates it again, and so reads the value itself?"""
        again = (Prim.NEG, Prim.SOFTPLUS)
        return any(u.op is Op.MAP and u.attr in again and v.index in u.args for u in self.program.values)

    def _used_up(self, index: int, v: Value) -> bool:
        x = self.program.values[index]
        fresh = is_fresh(self.program, x) or (x.op is Op.INPUT and x.attr in self.owned)
        same = x.dims == v.dims and x.is_complex == v.is_complex
        return fresh and same and self.uses[index] == 1 and (index in self.narrow) == (v.index in self.narrow)

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
