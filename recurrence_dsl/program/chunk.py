"""Recurrence -> the program of a chunk of tokens (docs/formalism.md, section 2, with the parts that a spec needs)."""

from __future__ import annotations

from dataclasses import dataclass

from ..expr import Expr, Kind, Now, Prev
from ..maths.algebra import Algebra
from ..maths.logs import FLOOR
from ..maths.recurrence import Form, Read, Recurrence, StateForm, When
from .builder import Builder
from .lower import Known, Lowering
from .ops import COL, ROW, TERM, TERM2, Mask, Op, Prim, Program
from .step import carried_names, declared_dims, is_complex

MASKS = {When.NOW: Mask.NOW, When.BEFORE: Mask.BEFORE}


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a partition of a state's axes, and the log-decay of each token that acts along it, if any."""

    axes: tuple[str, ...]
    g: int | None


@dataclass(frozen=True, slots=True)
class Column:
    """One written product, as its factors on the contracted and on the other side."""

    x: int
    y: int


class _Chunk:
    def __init__(self, recurrence: Recurrence, known: Known) -> None:
        self.rec, self.spec = recurrence, recurrence.spec
        self.b = Builder(tuple(d.name for d in self.spec.dims))
        self.lower = Lowering(self.b, self.now, self.prev, known)
        self.algebra = Algebra(self.b.axes)
        self.bodies = dict(recurrence.values)
        self.reads = {r.name: r for r in recurrence.reads}
        self._erased: dict[tuple[str, tuple[Column, ...]], tuple[int, ...]] = {}
        self._read: dict[str, int] = {}

    # --- names ---

    def now(self, e: Now) -> int:
        match e.kind:
            case Kind.INPUT:
                return self.b.leaf(Op.INPUT, e.name, {ROW} | declared_dims(self.spec, e.name), e.is_complex)
            case Kind.PARAM:
                return self.b.leaf(Op.PARAM, e.name, declared_dims(self.spec, e.name), e.is_complex)
            case Kind.READ:
                return self.read(self.reads[e.name])
            case Kind.STATE:
                return self.materialised(self.rec.state(e.name))
            case _:
                return self.b.named(self.lower(self.bodies[e.name]), e.name)

    def prev(self, e: Prev) -> int:
        return self.b.named(self.b.shift(self.rows(e.name), self.carried(e.name)), f"{e.name}_prev")

    def carried(self, name: str) -> int:
        return self.b.leaf(Op.STATE, name, declared_dims(self.spec, name), is_complex(self.spec, name))

    def rows(self, name: str) -> int:
        """A name's value at every token, with all its dims."""
        kinds = {i.name: Kind.INPUT for i in self.spec.inputs} | {s.name: Kind.STATE for s in self.spec.states}
        kind = kinds.get(name, Kind.LET)
        value = self.now(Now(name=name, kind=kind, is_complex=is_complex(self.spec, name)))
        return self.b.expand(value, {ROW} | declared_dims(self.spec, name))

    # --- elementwise states ---

    def materialised(self, s: StateForm) -> int:
        """The state at every token. Rank-one terms are writes here, once their implicit values are known."""
        a, w = self.lower(s.decay), self.lower(s.input)
        for erase, u in zip(s.erases, self.erased(s, ()), strict=True):
            w = self.b.add(w, self.b.mul(self._scaled(erase.a, s)[1], u))
        return self.b.named(self.b.scan(a, w, self.carried(s.name)), s.name)

    # --- matrix states ---

    def side(self, s: StateForm, axes: frozenset[str], with_scalar: bool) -> Side:
        """The log-decay along `axes` (and what has no axes, if asked for), summed over time."""
        b = self.b
        ordered = tuple(a for a in s.axes if a in axes)
        parts = [g for g in s.log_decay if self._belongs(g, s, axes, with_scalar)]
        total = b.number(0)
        for g in parts:
            total = b.add(total, self.lower(g))
        if b.constant(total) == 0:
            return Side(ordered, None)
        if b.dims(total) & set(ordered):
            total = b.expand(total, ordered)
        step = b.map(Prim.MAX, total, b.number(FLOOR))
        return Side(ordered, b.named(b.expand(step, (ROW,)), f"g_{s.name}"))

    def _belongs(self, g: Expr, s: StateForm, axes: frozenset[str], with_scalar: bool) -> bool:
        own = set(g.axes) & set(s.axes)
        return own <= axes if own else with_scalar

    def sides(self, s: StateForm, contracted: frozenset[str]) -> tuple[Side, Side]:
        """Both sides of a partition; a decay without axes goes where there is a vector decay already."""
        rest = frozenset(s.axes) - contracted
        vector = any(set(g.axes) & contracted for g in s.log_decay)
        other = any(set(g.axes) & rest for g in s.log_decay)
        scalar_right = other and not vector
        return self.side(s, contracted, not scalar_right), self.side(s, rest, scalar_right)

    def columns(self, s: StateForm, contracted: frozenset[str]) -> tuple[Column, ...]:
        """Everything written to the state: the spec's writes and each rank-one term with its implicit value, one column
        where both lie along one vector."""
        rest = frozenset(s.axes) - contracted
        keys = [self._scaled(t.a, s)[1] for t in s.erases]
        taken, written = [], []
        for w in s.writes:
            on = frozenset(s.erase_axes)
            along = self._column(w.factors, on, frozenset(s.axes) - on) if keys else None
            if along is not None and along.x in keys:
                taken.append(along)
            else:
                written.append(self._column(w.factors, contracted, rest))
        for a, u in zip(keys, self.erased(s, self._merged(taken)), strict=True):
            written.append(Column(a, u) if frozenset(s.erase_axes) == contracted else Column(u, a))
        return self._merged(written)

    def _merged(self, columns: list[Column]) -> tuple[Column, ...]:
        """Columns with one contracted side are one column: its pairs of tokens are formed once."""
        found: dict[int, int] = {}
        for c in columns:
            found[c.x] = self.b.add(found[c.x], c.y) if c.x in found else c.y
        return tuple(Column(x, y) for x, y in found.items())

    def _scaled(self, e: Expr, s: StateForm) -> tuple[int, int]:
        """A vector as a number per token times a vector, so that vectors that differ by a number share products."""
        scale = vector = self.b.number(1)
        for f in self.algebra.factors(e):
            if set(f.axes) & set(s.axes):
                vector = self.b.mul(vector, self.lower(f))
            else:
                scale = self.b.mul(scale, self.lower(f))
        return scale, vector

    def _column(self, factors: tuple[Expr, ...], contracted: frozenset[str], rest: frozenset[str]) -> Column:
        x = y = self.b.number(1)
        for f in factors:
            if set(f.axes) & contracted or not (set(f.axes) & rest or rest):
                x = self.b.mul(x, self.lower(f))
            else:
                y = self.b.mul(y, self.lower(f))
        return Column(x, y)

    def erased(self, s: StateForm, taken: tuple[Column, ...]) -> tuple[int, ...]:
        """What each rank-one term a_i (b_i . S_{t-1}) writes along a_i's vector, and what the `taken` writes add there,
        from the triangular system that it solves."""
        if not s.erases:
            return ()
        if (s.name, taken) not in self._erased:
            self._erased[s.name, taken] = self._solve(s, taken)
        return self._erased[s.name, taken]

    def _solve(self, s: StateForm, taken: tuple[Column, ...]) -> tuple[int, ...]:
        """Each u_i is what its query sees of the chunk's start, of the other writes and of every earlier u_j, scaled,
        plus what is written along its vector anyway."""
        b, e = self.b, frozenset(s.erase_axes)
        left, right = self.sides(s, e)
        writes = self._merged([self._column(w.factors, e, frozenset(s.axes) - e) for w in s.writes])
        others = tuple(c for c in writes if c.x not in {t.x for t in taken})
        own = {t.x: t.y for t in taken}
        pair = b.pair(left.g, Mask.BEFORE)
        keys = [self._scaled(t.a, s) for t in s.erases]
        rhs, rows = [], []
        for (scale, a), term in zip(keys, s.erases, strict=True):
            row_scale, q = self._scaled(term.b, s)
            scale = b.mul(scale, row_scale)
            seen = b.mul(scale, self._seen(s, q, When.BEFORE, left, right, others))
            rhs.append(b.add(seen, own.pop(a)) if a in own else seen)
            row = [b.scores(q, k, pair, left.axes) for _, k in keys]
            rows.append([b.named(b.mul(x, scale), f"A_{s.name}") for x in row])
        if len(rows) == 1:
            return (b.named(b.solve(rows[0][0], rhs[0]), f"U_{s.name}"),)
        u = b.named(b.solve(b.stack([b.stack(row, TERM2) for row in rows], TERM), b.stack(rhs, TERM)), f"U_{s.name}")
        return tuple(b.select(u, TERM, i) for i in range(len(rows)))

    def read(self, r: Read) -> int:
        if r.name not in self._read:
            s = self.rec.state(r.state)
            if s.form is not Form.MATRIX:
                whole = self.rows(s.name)
                at = whole if r.when is When.NOW else self.b.shift(whole, self.carried(s.name))
                value = self.b.contract(self.lower(r.query), at, r.contracted)
            else:
                contracted = frozenset(r.contracted)
                left, right = self.sides(s, contracted)
                columns = self.columns(s, contracted)
                scale, query = self._scaled(r.query, s)
                value = self.b.mul(scale, self._seen(s, query, r.when, left, right, columns))
            self._read[r.name] = self.b.named(value, f"r_{s.name}")
        return self._read[r.name]

    def _seen(self, s: StateForm, query: int, when: When, left: Side, right: Side, columns: tuple[Column, ...]) -> int:
        """query . S at every token: what the chunk was handed, then what it wrote itself."""
        b = self.b
        total = b.contract(self._seen_decayed(query, left, when), self.carried(s.name), left.axes)
        total = self._seen_decayed(b.expand(total, {ROW}), right, when)
        pair = b.pair(left.g, MASKS[when])
        for c in columns:
            scores = b.named(b.scores(query, c.x, pair, left.axes), f"A_{s.name}")
            total = b.add(total, self._applied(scores, c.y, when, right))
        return total

    def _applied(self, scores: int, y: int, when: When, right: Side) -> int:
        b = self.b
        if right.g is None:
            return b.contract(scores, b.rename(b.expand(y, {ROW}), ROW, COL), (COL,))
        return b.apply(scores, y, b.pair(right.g, MASKS[when]))

    def _seen_decayed(self, x: int, side: Side, when: When) -> int:
        """`x` times the decay from the chunk's start to each token's read."""
        if side.g is None:
            return x
        op = Op.CUMSUM if when is When.NOW else Op.CUMSUM_BEFORE
        return self.b.mul(x, self.b.decay(self.b.along(op, side.g)))

    def final(self, name: str) -> int:
        """What the next chunk receives."""
        b = self.b
        s = next((f for f in self.rec.states if f.name == name), None)
        if s is None or s.form is not Form.MATRIX:
            return b.along(Op.LAST, self.rows(name))
        contracted = self._main(s)
        left, right = self.sides(s, contracted)
        total = self._through(self._through(self.carried(name), left), right)
        for c in self.columns(s, contracted):
            x, y = self._until_end(c.x, left), self._until_end(c.y, right)
            x, y = b.expand(x, {ROW, *left.axes}), b.expand(y, right.axes)
            total = b.add(total, b.contract(x, y, (ROW,)))
        return b.named(b.expand(total, declared_dims(self.spec, name)), f"{name}_out")

    def _main(self, s: StateForm) -> frozenset[str]:
        """The partition by which the state is carried on: that of its rank-one terms, or of its first read."""
        own = [r.contracted for r in self.rec.reads if r.state == s.name]
        return frozenset(s.erase_axes or (own[0] if own else s.axes[:1]))

    def _through(self, x: int, side: Side) -> int:
        """`x` times the decay of the whole chunk."""
        return x if side.g is None else self.b.mul(x, self.b.decay(self.b.sum(side.g, (ROW,))))

    def _until_end(self, x: int, side: Side) -> int:
        """`x` times the decay from each token to the chunk's end."""
        return x if side.g is None else self.b.mul(x, self.b.decay(self.b.along(Op.CUMSUM_AFTER, side.g)))

    def program(self) -> Program:
        outputs = [(f"output:{o.name}", self.rows(o.name)) for o in self.spec.outputs]
        outputs += [(f"state:{n}", self.final(n)) for n in carried_names(self.spec)]
        return self.b.program(f"{self.spec.name}_chunk", outputs)


def chunk_program(recurrence: Recurrence, known: Known | None = None) -> Program:
    """A chunk of tokens: inputs [.., C, ..], params and the carried state in; outputs and the next state out."""
    return _Chunk(recurrence, known or Known()).program()
