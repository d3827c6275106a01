"""Affine forms in the states: which terms of an expression contain a state, and with what coefficients.

An expression becomes `const + sum of Terms`. A term is outer * sum[contracted](inner * S): with nothing contracted it
is a plain coefficient, otherwise a read of the state, or, in the state's own update, a rank-one term.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..expr import Apply, AxisFn, Expr, Fn, Kind, Now, Over, Prev, Renamed, Size
from ..source import Span
from .algebra import Algebra, number, value_of
from .recurrence import Read, When


@dataclass(frozen=True, slots=True)
class Term:
    state: str
    when: When
    span: Span
    outer: tuple[Expr, ...] = ()
    contracted: tuple[str, ...] = ()
    inner: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Affine:
    """`opaque` says why the expression, though linear in a held state, is not of the canonical form."""

    const: Expr
    terms: tuple[Term, ...] = ()
    opaque: str = ""

    @property
    def constant(self) -> bool:
        return not self.terms and not self.opaque


class NotAffine(Exception):
    """An expression that is not affine in a held state; `span` is the offending term."""

    def __init__(self, span: Span, states: tuple[str, ...], why: str) -> None:
        self.span, self.states, self.why = span, states, why
        super().__init__(why)


class Reads:
    """Every contraction of a state, each once, with the name it goes by; and which states are used whole."""

    def __init__(self) -> None:
        self.found: dict[tuple[object, ...], Read] = {}
        self.whole: dict[str, Span] = {}

    def named(self, term: Term, query: Expr, axes: tuple[str, ...]) -> Read:
        key = (term.state, term.when, term.contracted, query)
        if key not in self.found:
            name = f"read{len(self.found) + 1}_{term.state}"
            self.found[key] = Read(name, term.state, term.when, term.contracted, query, axes)
        return self.found[key]


class Collector:
    """Collects affine forms. `held` are the states whose terms must stay visible (those being updated)."""

    def __init__(
        self,
        algebra: Algebra,
        values: dict[str, Expr],
        states: dict[str, tuple[tuple[str, ...], bool]],
        held: frozenset[str],
        lagged: frozenset[str],
        reads: Reads,
    ) -> None:
        self.al, self.values, self.states = algebra, values, states
        self.held, self.lagged, self.reads = held, lagged, reads
        self._named: dict[str, Affine] = {}

    def of(self, e: Expr) -> Affine:
        match e:
            case Now(kind=Kind.LET | Kind.OUTPUT):
                return self._value(e)
            case Now(kind=Kind.STATE):
                return Affine(number(0.0), (Term(e.name, When.NOW, e.span),))
            case Prev(kind=Kind.STATE):
                return Affine(number(0.0), (Term(e.name, When.BEFORE, e.span),))
            case Prev() if e.name in self.lagged:
                return Affine(number(0.0), (), f"it depends on its own past through `{e.name}[t-1]`")
            case Apply():
                return self._apply(e)
            case Over():
                return self._over(e)
            case Renamed():
                return self._renamed(e)
            case _:
                return Affine(e)

    def plain(self, form: Affine, span: Span) -> Expr:
        """The form as an expression over reads; a held state's terms cannot be hidden so."""
        held = [t for t in form.terms if t.state in self.held]
        if held or form.opaque:
            states = tuple(dict.fromkeys(t.state for t in held)) or tuple(self.held)
            raise NotAffine(span, states, form.opaque or "a non-linear function of the state")
        return self.al.total([form.const, *(self._term(t) for t in form.terms)])

    # --- names ---

    def _value(self, e: Now) -> Affine:
        if e.name not in self._named:
            form = self.of(self.values[e.name])
            self._named[e.name] = form
        form = self._named[e.name]
        return Affine(e) if form.constant else form

    def _term(self, t: Term) -> Expr:
        """A read, or the whole state, times its outer factors."""
        axes, cplx = self.states[t.state]
        if t.contracted:
            rest = tuple(a for a in axes if a not in t.contracted)
            query = self.al.product(t.inner)
            read = self.reads.named(t, query, rest)
            cplx = cplx or query.is_complex
            leaf: Expr = Now(name=read.name, kind=Kind.READ, axes=self._ordered(rest), is_complex=cplx, span=t.span)
        else:
            self.reads.whole.setdefault(t.state, t.span)
            node = Now if t.when is When.NOW else Prev
            leaf = node(name=t.state, kind=Kind.STATE, axes=self._ordered(axes), is_complex=cplx, span=t.span)
        return self.al.product([*t.outer, leaf])

    def _ordered(self, axes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(a for a in self.al.order if a in axes)

    # --- arithmetic ---

    def _apply(self, e: Apply) -> Affine:
        args = tuple(self.of(a) for a in e.args)
        if all(a.constant for a in args):
            return Affine(self._rebuilt(e, args))
        match e.fn, args:
            case Fn.ADD, (x, y):
                return _sum(self.al.add(x.const, y.const), x, y)
            case Fn.SUB, (x, y):
                return _sum(self.al.sub(x.const, y.const), x, self._scaled(y, number(-1.0)))
            case Fn.NEG, (x,):
                return self._scaled(x, number(-1.0))
            case Fn.MUL, (x, y):
                return self._product(e, x, y)
            case Fn.DIV, (x, y):
                below = self.plain(y, e.args[1].span)
                return self._scaled(x, self.al.apply(Fn.DIV, number(1.0), below, span=e.args[1].span))
            case ((Fn.RE | Fn.IM), (x,)) if self._holds(x):
                return replace(x, terms=(), opaque=f"`{e.fn.value}` of the state is not a multiple of the state")
            case _:
                plain = tuple(self.plain(x, e.span) for x in args)
                return Affine(self.al.apply(e.fn, *plain, span=e.span))

    def _rebuilt(self, e: Apply, args: tuple[Affine, ...]) -> Expr:
        new = tuple(a.const for a in args)
        return e if new == e.args else self.al.apply(e.fn, *new, span=e.span)

    def _holds(self, x: Affine) -> bool:
        return bool(x.opaque) or any(t.state in self.held for t in x.terms)

    def _product(self, e: Apply, x: Affine, y: Affine) -> Affine:
        if self._holds(x) and self._holds(y):
            states = tuple(dict.fromkeys(t.state for t in (*x.terms, *y.terms) if t.state in self.held))
            whose = "the state with itself" if len(states) == 1 else "states that depend on each other over time"
            raise NotAffine(e.span, states, f"a product of {whose}")
        if y.constant or self._holds(x):
            return self._scaled(x, self.plain(y, e.args[1].span))
        return self._scaled(y, self.plain(x, e.args[0].span))

    def _scaled(self, x: Affine, by: Expr) -> Affine:
        factors = self.al.factors(by)
        terms = tuple(replace(t, outer=(*t.outer, *factors)) for t in x.terms)
        return Affine(self.al.mul(x.const, by), terms, x.opaque)

    # --- axes ---

    def _over(self, e: Over) -> Affine:
        x = self.of(e.arg)
        if e.fn is AxisFn.SUM or (e.fn is AxisFn.MEAN and not x.constant):
            summed = self._summed(x, e.over)
            share = self.al.product([self.al.div(number(1.0), Size(axis=a)) for a in e.over])
            return summed if e.fn is AxisFn.SUM else self._scaled(summed, share)
        if x.constant:
            return Affine(e if x.const == e.arg else replace(e, arg=x.const))
        return Affine(replace(e, arg=self.plain(x, e.span)))

    def _summed(self, x: Affine, over: tuple[str, ...]) -> Affine:
        const = self.al.sum_over(x.const, over) if value_of(x.const) != 0 else x.const
        out = Affine(const, (), x.opaque)
        for t in x.terms:
            part = self._contract(t, over)
            out = _sum(self.al.add(out.const, part.const), out, part)
        return out

    def _contract(self, t: Term, over: tuple[str, ...]) -> Affine:
        left = {a for a in self.states[t.state][0] if a not in t.contracted}
        inside = tuple(a for a in over if a in left)
        outside = tuple(a for a in over if a not in left)
        if inside and t.contracted:
            return self._contract_again(t, over)
        opened = tuple(part for f in t.outer for part in self._opened(f, frozenset(inside)))
        moved = tuple(f for f in opened if set(f.axes) & set(inside))
        stay = tuple(f for f in opened if not set(f.axes) & set(inside))
        if any(set(f.axes) - set(inside) for f in moved):
            return self._contract_whole(t, over)
        outer = self.al.factors(self.al.sum_over(self.al.product(stay), outside)) if outside else stay
        axes = self._ordered((*t.contracted, *inside))
        return Affine(number(0.0), (replace(t, outer=outer, contracted=axes, inner=(*t.inner, *moved)),))

    def _opened(self, factor: Expr, inside: frozenset[str]) -> tuple[Expr, ...]:
        """The factor's own factors where it is a product under a name that varies along contracted and other axes."""
        own = set(factor.axes)
        if not (own & inside and own - inside):
            return (factor,)
        body = self.values[factor.name] if isinstance(factor, Now) and factor.kind is Kind.LET else factor
        parts = self.al.factors(body)
        return parts if parts == (factor,) else tuple(p for part in parts for p in self._opened(part, inside))

    def _contract_again(self, t: Term, over: tuple[str, ...]) -> Affine:
        """A second contraction of a read: of another state's it is pointwise; of a held one, a wider rank-one term."""
        if t.state not in self.held:
            return Affine(self.al.sum_over(self._term(t), over))
        if any(set(f.axes) & set(t.contracted) for f in t.outer):
            return Affine(number(0.0), (), "a contraction of it is contracted again")
        return self._contract(replace(t, outer=(*t.outer, *t.inner), contracted=(), inner=()), (*t.contracted, *over))

    def _contract_whole(self, t: Term, over: tuple[str, ...]) -> Affine:
        """A query that varies over axes the state has not: not one read but many."""
        if t.state in self.held:
            return Affine(number(0.0), (), "it is contracted with a matrix, not a vector")
        return Affine(self.al.sum_over(self._term(t), over))

    def _renamed(self, e: Renamed) -> Affine:
        x = self.of(e.arg)
        if x.constant:
            return Affine(e if x.const == e.arg else replace(e, arg=x.const))
        if self._holds(x):
            return replace(x, terms=(), opaque="one of its axes is renamed")
        return Affine(replace(e, arg=self.plain(x, e.span)))


def _sum(const: Expr, *parts: Affine) -> Affine:
    """The parts' terms together, like ones not merged."""
    opaque = next((p.opaque for p in parts if p.opaque), "")
    return Affine(const, tuple(t for p in parts for t in p.terms), opaque)
