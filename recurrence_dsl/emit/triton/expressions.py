"""Tiles -> the text that computes each from its operands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from ...program.ops import COL, ROW, Mask, Prim
from .functions import CALLS, COMPARE, INFIX
from .rounds import AGAIN, SPARING
from .shapes import aligned, mask_name, number_text
from .tiles import Dims, Kind, Source, Tile

if TYPE_CHECKING:
    from .printer import TilePrinter


@dataclass(frozen=True, slots=True)
class Expressions:
    """Texts of operations; a printer knows how their operands are written."""

    p: TilePrinter

    def of(self, t: Tile) -> tuple[str, int]:
        match t.kind:
            case Kind.MAP:
                return self._map(t)
            case _:
                return self._call(t), 9

    def _map(self, t: Tile) -> tuple[str, int]:
        prim = t.attr
        assert isinstance(prim, Prim)
        added = [a for a in t.args if a in self.p.added]
        if added:
            (rest,) = (a for a in t.args if a not in added)
            return self.product(self.p.tiles[added[0]], rest), 9
        if prim in INFIX:
            return self._infix(t, *INFIX[prim])
        x = t.args[0]
        if prim is Prim.NEG:
            text, strength = self.p.fit(x, t.dims, t)
            return (f"-{text}" if strength > 3 else f"-({text})"), 3
        if prim in COMPARE:
            left, right = (self._bracketed(*self.p.fit(a, t.dims, t)) for a in t.args)
            return f"({left} {COMPARE[prim]} {right}).to(tl.float32)", 9
        call = CALLS[prim]
        if call.startswith("_"):
            self.p.helpers.add("maths")
        args = ", ".join(self.p.fit(a, t.dims, t)[0] for a in t.args)
        return f"{call}({args})", 9

    def _bracketed(self, text: str, strength: int) -> str:
        return text if strength >= 9 else f"({text})"

    def _infix(self, t: Tile, sign: str, level: int) -> tuple[str, int]:
        (a, sa), (b, sb) = (self.p.fit(i, t.dims, t) for i in t.args)
        left = a if sa >= level else f"({a})"
        right = b if sb > level or (sb == level and sign in "+*") else f"({b})"
        return f"{left} {sign} {right}", level

    def _call(self, t: Tile) -> str:
        x = t.args[0] if t.args else -1
        match t.kind:
            case Kind.LOAD:
                return self._load(t)
            case Kind.HEAD:
                return "h.to(tl.float32)"
            case Kind.MASK:
                dim, fill = t.attr  # type: ignore[misc]
                inside = self.p.at(str(dim), t.dims, mask_name)
                return f"tl.where({inside}, {self.p.text(x)}, {number_text(float(fill))[0]})"  # type: ignore[arg-type]
            case Kind.ROUND:
                self.p.helpers.update(("dot", "once"))
                return f"_factor({self.p.text(x)}, DT, DEVICE)"
            case Kind.CAUSAL:
                return self._causal(t)
            case Kind.EXPAND:
                return self._expand(t)
            case Kind.RENAME:
                return self.p.text(x)
            case Kind.FLAT | Kind.SPLIT:
                return f"tl.reshape({self.p.text(x)}, {self.p.layout.shape(t.dims)})"
            case Kind.TURN:
                order = [self.p.tiles[x].dims.index(d) for d in t.dims]
                return f"tl.permute({self.p.text(x)}, {order})" if len(order) > 2 else f"tl.trans({self.p.text(x)})"
            case Kind.SUM | Kind.MAX:
                return self._reduced(t)
            case Kind.DIAGONAL:
                return f"tl.sum(tl.where(i_t[:, None] == i_t[None, :], {self.p.text(x)}, 0.0), 1)"
            case Kind.UPTO | Kind.EARLIER | Kind.LATER | Kind.FROM:
                return self._sums(t)
            case Kind.BEFORE:
                first = self.p.fit(t.args[1], t.dims)[0]
                row = self.p.at(ROW, t.dims)
                return f"tl.where({row} == 0, {first}, tl.gather({self.p.text(x)}, {self._rows(t.dims, -1)}, 0))"
            case Kind.AFTER:
                row = self.p.at(ROW, t.dims)
                return f"tl.where({row} == C - 1, 0.0, tl.gather({self.p.text(x)}, {self._rows(t.dims, 1)}, 0))"
            case Kind.FIRST | Kind.LAST:
                at = "0" if t.kind is Kind.FIRST else "C - 1" if t.attr else "rows - 1"
                row = self.p.at(ROW, self.p.tiles[x].dims)
                return f"tl.sum(tl.where({row} == {at}, {self.p.text(x)}, 0.0), 0)"
            case Kind.PLACE_FIRST | Kind.PLACE_LAST:
                at = "0" if t.kind is Kind.PLACE_FIRST else "rows - 1"
                return f"tl.where({self.p.at(ROW, t.dims)} == {at}, {self.p.fit(x, t.dims)[0]}, 0.0)"
            case Kind.DOT:
                return self.product(t)
            case Kind.PAIR:
                return self._decays(t)
            case Kind.INVERSE:
                self.p.helpers.update(("dot", "rolled", "inverse"))
                return f"_inverse({self.p.text(x)}, {t.attr}, C, LEVELS, PRECISION, {SPARING}, DEVICE)"
            case Kind.SCAN:
                return self._scan(t)
            case Kind.ITEM:
                return f"{self.p.names[x]}[{self._item(t)}]"
            case Kind.CARRIED | Kind.NUMBER | Kind.MAP | Kind.SCORES | Kind.APPLY | Kind.APPLY_T:
                raise AssertionError(f"{t.kind} is printed elsewhere")
            case _:
                assert_never(t.kind)

    def _decays(self, t: Tile) -> str:
        """Between the tokens of each pair, one number for all channels."""
        self.p.helpers.update(("once", "pair"))
        strict, turned, again = t.attr is Mask.BEFORE, t.dims[0] == COL, AGAIN if self.p.sparing else False
        return f"_pair({self.p.text(t.args[0])}, {strict}, {turned}, C, EXACT, {again}, DEVICE)"

    def product(self, t: Tile, to: int | None = None) -> str:
        """A product of matrices, added to another tile."""
        self.p.helpers.add("dot")
        x, y = t.args
        if t.attr:
            name, factors = "_dot_exact", f"{self.p.text(x)}, {self.p.text(y)}, PRECISION"
        else:
            name, factors = "_dot", f"{self.p.taken(x)}, {self.p.taken(y)}, DT, PRECISION"
        start = "" if to is None else f", {self.p.text(to)}"
        return f"{name}({factors}, {self.p.number()}{start})"

    def _load(self, t: Tile) -> str:
        return f"{self.loaded(t)}.to(tl.float32)"

    def loaded(self, t: Tile) -> str:
        """What is loaded, as it lies in memory."""
        assert isinstance(t.attr, Source)
        pointer, mask = self.p.place(t.attr, t.dims)
        guard = f", mask={mask}, other=0.0" if mask else ""
        return f"tl.load({pointer}{guard})"

    def _causal(self, t: Tile) -> str:
        mask, fill = t.attr  # type: ignore[misc]
        row, column = ("[:, None]", "[None, :]") if t.dims[0] == ROW else ("[None, :]", "[:, None]")
        sign = ">" if mask is Mask.BEFORE else ">="
        return f"tl.where(i_t{row} {sign} i_t{column}, {self.p.text(t.args[0])}, {number_text(float(fill))[0]})"  # type: ignore[arg-type]

    def _expand(self, t: Tile) -> str:
        (x,) = t.args
        if self.p.tiles[x].kind is Kind.NUMBER:
            return f"tl.full({self.p.layout.shape(t.dims)}, {self.p.text(x)}, tl.float32)"
        if not self.p.tiles[x].dims:
            return f"tl.zeros({self.p.layout.shape(t.dims)}, tl.float32) + {self.p.atom(x)}"
        return (
            f"tl.broadcast_to({aligned(self.p.atom(x), self.p.tiles[x].dims, t.dims)}, {self.p.layout.shape(t.dims)})"
        )

    def _reduced(self, t: Tile) -> str:
        (x,) = t.args
        text, dims = self.p.text(x), list(self.p.tiles[x].dims)
        for d in reversed([d for d in dims if d not in t.dims]):
            text = f"tl.{t.kind.value}({text}, {dims.index(d)})"
            dims.remove(d)
        return text

    def _rows(self, dims: Dims, step: int) -> str:
        """The row `step` away from each one, for a gather."""
        near = "tl.maximum(i_t - 1, 0)" if step < 0 else "tl.minimum(i_t + 1, C - 1)"
        return f"tl.broadcast_to({aligned(near, (ROW,), dims)}, {self.p.layout.shape(dims)})"

    def _sums(self, t: Tile) -> str:
        x = self.p.text(t.args[0])
        match t.kind:
            case Kind.FROM:
                return f"tl.cumsum({x}, 0, reverse=True)"
            case Kind.UPTO:
                self.p.helpers.add("sums")
                return f"_upto({x})"
            case _:
                self.p.helpers.add("sums")
                step = -1 if t.kind is Kind.EARLIER else 1
                return f"_{t.kind.value}({x}, {self.p.at(ROW, t.dims)}, {self._rows(t.dims, step)}, C, EXACT)"

    def _scan(self, t: Tile) -> str:
        self.p.helpers.add("scan")
        call = "_compose" if len(t.args) == 2 else "_compose_complex"
        parts = ", ".join(self.p.text(a) for a in t.args)
        found = f"tl.associative_scan(({parts}), 0, {call}{', reverse=True' if t.attr else ''})"
        return f"{found}[1]" if len(t.args) == 2 else found

    def _item(self, t: Tile) -> int:
        whole = self.p.tiles[t.args[0]]
        return int(t.attr) + (2 if whole.kind is Kind.SCAN else 0)  # type: ignore[arg-type]
