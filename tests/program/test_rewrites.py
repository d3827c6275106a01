"""The schedule's rewrites of programs keep their values: executed in float64 against the programs they come from."""

from __future__ import annotations

import numpy as np
import pytest

import recurrence_dsl as rd
from recurrence_dsl.pipeline import derive, lifted
from recurrence_dsl.program.execute import execute
from recurrence_dsl.program.lower import Known
from recurrence_dsl.program.ops import BATCH, HEAD, ROW, Op, Program, only
from recurrence_dsl.program.verify import verify_program
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.schedule.preparing import inverted, prepared
from recurrence_dsl.schedule.rearranging import rearranged

Arrays = dict[tuple[Op, str], np.ndarray]
LEAVES = (Op.INPUT, Op.PARAM, Op.STATE, Op.COTANGENT)
every_spec = pytest.mark.parametrize("path", shipped_specs(), ids=lambda p: p.stem)
TWO_TERMS = """
mixer product
dim    K, V
input  q, k, p : [K]
input  v, w : [V]
input  beta, delta in [0, 2]
state  S : [K, V] = S[t-1] - beta * k * sum[K](k * S[t-1]) + delta * p * sum[K](p * S[t-1]) + beta * k * v + p * w
output o = sum[K](q * S)
"""


def programs(spec: str) -> tuple[Program, Program, dict[str, int]]:
    """A chunk, its adjoint, and sizes to run them with."""
    loaded = rd.load(spec)
    sizes = {d.name: 2 if d.name == "V" else 3 for d in loaded.dims}
    found = derive(lifted(loaded), Known(sizes, 2), "chunk", None).programs
    return found.body, found.backward, {**sizes, BATCH: 2, HEAD: 2, ROW: 5}


def drawn(program: Program, sizes: dict[str, int]) -> Arrays:
    rng = np.random.default_rng(0)
    found: Arrays = {}
    for v in program.values:
        if v.op in LEAVES and not str(v.attr).startswith("@"):
            x = 0.5 * rng.normal(size=[sizes[d] for d in v.dims])
            found[v.op, str(v.attr)] = x + 0.5j * rng.normal(size=x.shape) if v.is_complex else x
    return found


def assert_equal(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for key, x in wanted.items():
        np.testing.assert_allclose(found[key], x, rtol=1e-9, atol=1e-11, equal_nan=True, err_msg=key)


def products(program: Program) -> int:
    return sum(v.op in (Op.CONTRACT, Op.SCORES) for v in program.values)


@every_spec
def test_sums_rearranged(path: object) -> None:
    _, backward, sizes = programs(str(path))
    leaves = drawn(backward, sizes)
    for axis in (None, *backward.axes):
        own = {k for k, i in backward.outputs if axis is None or axis not in backward.values[i].dims}
        part = only(backward, lambda key: key in own)  # noqa: B023
        if own:
            found = rearranged(part)
            verify_program(found)
            assert_equal(execute(found, leaves, sizes), execute(part, leaves, sizes))


def test_a_product_less_for_the_gradient_of_a_scale() -> None:
    """What mamba2's step size is multiplied with, summed over V, needs no product [t, V] of its own."""
    _, backward, _ = programs("mamba2")
    part = only(backward, lambda key: key not in ("input:x", "state:S"))
    assert products(rearranged(part)) == products(part) - 2


@pytest.mark.parametrize(
    "spec", ["gated_delta_net", "dplr", "gla", TWO_TERMS], ids=["delta", "dplr", "gla", "two_terms"]
)
def test_parts_that_read_what_is_prepared(spec: str) -> None:
    body, backward, sizes = programs(spec)
    leaves = drawn(body, sizes) | drawn(backward, sizes)
    for plain in (body, backward):
        assert_equal(execute(inverted(plain), leaves, sizes), execute(plain, leaves, sizes))
    parts = prepared(body, backward)
    assert parts is not None
    assert not any(v.op in (Op.STATE, Op.COTANGENT) for v in parts.prepare.values)
    made = execute(parts.prepare, leaves, sizes)
    read = leaves | {(Op.INPUT, key.removeprefix("keep:")): x for key, x in made.items()}
    assert not any(v.op in (Op.SOLVE, Op.SOLVE_T, Op.INVERSE) for p in (parts.body, parts.backward) for v in p.values)
    assert_equal(execute(parts.body, read, sizes), execute(body, leaves, sizes))
    assert_equal(execute(parts.backward, read, sizes), execute(backward, leaves, sizes))


def test_nothing_to_prepare() -> None:
    body, backward, _ = programs("retnet")
    assert prepared(body, backward) is None
