"""Rewrites sums and products so that they take up what is computed anyway.

An adjoint that is put together rule by rule has q * a + q * b beside a + b, and (a * b) * c beside b * c. Where a sum
has the terms of a factor times another sum, that product stands for them; where a product has the factors of another
one, that one is taken; signs and numbers in a product are gathered, and small terms are added up before large ones.
(The gradient of a decay so becomes a sum of q * dq - k * dk.) A value comes to depend on the chunks before or after
only if it did already: what needs no carried state must not wait for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from .builder import Builder
from .ops import Op, Program, Value
from .terms import PRODUCTS, SUMS, Reading, Term


def factored(program: Program) -> Program:
    """The same results, with fewer operations."""
    found = _Factoring(program)
    found.sums()
    found.products()
    return _rebuilt(program, found) if found.plan else program


def early_first(program: Program, late: Collection[int]) -> Program:
    """The same results, where a sum adds up what is not `late` before what is."""
    found = _Planned(program, in_order=True)
    for v in program.values:
        if found.made_by(v.index, SUMS) and not found.part_of(v.index, SUMS):
            terms = found.terms(v.index)
            is_late = [t.value in late for t in terms]
            if found.sums_in(v.index, late) > sum(is_late):
                found.plan[v.index] = tuple(t for _, t in sorted(zip(is_late, terms, strict=True), key=lambda x: x[0]))
    return _rebuilt(program, found) if found.plan else program


class _Planned(Reading):
    """Sums and products that are to be computed in another way, `plan`: value -> its terms, added up `in_order`, or
    those without a minus first."""

    def __init__(self, program: Program, in_order: bool = False) -> None:
        super().__init__(program)
        self.in_order = in_order
        self.plan: dict[int, tuple[Term, ...]] = {}

    def needs(self, i: int) -> tuple[int, ...]:
        """What a value is computed from, as planned."""
        return tuple(a for t in self.plan[i] for a in t.needs) if i in self.plan else self.values[i].args

    def sums_in(self, i: int, among: Collection[int]) -> int:
        """How many of these values are sums inside a sum, itself included."""
        inner = (a for a in self.values[i].args if self.made_by(a, SUMS) and self.alone(a))
        return (i in among) + sum(self.sums_in(a, among) for a in inner)


class _Factoring(_Planned):
    """Plans what takes up what is computed anyway."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.foreign = self._foreign()

    def _foreign(self) -> list[frozenset[str]]:
        """For each value, which leaves it depends on that come from other chunks."""
        found: list[frozenset[str]] = []
        for v in self.values:
            carried = v.op is Op.STATE or (v.op is Op.COTANGENT and str(v.attr).startswith("state:"))
            own = frozenset((v.op.value,)) if carried else frozenset()
            found.append(own.union(*(found[a] for a in v.args)))
        return found

    # --- sums ---

    def sums(self) -> None:
        """Products of a factor and another sum in the place of a sum's terms."""
        known = {v.index: self.terms(v.index) for v in self.values if self.made_by(v.index, SUMS)}
        for v, terms in known.items():
            if self.part_of(v, SUMS):
                continue
            left = min((self._fewer(v, t, known) for t in (terms, self.spread(terms))), key=len)
            if len(left) < len(terms) or self._scattered(v, left):
                self.plan[v] = left

    def _fewer(self, v: int, terms: tuple[Term, ...], known: Mapping[int, tuple[Term, ...]]) -> tuple[Term, ...]:
        others = sorted((o for o in known if not any(t.over for t in known[o])), key=lambda o: -len(known[o]))
        for other in others:
            if other == v or len(known[other]) > len(terms) or not self._may_take(v, other):
                continue
            for factors, over in sorted({(f, t.over) for t in terms if (f := t.without(known[other][0]))}):
                for sign in (1.0, -1.0):
                    same = Counter(t.times(sign, factors, over) for t in known[other])
                    if same <= Counter(terms):
                        rest = (Counter(terms) - same).elements()
                        product = Term(sign, tuple(sorted((*factors, other))), over)
                        return self._fewer(v, (*rest, product), known)
        return terms

    def _scattered(self, v: int, terms: tuple[Term, ...]) -> bool:
        """Are there several terms with fewer dims than the sum has?"""
        of = [self.values[t.value] for t in terms if t.value is not None]
        return sum(len(x.dims) < len(self.values[v].dims) and x.op is not Op.NUMBER for x in of) > 1

    # --- products ---

    def products(self) -> None:
        """Products that others use in the place of their factors; signs and numbers gathered."""
        known = {v.index: self.product(v.index) for v in self.values if self.made_by(v.index, PRODUCTS)}
        for v, term in known.items():
            if len(term.factors) > 1 and not self.part_of(v, PRODUCTS):
                chain = self._chain(v)
                shorter = self._shorter(v, term, {o: t for o, t in known.items() if o not in chain})
                if len(shorter.factors) - 1 + (shorter.number != 1.0) < len(chain):
                    self.plan[v] = (shorter,)

    def _shorter(self, v: int, term: Term, known: Mapping[int, Term]) -> Term:
        """The product with the first other one that has some of its factors, and just its dims."""
        for other, part in known.items():
            rest = Counter(term.factors) - Counter(part.factors)
            inside = Counter(part.factors) < Counter(term.factors)
            plain = part.number == 1.0 and len(part.factors) > 1 and self.values[v].dims == self.values[other].dims
            if inside and plain and self._may_take(v, other):
                return Term(term.number, tuple(sorted((*rest.elements(), other))))
        return term

    def _chain(self, v: int) -> frozenset[int]:
        """The products and signs that are computed for `v` alone, itself included."""
        found, stack = {v}, list(self.values[v].args)
        while stack:
            i = stack.pop()
            if self.made_by(i, PRODUCTS) and self.alone(i):
                found.add(i)
                stack.extend(self.values[i].args)
        return frozenset(found)

    # --- what depends on what ---

    def _may_take(self, v: int, other: int) -> bool:
        """May `v` depend on `other`: without a circle, and without waiting for other chunks?"""
        return self.foreign[other] <= self.foreign[v] and not self._depends(other, v)

    def _depends(self, i: int, on: int) -> bool:
        seen: set[int] = set()
        stack = [i]
        while stack:
            j = stack.pop()
            if j == on:
                return True
            if j not in seen:
                seen.add(j)
                stack.extend(self.needs(j))
        return False


def _rebuilt(program: Program, found: _Planned) -> Program:
    """The program as planned, every value after what it needs."""
    build, new = Builder(program.axes), dict[int, int]()
    for root in range(len(program.values)):
        stack = [root]
        while stack:
            i = stack[-1]
            missing = [a for a in found.needs(i) if a not in new]
            stack.extend(missing)
            if not missing:
                new[i] = _made(build, program.values[i], found.plan.get(i), new, found.in_order)
                stack.pop()
    return build.program(program.name, ((key, new[i]) for key, i in program.outputs))


def _made(build: Builder, v: Value, terms: tuple[Term, ...] | None, new: Mapping[int, int], in_order: bool) -> int:
    if terms is None:
        return build.emit(v.op, [new[a] for a in v.args], v.attr, v.dims, is_complex=v.is_complex, hint=v.hint)
    parts = [_part(build, t, new) for t in terms]
    total = build.expand(_total(build, parts, in_order), v.dims)
    return build.named(total, v.hint) if v.hint else total


def _total(build: Builder, parts: list[tuple[int, bool]], in_order: bool) -> int:
    """The sum of values with signs; those with the same dims are added up first, and small sums to large ones."""
    kinds: dict[tuple[str, ...], list[tuple[int, bool]]] = {}
    for part, negative in parts:
        kinds.setdefault(build.values[part].dims, []).append((part, negative))
    sums = [_added(build, kinds[dims], in_order) for dims in sorted(kinds, key=len, reverse=True)]
    total, negative = _added(build, sums, in_order)
    return build.neg(total) if negative else total


def _added(build: Builder, parts: list[tuple[int, bool]], in_order: bool) -> tuple[int, bool]:
    """A sum, and whether it has the wrong sign: it begins with what has none, if there is any."""
    (total, sign), *rest = parts if in_order and not parts[0][1] else sorted(parts, key=lambda part: part[1])
    for part, negative in rest:
        total = build.add(total, part) if negative is sign else build.sub(total, part)
    return total, sign


def _part(build: Builder, t: Term, new: Mapping[int, int]) -> tuple[int, bool]:
    """A term without its sign, and whether it is negative. Small factors are multiplied into large ones."""
    if t.value is not None:
        return new[t.value], t.sign < 0
    first, *rest = sorted((new[f] for f in t.factors), key=lambda i: -len(build.dims(i)))
    *inside, last = rest if t.over else (*rest, None)
    for f in inside:
        first = build.mul(first, f)
    if last is not None:
        first = build.contract(first, last, t.over)
    return first if abs(t.number) == 1.0 else build.mul(first, build.number(abs(t.number))), t.number < 0
