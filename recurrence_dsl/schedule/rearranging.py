"""Rearranges the sums of a program so that a kernel holds less: numbers a token are taken out of products of matrices,
and a sum over a product takes the one of its two forms that is there anyway.

A sum over V of z times a product x . S is a sum over K of x times z . S; only one of the two products is needed where
the gradients of x and of z's scale are both asked for.
"""

from __future__ import annotations

from dataclasses import replace

from ..program.builder import Builder
from ..program.ops import COL, LEADING, ROW, TERM, TERM2, Op, Prim, Program, Value


def rearranged(program: Program) -> Program:
    """The same results from fewer products, or the program itself where there are not fewer."""
    found = _Summed(_Plain(program).run()).run()
    return found if products(found) < products(program) else program


def products(program: Program) -> int:
    """How many products of matrices a program has."""
    return sum(v.op in (Op.CONTRACT, Op.SCORES) for v in program.values)


class _Rebuilt:
    """A program built again, value by value."""

    def __init__(self, program: Program) -> None:
        self.program, self.b = program, Builder(program.axes)
        self.at: list[int] = []

    def run(self) -> Program:
        for v in self.program.values:
            args = tuple(self.at[a] for a in v.args)
            found = self.other(v, args)
            if found is None:
                self.at.append(self.b.emit(v.op, args, v.attr, v.dims, is_complex=v.is_complex, hint=v.hint))
            else:
                self.at.append(self.b.named(self.b.expand(found, v.dims), v.hint))
        whole = self.b.program(self.program.name, [(k, self.at[i]) for k, i in self.program.outputs])
        return replace(whole, terms=self.program.terms)

    def other(self, v: Value, args: tuple[int, ...]) -> int | None:
        """Another way to compute a value, if there is a better one."""
        raise NotImplementedError

    def factors(self, i: int) -> list[int]:
        """What a value is the product of."""
        v = self.b.values[i]
        if v.op is Op.MAP and v.attr is Prim.MUL and not v.is_complex:
            return [f for a in v.args for f in self.factors(a)]
        if v.op is Op.RENAME and len(inside := self.factors(v.args[0])) > 1:
            source, target = (str(d) for d in v.attr)  # type: ignore[union-attr]
            return [self.b.rename(f, source, target) for f in inside]
        return [i]

    def product(self, factors: list[int]) -> int:
        total = self.b.number(1)
        for f in factors:
            total = self.b.mul(total, f)
        return total

    def plain_number(self, i: int, dims: frozenset[str]) -> bool:
        """Is this a number for each of some dims, none of them an axis or a term?"""
        own = self.b.dims(i)
        return own <= dims and own <= set(LEADING) - {TERM, TERM2}


class _Plain(_Rebuilt):
    """Numbers a token stand outside products of matrices, or with the narrower factor; scores are products."""

    def other(self, v: Value, args: tuple[int, ...]) -> int | None:
        if v.is_complex:
            return None
        if v.op is Op.SCORES and not any(d not in LEADING for d in self.program.values[v.args[2]].dims):
            x, y, pair = args
            return self.b.mul(self.contract(x, self.b.rename(y, ROW, COL), _over(v)), pair)
        if v.op is Op.CONTRACT:
            return self.contract(args[0], args[1], _over(v))
        return None

    def contract(self, x: int, y: int, over: tuple[str, ...]) -> int:
        outside: list[int] = []
        kept = frozenset(LEADING) - frozenset(over)
        x, y = self.stripped(x, kept, outside), self.stripped(y, kept, outside)
        for one, other in ((x, y), (y, x)):
            if {ROW, COL} <= self.b.dims(one) and ROW in over and ROW in self.b.dims(other):
                moved: list[int] = []
                rest = self.stripped(one, frozenset(LEADING) - {COL}, moved)
                scaled = self.product([other, *moved])
                x, y = (rest, scaled) if one == x else (scaled, rest)
                break
        return self.b.mul(self.b.contract(x, y, over), self.product(outside))

    def stripped(self, x: int, dims: frozenset[str], outside: list[int]) -> int:
        """`x` without the factors that are numbers along `dims`; if it is nothing else, all of it."""
        factors = self.factors(x)
        numbers = [f for f in factors if self.plain_number(f, dims)]
        rest = [f for f in factors if f not in numbers]
        if not rest or not numbers or self.b.dims(self.product(rest)) != self.b.dims(x):
            return x
        outside.extend(numbers)
        return self.product(rest)


class _Summed(_Rebuilt):
    """Sums of z (x . S) as sums of x (z . S) where that product exists and the other one has no further use."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.users: dict[int, int] = {}
        for v in program.values:
            for a in set(v.args):
                self.users[a] = self.users.get(a, 0) + 1
        for _, i in program.outputs:
            self.users[i] = self.users.get(i, 0) + 1
        self.contracts = {(frozenset(v.args), v.attr): v.index for v in program.values if v.op is Op.CONTRACT}
        products = (v for v in program.values if v.op is Op.MAP and v.attr is Prim.MUL)
        self.products = {frozenset(v.args): v.index for v in products}

    def other(self, v: Value, args: tuple[int, ...]) -> int | None:
        if v.op is not Op.SUM or v.is_complex:
            return None
        return self.other_sum(v, self.program_factors(v.args[0]))

    def other_sum(self, v: Value, own: list[int]) -> int | None:
        """The sum of a product of factors, one of which is a product of matrices or a sum of such."""
        for c in own:
            rest, part = [f for f in own if f != c], self.program.values[c]
            if part.op is Op.MAP and part.attr is Prim.ADD and self.users[c] == 1:
                both = [self.other_sum(v, [*rest, *self.program_factors(a)]) for a in part.args]
                if None not in both:
                    return self.b.add(*both)  # type: ignore[arg-type]
            if (found := self.other_form(v, c, rest)) is not None:
                return found
        return None

    def other_form(self, v: Value, c: int, rest: list[int]) -> int | None:
        """The sum of x times z . S, for `c` the product x . S and `rest` the factors of z."""
        values, over = self.program.values, frozenset(_over(v))
        if values[c].op is Op.RENAME and self.users[c] == 1:
            return self.renamed_form(v, c, rest)
        if values[c].op is not Op.CONTRACT or self.users[c] > 1:
            return None
        outside = [f for f in rest if set(values[f].dims) <= frozenset(LEADING) - {TERM, TERM2} - over]
        z = self.known_product([f for f in rest if f not in outside])
        if z is None or set(values[z].dims) & set(_over(values[c])):
            return None
        for x, s in (values[c].args, values[c].args[::-1]):
            there = self.contracts.get((frozenset((z, s)), v.attr))
            if there is not None and not set(values[x].dims) & over:
                total = self.b.sum(self.b.mul(self.built(x), self.built(there)), _over(values[c]))
                return self.product([total, *(self.built(f) for f in outside)])
        return None

    def renamed_form(self, v: Value, c: int, rest: list[int]) -> int | None:
        """The same where the product x . S is named anew, its factors' names taken back."""
        target, source = (str(d) for d in self.program.values[c].attr)  # type: ignore[union-attr]
        if source in _over(v) or target in _over(v):
            return None
        back = {(x.args[0], x.attr): x.index for x in self.program.values if x.op is Op.RENAME}
        whole = [f for f in rest if source in self.program.values[f].dims]
        there = [back.get((f, (source, target)), -1) for f in whole]
        if -1 in there or any(target in self.program.values[f].dims for f in rest):
            return None
        inner = self.program.values[c].args[0]
        found = self.other_form(v, inner, [*there, *(f for f in rest if f not in whole)])
        return None if found is None else self.b.rename(found, target, source)

    def program_factors(self, i: int) -> list[int]:
        """What a value is the product of, not looking into products with a further use."""
        v = self.program.values[i]
        if v.op is Op.MAP and v.attr is Prim.MUL and self.users[i] == 1:
            return [f for a in v.args for f in self.program_factors(a)]
        return [i]

    def known_product(self, factors: list[int]) -> int | None:
        """The value that is the product of some factors, if there is one."""
        if len(factors) < 2:
            return factors[0] if factors else None
        for f in factors:
            rest = self.known_product([g for g in factors if g != f])
            found = self.products.get(frozenset((f, rest))) if rest is not None else None
            if found is not None:
                return found
        return None

    def built(self, i: int) -> int:
        """A value of the program in the new one, even one that has not been reached yet."""
        if i < len(self.at):
            return self.at[i]
        v = self.program.values[i]
        args = tuple(self.built(a) for a in v.args)
        return self.b.emit(v.op, args, v.attr, v.dims, is_complex=v.is_complex, hint=v.hint)


def _over(v: Value) -> tuple[str, ...]:
    assert isinstance(v.attr, tuple)
    return tuple(str(d) for d in v.attr)
