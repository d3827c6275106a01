"""Prints tiles as Triton statements."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import assert_never

from ...program.ops import COL, ROW, Mask, Prim
from .pairwise import Group, group_lines
from .shapes import Layout, aligned, index_name, mask_name
from .tiles import PAIRWISE, Dims, Kind, Source, Tile, Tiles

_INFIX = {Prim.ADD: ("+", 1), Prim.SUB: ("-", 1), Prim.MUL: ("*", 2), Prim.DIV: ("/", 2)}
_COMPARE = {Prim.LESS: "<", Prim.EQUAL: "=="}
_CALLS = {
    Prim.EXP: "tl.exp",
    Prim.DECAY: "tl.exp",
    Prim.LOG: "tl.log",
    Prim.SQRT: "tl.sqrt",
    Prim.ABS: "tl.abs",
    Prim.SIGMOID: "tl.sigmoid",
    Prim.ERF: "tl.erf",
    Prim.SIN: "tl.sin",
    Prim.COS: "tl.cos",
    Prim.MIN: "tl.minimum",
    Prim.MAX: "tl.maximum",
    Prim.LOG1P: "_log1p",
    Prim.EXPM1: "_expm1",
    Prim.SIGN: "_sign",
    Prim.SOFTPLUS: "_softplus",
    Prim.TANH: "_tanh",
    Prim.POW: "_power",
}
_COSTLY = frozenset(p for p in _CALLS if p not in (Prim.SQRT, Prim.ABS, Prim.MIN, Prim.MAX, Prim.SIGN))
"""Functions that take many instructions."""
_RESERVED = frozenset(
    (
        *(
            "tl",
            "triton",
            "torch",
            "C",
            "T",
            "N",
            "H",
            "h",
            "b",
            "n",
            "e",
            "pid",
            "slot",
            "rows",
            "t0",
            "cu",
            "i_t",
            "m_t",
            "r_t",
        ),
        *(
            "late",
            "half",
            "back",
            "across",
            "apart",
            "corner",
            "sibling",
            "other",
            "share",
            "middle",
            "above",
            "found",
            "first",
        ),
        *("length", "chunk", "step", "first_slot", "RATIO", "SLOTS", "UNITS", "ROWS", "DT", "PRECISION", "EXACT"),
        *("PACKED", "KEEP", "WIDE", "SPAN", "DEVICE", "LEVELS", "level"),
    )
)
_ROUNDED = (Kind.LOAD, Kind.MAP, Kind.MASK, Kind.CAUSAL)
_INLINERS = frozenset((Kind.MAP, Kind.MASK, Kind.CAUSAL, Kind.SUM, Kind.DOT, Kind.TURN))
INLINE = 60
"""A pointwise value used once and shorter than this is written where it is used."""

Place = Callable[[Source, Dims], tuple[str, str]]
"""The pointer to a tile in memory and the mask of its lanes, as texts; an empty mask where none is needed."""


class TilePrinter:
    """Statements for a kernel's tiles, in a given order."""

    def __init__(
        self, tiles: Tiles, order: tuple[int, ...], layout: Layout, place: Place, taken: Iterable[str] = ()
    ) -> None:
        self.tiles, self.order, self.layout, self.place = tiles.tiles, order, layout, place
        self.sums: frozenset[int] = frozenset()
        self.later: frozenset[int] = frozenset()
        self.results = tiles.results
        self.names = self._names(set(_RESERVED) | set(taken))
        self.uses = self._uses()
        self.short = self._short(set(self.names.values()) | set(_RESERVED) | set(taken))
        self.helpers: set[str] = set()
        self._text: dict[int, tuple[str, int]] = {}
        self._grouped: set[int] = set()

    def _names(self, used: set[str]) -> dict[int, str]:
        names: dict[int, str] = {}
        for i in self.order:
            base = re.sub(r"\W", "_", self.tiles[i].hint or "x")
            base = f"{base}_" if keyword.iskeyword(base) or base.startswith("_") else base
            name, n = base, 1
            while name in used:
                n += 1
                name = f"{base}_{n}" if base != "x" else f"x{n}"
            used.add(name)
            names[i] = name
        return names

    def _uses(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {i: [] for i in self.order}
        for i in self.order:
            for a in self.tiles[i].args:
                found[a].append(i)
        return found

    def _short(self, used: set[str]) -> dict[int, str]:
        """Names for what is loaded as factors of products take it, where other operations use it too."""
        found: dict[int, str] = {}
        for i in self.order:
            t = self.tiles[i]
            both = t.kind is Kind.LOAD and len(t.dims) == 2 and not self._factor(t)
            if both and any(
                u.kind is Kind.DOT and not u.attr for u in map(self.tiles.__getitem__, self._real_users(i))
            ):
                name = f"{self.names[i]}_short"
                while name in used:
                    name += "_"
                found[i] = name
                used.add(name)
        return found

    # --- statements ---

    def lines(
        self, order: Sequence[int], sums: frozenset[int] = frozenset(), used_later: Collection[int] = ()
    ) -> list[str]:
        """The statements of tiles in order; `sums` are added to what blocks before gave; `used_later` get names."""
        self.sums, self.later, self._grouped = sums, frozenset(used_later), set()
        found: list[str] = []
        for at, i in enumerate(order):
            if i not in self._grouped:
                found += self._statement(self.tiles[i], order[at:])
        return found

    def zeros(self, sums: Iterable[int]) -> list[str]:
        """The statements that start sums over blocks."""
        found = []
        for i in sorted(sums):
            t = self.tiles[i]
            start = f"tl.zeros({self.layout.shape(t.dims)}, tl.float32)" if t.dims else "0.0"
            found.append(f"{self.names[i]} = {start}")
        return found

    def _statement(self, t: Tile, rest: Sequence[int]) -> list[str]:
        if t.kind in (Kind.NUMBER, Kind.CARRIED) or (t.kind is Kind.EXPAND and self._only_aligned(t)):
            return []
        if t.kind in PAIRWISE:
            return self._pairwise(t, rest)
        if t.kind is Kind.INVERSE and len(t.args) > 1:
            return self._block_inverse(t)
        text, strength = self._expression(t)
        if self._inlined(t, text):
            self._text[t.index] = (text, strength)
            return []
        if self._factor(t):
            self.helpers.update(("dot", "once"))
            text = f"_factor({text}, DT, DEVICE)"
        elif self._fenced(t):
            self.helpers.add("once")
            text = f"_once({text}, DEVICE)"
        lines = [f"{self.names[t.index]} {'+=' if t.index in self.sums else '='} {text}"]
        if t.index in self.short:
            self.helpers.update(("dot", "once"))
            lines.append(f"{self.short[t.index]} = _factor({self.names[t.index]}, DT, DEVICE)")
        return lines

    def _factor(self, t: Tile) -> bool:
        """Is this used as a factor of products alone, so that it may be rounded at once?"""
        if t.kind not in _ROUNDED or len(t.dims) < 2 or t.index in self.sums:
            return False
        users = [self.tiles[u] for u in self._real_users(t.index)]
        stored = any(r.tile == t.index for r in self.results)
        return not stored and all(u.kind is Kind.DOT and not u.attr for u in users)

    def _fenced(self, t: Tile) -> bool:
        """Is this a number a token that tiles use, or a function that is costly to compute? The compiler would compute
        it again for each layout of its users."""
        if t.kind is Kind.MAP and t.attr in _COSTLY and len(t.dims) > 1:
            return True
        if t.dims != (ROW,) or t.index in self.sums or t.kind in (Kind.RENAME, Kind.EXPAND):
            return False
        return any(len(self.tiles[u].dims) > 1 for u in self._real_users(t.index))

    def _real_users(self, i: int) -> Iterator[int]:
        """Users, looking through other names for the tile."""
        for u in self.uses[i]:
            if self.tiles[u].kind in (Kind.RENAME, Kind.EXPAND, Kind.TURN):
                yield from self._real_users(u)
            else:
                yield u

    def _inlined(self, t: Tile, text: str) -> bool:
        if t.kind is Kind.ITEM:
            return True
        if (
            t.index in self.sums
            or t.index in self.later
            or t.kind not in (Kind.MAP, Kind.RENAME, Kind.TURN)
            or t.hint
            or len(text) > INLINE
        ):
            return False
        users = self.uses[t.index]
        if t.kind is not Kind.RENAME and (self._fenced(t) or self._factor(t)):
            return False
        stored = any(r.tile == t.index for r in self.results)
        return len(users) == 1 and not stored and self.tiles[users[0]].kind in _INLINERS

    def _only_aligned(self, t: Tile) -> bool:
        """Is an expanded tile used only where a broadcast happens anyway?"""
        users = self.uses[t.index]
        return all(self._broadcasts(self.tiles[u], t.index) for u in users) and not any(
            r.tile == t.index for r in self.results
        )

    def _broadcasts(self, user: Tile, i: int) -> bool:
        if user.kind is not Kind.MAP:
            return False
        rest = set().union(*(self.tiles[a].dims for a in user.args if a != i), self.tiles[self.tiles[i].args[0]].dims)
        return rest >= set(user.dims)

    # --- operands ---

    def text(self, i: int) -> str:
        return self._operand(i)[0]

    def atom(self, i: int) -> str:
        text, strength = self._operand(i)
        return text if strength >= 9 else f"({text})"

    def _operand(self, i: int) -> tuple[str, int]:
        t = self.tiles[i]
        if t.kind is Kind.NUMBER:
            return number_text(t.attr)  # type: ignore[arg-type]
        return self._text.get(i, (self.names[i], 9))

    def fit(self, i: int, want: Dims, user: Tile | None = None) -> tuple[str, int]:
        """The operand aligned to a result's dims."""
        t = self.tiles[i]
        if t.kind is Kind.EXPAND and user is not None and self._only_aligned(t):
            return self.fit(t.args[0], want)
        if not t.dims or t.dims == want:
            return self._operand(i)
        return aligned(self.atom(i), t.dims, want), 9

    def _taken(self, i: int) -> str:
        """A factor of a product, by the short name of what was loaded."""
        t = self.tiles[i]
        if t.kind is Kind.RENAME and self._loaded(i):
            return self._taken(t.args[0])
        if t.kind is Kind.TURN and self._loaded(i):
            return f"tl.trans({self._taken(t.args[0])})"
        return self.short.get(i, self.text(i))

    def _loaded(self, i: int) -> bool:
        """Is it another name of something that has a short one?"""
        while self.tiles[i].kind in (Kind.RENAME, Kind.TURN):
            i = self.tiles[i].args[0]
        return i in self.short

    def at(self, dim: str, dims: Dims, name: Callable[[str], str] = index_name) -> str:
        return aligned(name(dim), (dim,), dims)

    # --- expressions ---

    def _expression(self, t: Tile) -> tuple[str, int]:
        match t.kind:
            case Kind.MAP:
                return self._map(t)
            case _:
                return self._call(t), 9

    def _map(self, t: Tile) -> tuple[str, int]:
        prim = t.attr
        assert isinstance(prim, Prim)
        if prim in _INFIX:
            return self._infix(t, *_INFIX[prim])
        x = t.args[0]
        if prim is Prim.NEG:
            text, strength = self.fit(x, t.dims, t)
            return (f"-{text}" if strength > 3 else f"-({text})"), 3
        if prim in _COMPARE:
            left, right = (self._bracketed(*self.fit(a, t.dims, t)) for a in t.args)
            return f"({left} {_COMPARE[prim]} {right}).to(tl.float32)", 9
        call = _CALLS[prim]
        if call.startswith("_"):
            self.helpers.add("maths")
        args = ", ".join(self.fit(a, t.dims, t)[0] for a in t.args)
        return f"{call}({args})", 9

    def _bracketed(self, text: str, strength: int) -> str:
        return text if strength >= 9 else f"({text})"

    def _infix(self, t: Tile, sign: str, level: int) -> tuple[str, int]:
        (a, sa), (b, sb) = (self.fit(i, t.dims, t) for i in t.args)
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
                return (
                    f"tl.where({self.at(str(dim), t.dims, mask_name)}, {self.text(x)}, {number_text(float(fill))[0]})"  # type: ignore[arg-type]
                )
            case Kind.CAUSAL:
                return self._causal(t)
            case Kind.EXPAND:
                return self._expand(t)
            case Kind.RENAME:
                return self.text(x)
            case Kind.FLAT | Kind.SPLIT:
                return f"tl.reshape({self.text(x)}, {self.layout.shape(t.dims)})"
            case Kind.TURN:
                order = [self.tiles[x].dims.index(d) for d in t.dims]
                return f"tl.permute({self.text(x)}, {order})" if len(order) > 2 else f"tl.trans({self.text(x)})"
            case Kind.SUM | Kind.MAX:
                return self._reduced(t)
            case Kind.UPTO | Kind.EARLIER | Kind.LATER | Kind.FROM:
                return self._sums(t)
            case Kind.BEFORE:
                first = self.fit(t.args[1], t.dims)[0]
                row = self.at(ROW, t.dims)
                return f"tl.where({row} == 0, {first}, tl.gather({self.text(x)}, {self._rows(t.dims, -1)}, 0))"
            case Kind.AFTER:
                row = self.at(ROW, t.dims)
                return f"tl.where({row} == C - 1, 0.0, tl.gather({self.text(x)}, {self._rows(t.dims, 1)}, 0))"
            case Kind.FIRST | Kind.LAST:
                at = "0" if t.kind is Kind.FIRST else "C - 1" if t.attr else "rows - 1"
                row = self.at(ROW, self.tiles[x].dims)
                return f"tl.sum(tl.where({row} == {at}, {self.text(x)}, 0.0), 0)"
            case Kind.PLACE_FIRST | Kind.PLACE_LAST:
                at = "0" if t.kind is Kind.PLACE_FIRST else "rows - 1"
                return f"tl.where({self.at(ROW, t.dims)} == {at}, {self.fit(x, t.dims)[0]}, 0.0)"
            case Kind.DOT:
                self.helpers.add("dot")
                if t.attr:
                    return f"_dot_exact({self.text(x)}, {self.text(t.args[1])}, PRECISION)"
                return f"_dot({self._taken(x)}, {self._taken(t.args[1])}, DT, PRECISION)"
            case Kind.PAIR:
                self.helpers.add("pair")
                return f"_pair({self.text(x)}, {t.attr is Mask.BEFORE}, {t.dims[0] == COL}, C, EXACT)"
            case Kind.INVERSE:
                self.helpers.update(("dot", "inverse"))
                return f"_inverse({self.text(x)}, {t.attr}, C, LEVELS, PRECISION)"
            case Kind.SCAN:
                return self._scan(t)
            case Kind.ITEM:
                return f"{self.names[x]}[{self._item(t)}]"
            case Kind.CARRIED | Kind.NUMBER | Kind.MAP | Kind.SCORES | Kind.APPLY | Kind.APPLY_T:
                raise AssertionError(f"{t.kind} is printed elsewhere")
            case _:
                assert_never(t.kind)

    def _load(self, t: Tile) -> str:
        assert isinstance(t.attr, Source)
        pointer, mask = self.place(t.attr, t.dims)
        guard = f", mask={mask}, other=0.0" if mask else ""
        return f"tl.load({pointer}{guard}).to(tl.float32)"

    def _causal(self, t: Tile) -> str:
        mask, fill = t.attr  # type: ignore[misc]
        row, column = ("[:, None]", "[None, :]") if t.dims[0] == ROW else ("[None, :]", "[:, None]")
        sign = ">" if mask is Mask.BEFORE else ">="
        return f"tl.where(i_t{row} {sign} i_t{column}, {self.text(t.args[0])}, {number_text(float(fill))[0]})"  # type: ignore[arg-type]

    def _expand(self, t: Tile) -> str:
        (x,) = t.args
        if self.tiles[x].kind is Kind.NUMBER:
            return f"tl.full({self.layout.shape(t.dims)}, {self.text(x)}, tl.float32)"
        if not self.tiles[x].dims:
            return f"tl.zeros({self.layout.shape(t.dims)}, tl.float32) + {self.atom(x)}"
        return f"tl.broadcast_to({aligned(self.atom(x), self.tiles[x].dims, t.dims)}, {self.layout.shape(t.dims)})"

    def _reduced(self, t: Tile) -> str:
        (x,) = t.args
        text, dims = self.text(x), list(self.tiles[x].dims)
        for d in reversed([d for d in dims if d not in t.dims]):
            text = f"tl.{t.kind.value}({text}, {dims.index(d)})"
            dims.remove(d)
        return text

    def _rows(self, dims: Dims, step: int) -> str:
        """The row `step` away from each one, for a gather."""
        near = "tl.maximum(i_t - 1, 0)" if step < 0 else "tl.minimum(i_t + 1, C - 1)"
        return f"tl.broadcast_to({aligned(near, (ROW,), dims)}, {self.layout.shape(dims)})"

    def _sums(self, t: Tile) -> str:
        x = self.text(t.args[0])
        match t.kind:
            case Kind.FROM:
                return f"tl.cumsum({x}, 0, reverse=True)"
            case Kind.UPTO:
                self.helpers.add("sums")
                return f"_upto({x})"
            case _:
                self.helpers.add("sums")
                step = -1 if t.kind is Kind.EARLIER else 1
                return f"_{t.kind.value}({x}, {self.at(ROW, t.dims)}, {self._rows(t.dims, step)}, C, EXACT)"

    def _scan(self, t: Tile) -> str:
        self.helpers.add("scan")
        call = "_compose" if len(t.args) == 2 else "_compose_complex"
        parts = ", ".join(self.text(a) for a in t.args)
        found = f"tl.associative_scan(({parts}), 0, {call}{', reverse=True' if t.attr else ''})"
        return f"{found}[1]" if len(t.args) == 2 else found

    def _item(self, t: Tile) -> int:
        whole = self.tiles[t.args[0]]
        return int(t.attr) + (2 if whole.kind is Kind.SCAN else 0)  # type: ignore[arg-type]

    # --- groups of statements ---

    def _pairwise(self, t: Tile, rest: Sequence[int]) -> list[str]:
        self.helpers.update(("dot", "levels"))
        members = self._companions(t, rest)
        self._grouped.update(m.index for m in members)
        return group_lines(Group(self, members))

    def _companions(self, t: Tile, rest: Sequence[int]) -> tuple[Tile, ...]:
        """Operations with the same decays that follow at once and do not depend on one another."""
        found: list[Tile] = []
        for i in rest:
            o = self.tiles[i]
            if o.kind not in PAIRWISE or o.args[2] != t.args[2] or o.attr != t.attr:
                break
            if any(a in {m.index for m in found} for a in o.args):
                break
            found.append(o)
        return tuple(found)

    def _block_inverse(self, t: Tile) -> list[str]:
        self.helpers.add("dot")
        side = round(len(t.args) ** 0.5)
        return block_inverse_lines(self.names[t.index], [self.text(a) for a in t.args], side, bool(t.attr))


def number_text(value: float) -> tuple[str, int]:
    """A number as a literal that is a float, and how tightly it binds."""
    if value in (float("inf"), -float("inf")):
        return ("float('inf')", 9) if value > 0 else ("float('-inf')", 9)
    return repr(float(value)), 3 if value < 0 else 9


def block_inverse_lines(name: str, a: list[str], side: int, upper: bool) -> list[str]:
    """(I - A)^-1 for A in side x side tiles: the inverses of diagonal blocks of 2, 4, .. rows from those of half as
    many.

    `name` becomes a tuple of the tiles, row by row.
    """
    parts = [[f"{name}_{m}{n}" for n in range(side)] for m in range(side)]
    row, column = ("[:, None]", "[None, :]") if not upper else ("[None, :]", "[:, None]")
    lines = []
    for m in range(side):
        for n in range(side):
            start = "tl.where(i_t[:, None] == i_t[None, :], 1.0, 0.0)" if m == n else "tl.zeros((C, C), tl.float32)"
            lines.append(f"{parts[m][n]} = {start}")
    body = [f"corner = ((i_t{row} ^ i_t{column}) >> level == 1) & (i_t{row} > i_t{column})"]
    for m in range(side):
        for n in range(side):
            terms = [
                f"_dot_exact({parts[m][k]}, tl.where(corner, {a[k * side + n]}, 0.0), PRECISION)" for k in range(side)
            ]
            body.append(f"{name}_by_{m}{n} = {' + '.join(terms)}")
    for m in range(side):
        for n in range(side):
            terms = [f"_dot_exact({name}_by_{m}{k}, {parts[k][n]}, PRECISION)" for k in range(side)]
            body.append(f"{name}_new_{m}{n} = {parts[m][n]} + {' + '.join(terms)}")
    for m in range(side):
        for n in range(side):
            body.append(f"{parts[m][n]} = {name}_new_{m}{n}")
    lines += [
        "for level in tl.range(0, LEVELS, disable_licm=True):",
        *(f"    {line}" for line in body),
    ]
    return [*lines, f"{name} = ({', '.join(p for r in parts for p in r)})"]
