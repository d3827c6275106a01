"""Minimal specs on which a search has once found a fault, each with the case that showed it."""

from __future__ import annotations

import pytest

from recurrence_dsl.check import load_text
from recurrence_dsl.testing import Gates, assert_equivalent, assert_holds, case_for, property_named

FOUND = {
    # no gradient but the state's: the verifier took the backward program for a forward one
    "only the state has a gradient": (
        "input x\nstate s = (1 - 2 ** (-3 - head)) * s[t-1] + 0.7\noutput o = s",
        {"length": 1},
    ),
    # the two sides of a tie: the kernels gave the gradient to one of them, the definition half of it to both
    "max of equal numbers": ("input x, y\nstate s = 0.5 * s[t-1] + x\noutput o = max(s - s, y)", {"scale": 0.0}),
    # 0 / max(0, 1e-300), where float32 holds no 1e-300
    "modulus of zero": (
        "input x\ninput c : complex\nstate s : complex = exp(1i * x) * s[t-1] + c\noutput o = abs(s)",
        {"scale": 0.0},
    ),
    # the conditioning of a softmax of large numbers was taken from another initial state
    "packed softmax": (
        "dim K, V\ninput x : [K]\ninput y : [V]\nstate s : [K, V] = s[t-1] + x * y\noutput o = softmax[V](s)",
        {"scale": 30.0, "length": 50, "sizes": {"K": 2, "V": 8}},
    ),
    "min of equal numbers": ("input x, y\nstate s = 0.5 * s[t-1] + x\noutput o = min(y, x, s - s)", {"scale": 0.0}),
}


@pytest.mark.parametrize("name", FOUND)
def test_forms_agree(name: str) -> None:
    lines, options = FOUND[name]
    spec = load_text(f"mixer m\n{lines}\n")
    case = case_for(spec, **{"length": 5, "heads": 2, "dtype": "float32", **options})
    assert_equivalent(spec, case)
    for prop in ("step", "packed", "split"):
        assert_holds(property_named(prop), spec, case)


@pytest.mark.parametrize("gates", list(Gates))
def test_incoming_gradients_that_cancel(gates: Gates) -> None:
    """A gradient is a sum of incoming ones that nearly cancel: their rounding to float16 was held against it."""
    text = "mixer m\ninput x\nstate s = 0.5 * s[t-1] + x\noutput o = s - s[t-1]\n"
    spec = load_text(text)
    assert_equivalent(spec, case_for(spec, length=8, dtype="float16", seed=627, scale=0.01, gates=gates))
