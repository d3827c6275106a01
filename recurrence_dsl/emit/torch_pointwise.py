"""Prints pointwise primitives as torch expressions, written over an operand where one is used up."""

from __future__ import annotations

from ..program.ops import Op, Prim, Value
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
_FRESH = frozenset((Op.MAP, Op.CONTRACT, Op.SCORES, Op.APPLY, Op.APPLY_T, Op.SOLVE, Op.SOLVE_T, Op.SUM))
"""Operations whose result is a tensor of its own, not a view of an operand."""


class TorchPointwise(TorchOperands):
    """Texts of MAP values."""

    def _map(self, v: Value) -> tuple[str, int]:
        """The text, and how tightly it binds: 1 sums, 2 products, 3 signs, 4 powers, 9 names and calls."""
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
