"""Programs with sums and products rewritten: the same results, fewer operations, and nothing waits for other chunks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from recurrence_dsl.pipeline import lifted, load
from recurrence_dsl.program.adjoint import adjoint
from recurrence_dsl.program.builder import Builder
from recurrence_dsl.program.chunk import chunk_program
from recurrence_dsl.program.execute import execute
from recurrence_dsl.program.factor import early_first, factored
from recurrence_dsl.program.lower import Known
from recurrence_dsl.program.ops import BATCH, HEAD, Op, Prim, Program, Value
from recurrence_dsl.program.verify import verify_program
from recurrence_dsl.resources import shipped_specs

from .test_operations import ROWS, SIZES, tensors

Leaf = Callable[..., int]


def program(build: Callable[[Builder, Leaf], dict[str, int]]) -> Program:
    b = Builder(("K", "V"))
    made = build(b, lambda name, *dims: b.leaf(Op.INPUT, name, dims or (*ROWS, "K")))
    return b.program("one", [(f"output:{name}", i) for name, i in made.items()])


def counted(p: Program) -> int:
    """Operations on whole tensors."""
    return sum(v.op in (Op.MAP, Op.CONTRACT, Op.SUM) for v in p.values)


def common_factor(b: Builder, x: Leaf) -> dict[str, int]:
    """q dq - k dk beside dq and dk, every product formed apart."""
    q, k, a, c, d = (x(n) for n in "qkacd")
    dq = b.add(b.mul(a, d), c)
    total = b.add(b.sub(b.mul(q, c), b.mul(k, a)), b.mul(b.mul(a, q), d))
    return {"dq": dq, "dg": b.along(Op.CUMSUM, total)}


def product_as_factor(b: Builder, x: Leaf) -> dict[str, int]:
    """k dk where k is a product itself."""
    r, m, a, c = (x(n) for n in "rmac")
    k = b.mul(r, m)
    return {"dk": b.add(a, c), "dg": b.along(Op.CUMSUM, b.add(b.mul(k, a), b.mul(k, c))), "k": k}


def product_of_a_sum(b: Builder, x: Leaf) -> dict[str, int]:
    """k dk + m dm beside dk and dm, where two of the products have a factor in common that was taken out of them, and
    where others use what is left."""
    k, m, a, c, d, e, f = (x(n) for n in "kmacdef")
    dk, dm = b.add(b.mul(a, f), c), b.add(b.mul(d, f), e)
    both = b.mul(b.add(b.mul(a, k), b.mul(d, m)), f)
    total = b.add(b.add(both, b.mul(k, c)), b.mul(m, e))
    return {"dk": dk, "dm": dm, "both": b.exp(both), "dg": b.along(Op.CUMSUM, total)}


def under_a_sum(b: Builder, x: Leaf) -> dict[str, int]:
    """The same where the factors are summed over an axis, and a row's own factor stands before the sum."""
    q, a, c, d = x("q"), x("a"), x("c"), x("d", *ROWS)
    dq = b.add(b.mul(a, d), c)
    inside = b.add(b.contract(q, c, "K"), b.mul(b.contract(a, q, "K"), d))
    return {"dq": dq, "dg": b.along(Op.CUMSUM, b.sub(inside, x("r", *ROWS)))}


def product_under_a_sum(b: Builder, x: Leaf) -> dict[str, int]:
    """The same where the factor is a square."""
    q, a, c, d = x("q"), x("a"), x("c"), x("d", *ROWS)
    square = b.mul(q, q)
    dq = b.add(b.mul(a, d), c)
    inside = b.add(b.contract(square, c, "K"), b.mul(b.contract(a, square, "K"), d))
    return {"dq": dq, "square": square, "dg": b.along(Op.CUMSUM, b.sub(inside, x("r", *ROWS)))}


def shared_product(b: Builder, x: Leaf) -> dict[str, int]:
    a, c, d = (x(n) for n in "acd")
    return {"one": b.exp(b.mul(c, d)), "two": b.mul(b.mul(a, c), d)}


def signs(b: Builder, x: Leaf) -> dict[str, int]:
    a, c = x("a"), x("c")
    return {"one": b.neg(b.mul(b.mul(b.neg(a), b.number(3)), b.mul(c, b.number(0.5))))}


def small_first(b: Builder, x: Leaf) -> dict[str, int]:
    a, r, s = x("a"), x("r", *ROWS), x("s", *ROWS)
    return {"one": b.add(b.sub(a, r), s)}


CASES = {
    f.__name__: (f, saved)
    for f, saved in (
        (common_factor, 3),
        (product_as_factor, 2),
        (product_of_a_sum, 1),
        (under_a_sum, 3),
        (product_under_a_sum, 3),
        (shared_product, 1),
        (signs, 3),
        (small_first, 0),
    )
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_results_with_fewer_operations(name: str) -> None:
    build, saved = CASES[name]
    before = program(build)
    after = factored(before)
    verify_program(after)
    assert counted(before) - counted(after) == saved
    given = tensors(before, 1)
    want, got = (execute(p, given, SIZES) for p in (before, after))
    assert want.keys() == got.keys()
    for key in want:
        np.testing.assert_allclose(got[key], want[key], rtol=1e-13, atol=1e-13)


def test_small_terms_are_added_up_before_large_ones() -> None:
    after = factored(program(small_first))
    sizes = [v.dims for v in after.values if v.op is Op.MAP]
    assert sizes == [ROWS, (*ROWS, "K")]


def test_what_needs_no_carried_state_does_not_wait_for_it() -> None:
    """q c + q a s is q times a sum that is known, but the sum needs the state; without it the terms stay."""

    def build(b: Builder, x: Leaf) -> dict[str, int]:
        q, a, c = x("q"), x("a"), x("c")
        s = b.leaf(Op.STATE, "S", (BATCH, HEAD, "K"))
        late = b.add(b.mul(a, s), c)
        return {"late": late, "also": b.exp(b.add(b.mul(q, c), b.mul(b.mul(q, a), s))), "early": b.mul(q, c)}

    after = factored(program(build))
    early = after.output("output:early")
    assert not reaches(after, early, lambda v: v.op is Op.STATE)
    also = after.values[after.values[after.output("output:also")].args[0]]
    assert also.attr is Prim.MUL


def test_a_sum_waits_for_late_terms_last() -> None:
    """Of a + (S - b), the difference a - b is known before S is."""

    def build(b: Builder, x: Leaf) -> dict[str, int]:
        s = b.leaf(Op.STATE, "S", (BATCH, HEAD, "K"))
        return {"one": b.add(x("a"), b.sub(b.expand(s, (*ROWS, "K")), x("b")))}

    def late(p: Program) -> set[int]:
        return {v.index for v in p.values if reaches(p, v.index, lambda v: v.op is Op.STATE)}

    before = program(build)
    after = early_first(before, late(before))
    verify_program(after)
    assert [i for i in late(after) if after.values[i].op is Op.MAP] == [after.output("output:one")]
    assert early_first(after, late(after)) is after
    given = tensors(before, 1)
    want, got = (execute(p, given, SIZES)["output:one"] for p in (before, after))
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)


def reaches(p: Program, i: int, wanted: Callable[[Value], bool]) -> bool:
    v = p.values[i]
    return wanted(v) or any(reaches(p, a, wanted) for a in v.args)


@pytest.mark.parametrize("path", shipped_specs(), ids=lambda p: p.stem)
def test_adjoints_of_shipped_specs(path: object) -> None:
    spec = load(path)  # type: ignore[arg-type]
    sizes = {d.name: 2 for d in spec.dims}
    before = adjoint(chunk_program(lifted(spec), Known(sizes, 2)))
    after = factored(before)
    verify_program(after)
    assert counted(after) <= counted(before)
    of_state = lambda v: v.op is Op.COTANGENT and str(v.attr).startswith("state:")  # noqa: E731
    for key, i in before.outputs:
        assert reaches(before, i, of_state) or not reaches(after, after.output(key), of_state), key
