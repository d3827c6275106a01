"""Each operation's adjoint by itself, against difference quotients of the executor; and the builder's rewrites."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from recurrence_dsl.program.adjoint import adjoint
from recurrence_dsl.program.builder import Builder
from recurrence_dsl.program.execute import execute
from recurrence_dsl.program.ops import BATCH, COL, HEAD, ROW, TERM, TERM2, Mask, Op, Prim, Program
from recurrence_dsl.program.verify import verify_program

SIZES = {BATCH: 2, HEAD: 2, ROW: 4, COL: 4, "K": 3, "V": 2}
Array = np.ndarray
Build = Callable[[Builder, Callable[..., int]], int]
ROWS = (BATCH, HEAD, ROW)


def value_of(build: Build) -> Program:
    """A program with the built value as its result; `leaf(name, *dims)` makes an input."""
    b = Builder(("K", "V"))
    made = build(b, lambda name, *dims, cplx=False: b.leaf(Op.INPUT, name, dims, cplx))
    return b.program("one", [("output:o", made)])


def tensors(program: Program, seed: int, scale: float = 1.0) -> dict[tuple[Op, str], Array]:
    """Normal numbers for each leaf, those called `g` negative, those called `p` positive."""
    rng, found = np.random.default_rng(seed), {}
    for v in program.values:
        if v.op in (Op.INPUT, Op.STATE):
            noise = scale * rng.standard_normal([SIZES[d] for d in v.dims])
            if v.is_complex:
                noise = noise + 1j * scale * rng.standard_normal(noise.shape)
            signed = {"g": -np.abs(noise), "p": np.abs(noise) + 0.1}
            found[v.op, str(v.attr)] = signed.get(str(v.attr)[0], noise)
    return found


def inner(x: Array, y: Array) -> float:
    return float(np.real(np.conj(x) * y).sum())


OPERATIONS: dict[str, Build] = {
    "map with fewer dims": lambda b, x: b.mul(x("x", *ROWS, "K"), x("y", HEAD)),
    "sum": lambda b, x: b.sum(x("x", *ROWS, "K"), ("K",)),
    "sum of rows": lambda b, x: b.sum(x("x", *ROWS, "K"), (ROW,)),
    "amax": lambda b, x: b.amax(x("x", *ROWS, "K"), ("K",)),
    "expand": lambda b, x: b.expand(x("x", HEAD, "K"), (*ROWS, "V")),
    "rename": lambda b, x: b.mul(b.rename(x("x", *ROWS, "K"), ROW, COL), x("y", *ROWS, "K")),
    "stack and select": lambda b, x: b.select(b.exp(b.stack([x("x", *ROWS), x("y", *ROWS)], TERM)), TERM, 1),
    "cumsum": lambda b, x: b.along(Op.CUMSUM, x("x", *ROWS, "K")),
    "cumsum before": lambda b, x: b.along(Op.CUMSUM_BEFORE, x("x", *ROWS, "K")),
    "cumsum after": lambda b, x: b.along(Op.CUMSUM_AFTER, x("x", *ROWS, "K")),
    "three sums of one": lambda b, x: b.add(
        b.add(b.along(Op.CUMSUM, x("x", *ROWS)), b.exp(b.along(Op.CUMSUM_AFTER, x("x", *ROWS)))),
        b.along(Op.CUMSUM_BEFORE, x("x", *ROWS)),
    ),
    "shift": lambda b, x: b.shift(x("x", *ROWS, "K"), x("y", BATCH, HEAD, "K")),
    "first": lambda b, x: b.along(Op.FIRST, x("x", *ROWS, "K")),
    "last": lambda b, x: b.along(Op.LAST, x("x", *ROWS, "K")),
    "contract": lambda b, x: b.contract(x("x", *ROWS, "K"), x("y", BATCH, HEAD, "K", "V"), ("K",)),
    "contract rows": lambda b, x: b.contract(x("x", *ROWS, "K"), x("y", *ROWS, "V"), (ROW,)),
    "contract a param": lambda b, x: b.contract(x("x", *ROWS, "K"), x("y", HEAD, "K"), ("K",)),
    "contract complex": lambda b, x: b.contract(x("x", *ROWS, "K", cplx=True), x("y", HEAD, "K", "V"), ("K",)),
    "scan": lambda b, x: b.scan(x("x", *ROWS, "K"), x("y", *ROWS, "K"), x("z", BATCH, HEAD, "K")),
    "scan of a param": lambda b, x: b.scan(x("x", HEAD), x("y", *ROWS, "K"), x("z", BATCH, HEAD, "K")),
    "scan complex": lambda b, x: b.scan(
        x("x", *ROWS, cplx=True), x("y", *ROWS, "K"), x("z", BATCH, HEAD, "K", cplx=True)
    ),
    "re and im": lambda b, x: b.mul(b.map(Prim.RE, x("x", *ROWS, cplx=True)), b.map(Prim.IM, x("y", *ROWS, cplx=True))),
    "complex": lambda b, x: b.map(Prim.ABS, b.div(b.exp(x("x", *ROWS, cplx=True)), x("y", *ROWS, cplx=True))),
}
for mask in Mask:
    OPERATIONS |= {
        f"scores, {mask.value}": lambda b, x, mask=mask: b.scores(
            x("x", *ROWS, "K"), x("y", *ROWS, "K"), b.pair(None, mask), ("K",)
        ),
        f"scores of scalar decay, {mask.value}": lambda b, x, mask=mask: b.scores(
            x("x", *ROWS, "K"), x("y", *ROWS, "K"), b.pair(x("g", *ROWS), mask), ("K",)
        ),
        f"scores of vector decay, {mask.value}": lambda b, x, mask=mask: b.scores(
            x("x", *ROWS, "K"), x("y", *ROWS, "K"), b.pair(x("g", *ROWS, "K"), mask), ("K",)
        ),
        f"apply, {mask.value}": lambda b, x, mask=mask: b.apply(
            x("x", *ROWS, COL), x("y", *ROWS, "V"), b.pair(x("g", *ROWS, "V"), mask)
        ),
        f"solve, {mask.value}": lambda b, x, mask=mask: b.solve(
            b.scores(x("x", *ROWS, "K"), x("y", *ROWS, "K"), b.pair(x("g", *ROWS), Mask.BEFORE), ("K",)),
            x("z", *ROWS, "V"),
        ),
    }


def two_terms(b: Builder, x: Callable[..., int]) -> int:
    """The system of two rank-one terms."""
    pair = b.pair(x("g", *ROWS, "K"), Mask.BEFORE)
    keys, queries = ([x(f"{n}{i}", *ROWS, "K") for i in range(2)] for n in "xy")
    rows = [b.stack([b.scores(q, k, pair, ("K",)) for k in keys], TERM2) for q in queries]
    return b.solve(b.stack(rows, TERM), b.stack([x("z", *ROWS, "V"), x("w", *ROWS, "V")], TERM))


OPERATIONS["solve of two terms"] = two_terms
PRIMITIVES = [p for p in Prim if p not in (Prim.LESS, Prim.EQUAL, Prim.SIGN, Prim.CONJ, Prim.RE, Prim.IM)]
BINARY = (Prim.ADD, Prim.SUB, Prim.MUL, Prim.DIV, Prim.POW, Prim.MIN, Prim.MAX)
for prim in PRIMITIVES:
    name = "g" if prim is Prim.DECAY else "p"
    OPERATIONS[prim.value] = lambda b, x, prim=prim, name=name: b.map(
        prim, *(x(f"{name}{i}", *ROWS) for i in range(2 if prim in BINARY else 1))
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_adjoint(name: str) -> None:
    """<g, f(x + h d) - f(x - h d)> / 2h = <f'^T g, d>."""
    program = value_of(OPERATIONS[name])
    backward = adjoint(program)
    verify_program(program)
    verify_program(backward)
    at, direction = tensors(program, 1, 0.5), tensors(program, 2, 0.5)
    value = execute(program, at, SIZES)["output:o"]
    weight = np.random.default_rng(3).standard_normal(value.shape) * (1 + 0.5j if np.iscomplexobj(value) else 1)
    found = execute(backward, {**at, (Op.COTANGENT, "output:o"): weight}, SIZES)
    slope = sum(inner(found[f"input:{n}"], direction[op, n]) for op, n in at)
    step = 1e-6
    ends = [execute(program, {k: at[k] + h * direction[k] for k in at}, SIZES)["output:o"] for h in (step, -step)]
    assert slope == pytest.approx(inner(weight, ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-8)


REWRITES: dict[str, tuple[Build, str]] = {
    "x + 0": (lambda b, x: b.add(x("x", *ROWS), b.number(0)), "x"),
    "0 + x": (lambda b, x: b.add(b.number(0), x("x", *ROWS)), "x"),
    "x - 0": (lambda b, x: b.sub(x("x", *ROWS), b.number(0)), "x"),
    "0 - x": (lambda b, x: b.sub(b.number(0), x("x", *ROWS)), "-x"),
    "x * 1": (lambda b, x: b.mul(x("x", *ROWS), b.number(1)), "x"),
    "-1 * x": (lambda b, x: b.mul(b.number(-1), x("x", *ROWS)), "-x"),
    "x / -1": (lambda b, x: b.div(x("x", *ROWS), b.number(-1)), "-x"),
    "x ** 1": (lambda b, x: b.map(Prim.POW, x("x", *ROWS), b.number(1)), "x"),
    "-(-x)": (lambda b, x: b.neg(b.neg(x("x", *ROWS))), "x"),
    "x + -y": (lambda b, x: b.add(x("x", *ROWS), b.neg(x("y", *ROWS))), "x - y"),
    "-x + y": (lambda b, x: b.add(b.neg(x("x", *ROWS)), x("y", *ROWS)), "y - x"),
    "x - -y": (lambda b, x: b.sub(x("x", *ROWS), b.neg(x("y", *ROWS))), "x + y"),
    "re of a real": (lambda b, x: b.map(Prim.RE, x("x", *ROWS)), "x"),
    "conj of a real": (lambda b, x: b.map(Prim.CONJ, x("x", *ROWS)), "x"),
    "select of a stack": (lambda b, x: b.select(b.stack([x("x", *ROWS), x("y", *ROWS)], TERM), TERM, 1), "y"),
    "contract without a shared dim": (lambda b, x: b.contract(x("x", *ROWS), x("y", *ROWS), ("K",)), "x * y"),
    "folded": (lambda b, x: b.mul(x("x", *ROWS), b.exp(b.sub(b.number(2), b.number(2)))), "x"),
    "not folded": (lambda b, x: b.mul(x("x", *ROWS), b.map(Prim.LOG, b.number(-1.0))), "x * log(-1)"),
}


@pytest.mark.parametrize("name", REWRITES)
def test_a_rewrite_keeps_the_value(name: str) -> None:
    build, meaning = REWRITES[name]
    program = value_of(build)
    verify_program(program)
    at = tensors(program, 1)
    got = execute(program, at, SIZES)["output:o"]
    names = {n: at[op, n] for op, n in at}
    with np.errstate(invalid="ignore"):
        want = eval(meaning, {"log": np.log, **names})  # the table's own expressions
    np.testing.assert_allclose(got, want, rtol=1e-15)


def test_zero_times_anything_is_zero() -> None:
    program = value_of(lambda b, x: b.mul(x("x", *ROWS), b.number(0)))
    assert execute(program, {}, SIZES)["output:o"] == 0


def test_equal_values_are_one() -> None:
    b = Builder(("K",))
    x = b.leaf(Op.INPUT, "x", ROWS)
    assert b.exp(b.mul(x, x)) == b.exp(b.mul(x, x))
    assert b.leaf(Op.INPUT, "x", ROWS) == x
    assert b.number(1) == b.number(1.0) != b.number(1 + 1j)


def test_what_no_result_needs_is_left_out() -> None:
    b = Builder(())
    x = b.leaf(Op.INPUT, "x", ROWS)
    b.exp(x)
    program = b.program("one", [("output:o", b.neg(x))])
    assert [v.op for v in program.values] == [Op.INPUT, Op.MAP]


@pytest.mark.parametrize("mask", Mask)
def test_a_pair_is_the_product_of_the_decays_between(mask: Mask) -> None:
    program = value_of(lambda b, x: b.pair(x("g", *ROWS), mask))
    at = tensors(program, 1)
    decay, got = np.exp(at[Op.INPUT, "g"]), execute(program, at, SIZES)["output:o"]
    for t in range(SIZES[ROW]):
        for s in range(SIZES[ROW]):
            last = t if mask is Mask.NOW else t - 1
            want = decay[:, :, s + 1 : last + 1].prod(2) if s <= last else np.zeros(got.shape[:2])
            np.testing.assert_allclose(got[:, :, t, s], want, rtol=1e-14)
