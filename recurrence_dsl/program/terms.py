"""What sums and products of a program are made of, however they are nested."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from .ops import Op, Prim, Program, Value

SUMS = (Prim.ADD, Prim.SUB)
PRODUCTS = (Prim.MUL, Prim.NEG)


@dataclass(frozen=True, slots=True)
class Term:
    """A number times factors, which are indices of values, summed over the dims `over`. `value`, where there is one, is
    all of it but for its `sign`."""

    number: float
    factors: tuple[int, ...]
    over: tuple[str, ...] = ()
    value: int | None = field(default=None, compare=False)
    sign: float = field(default=1.0, compare=False)

    @property
    def needs(self) -> tuple[int, ...]:
        """What it is computed from."""
        return self.factors if self.value is None else (self.value,)

    def times(self, number: float, factors: tuple[int, ...], over: tuple[str, ...]) -> Term:
        return Term(self.number * number, tuple(sorted((*self.factors, *factors))), over)

    def without(self, other: Term) -> tuple[int, ...]:
        """The factors that another term lacks; none where it has some of its own."""
        own, others = Counter(self.factors), Counter(other.factors)
        return tuple(sorted((own - others).elements())) if others <= own else ()


class Reading:
    """A program's sums and products."""

    def __init__(self, program: Program) -> None:
        self.values = program.values
        self.users: list[list[int]] = [[] for _ in program.values]
        for v in program.values:
            for a in set(v.args):
                self.users[a].append(v.index)
        self.results = {i for _, i in program.outputs}

    def made_by(self, i: int, prims: tuple[Prim, ...]) -> bool:
        v = self.values[i]
        return v.op is Op.MAP and v.attr in prims and not v.is_complex

    def alone(self, i: int) -> bool:
        """Does one other value use this one, and nothing else?"""
        return len(self.users[i]) == 1 and i not in self.results

    def part_of(self, i: int, prims: tuple[Prim, ...]) -> bool:
        """Is a value there only for one made by such a primitive?"""
        return self.alone(i) and self.made_by(self.users[i][0], prims)

    def terms(self, i: int) -> tuple[Term, ...]:
        """A sum's terms; sums that others use too stay whole."""
        return tuple(self._terms(i, 1.0, True))

    def _terms(self, i: int, sign: float, root: bool = False) -> Iterator[Term]:
        v = self.values[i]
        if self.made_by(i, SUMS) and (root or self.alone(i)):
            yield from self._terms(v.args[0], sign)
            yield from self._terms(v.args[1], -sign if v.attr is Prim.SUB else sign)
        elif self.made_by(i, (Prim.NEG,)) and self.alone(i) and self.made_by(v.args[0], SUMS):
            yield from self._terms(v.args[0], -sign)
        else:
            t = self._opened(self.product(i))
            yield Term(sign * t.number, t.factors, t.over, i, sign)

    def spread(self, terms: tuple[Term, ...]) -> tuple[Term, ...]:
        """The same sum, where products with a sum as a factor are sums of products, others' use of them aside."""
        return tuple(s for t in terms for s in self._spread(t))

    def _spread(self, t: Term) -> tuple[Term, ...]:
        for f in t.factors:
            if self.made_by(f, SUMS) and not t.over and len(t.factors) > 1:
                rest = tuple((Counter(t.factors) - Counter((f,))).elements())
                parts = self.terms(f)
                if not any(p.over for p in parts):
                    return tuple(p.times(t.number, rest, ()) for p in parts)
        return (t,)

    def product(self, i: int) -> Term:
        """The number and the factors of a product; a value that is none is its own factor."""
        number, factors, stack = 1.0, [], [i]
        while stack:
            v = self.values[stack.pop()]
            if v.op is Op.NUMBER and isinstance(v.attr, float):
                number *= v.attr
            elif self.made_by(v.index, PRODUCTS):
                number = -number if v.attr is Prim.NEG else number
                stack.extend(v.args)
            else:
                factors.append(v.index)
        return Term(number, tuple(sorted(factors)))

    def _opened(self, t: Term) -> Term:
        """A factor that is a sum of products is opened where the others are constant in the sum."""
        for f in t.factors:
            rest = tuple((Counter(t.factors) - Counter((f,))).elements())
            over = self._summed_over(self.values[f])
            if over and not any(d in over for x in rest for d in self.values[x].dims):
                inside = [self.product(a) for a in self.values[f].args]
                factors = (*rest, *(x for p in inside for x in p.factors))
                return Term(t.number * math.prod(p.number for p in inside), tuple(sorted(factors)), over)
        return t

    def _summed_over(self, v: Value) -> tuple[str, ...]:
        """The dims of a sum, or of a contraction that is a sum of elementwise products."""
        dims = [set(self.values[a].dims) for a in v.args]
        plain = v.op is Op.SUM or (v.op is Op.CONTRACT and (dims[0] <= dims[1] or dims[1] <= dims[0]))
        return v.attr if plain and not v.is_complex else ()  # type: ignore[return-value]
