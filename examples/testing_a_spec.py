"""Test the `.spec` files of your own repository.

    pytest examples/testing_a_spec.py

Three lines are enough: the plugin, and a test that hands a spec to its fixture `check_spec`, which attacks it with
every property. The other tests show the parts that the fixture is made of.
"""

from __future__ import annotations

import torch
from hypothesis import given, settings

import recurrence_dsl as rd
from recurrence_dsl.testing import Gates, assert_equivalent, assert_holds, case_for, property_named, strategies

pytest_plugins = ["recurrence_dsl.testing.plugin"]

LEAKY = """\
mixer leaky
dim    K, V
input  q, k : [K]
input  v : [V]
input  g : [V] in (-inf, 0]
state  S : [K, V] = exp(g) * S[t-1] + k * v
output o = sum[K](q * S)
"""
SPEC = rd.load(LEAKY)


def test_every_property(check_spec) -> None:
    """A path or a shipped spec's name does as well. `examples` is the number of cases for each property."""
    check_spec(SPEC, examples=2, dtypes=("float64", "float32"))


def test_one_case() -> None:
    """Chunk form = recurrent form = interpreter at sizes of your own: values, final state, every gradient."""
    assert_equivalent(SPEC, length=37, heads=2, sizes={"K": 5, "V": 3}, chunk_size=16)


def test_one_property_where_gates_shut() -> None:
    assert_holds(property_named("finite"), SPEC, case_for(SPEC, length=20, gates=Gates.SHUT, dtype="float16"))


@settings(max_examples=5, deadline=None)
@given(strategies.inputs(SPEC, dtypes=("float32",)))
def test_a_property_of_your_own(drawn) -> None:
    """`drawn` has `.inputs`, `.params` and `.state`: here, doubling the queries doubles the output."""
    q = drawn.inputs["q"]
    mixer = rd.compile(SPEC, heads=q.shape[2], K=q.shape[3], V=drawn.inputs["v"].shape[3], backend="torch")
    once, twice = (mixer(**{**drawn.inputs, "q": n * q}, initial_state=drawn.state) for n in (1, 2))
    assert torch.equal(2 * once, twice)


@settings(max_examples=3, deadline=None)
@given(strategies.specs())
def test_your_tool_on_any_spec(spec: rd.Spec) -> None:
    """Random well-formed specs, for tools that work on specs: here, printing and reading back."""
    assert rd.load(str(spec.source.text)).states == spec.states
