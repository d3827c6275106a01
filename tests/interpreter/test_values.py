"""Small cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from recurrence_dsl.check import load_text
from recurrence_dsl.diagnostics import CallError
from recurrence_dsl.interpreter import interpret, trace

HEAD = "mixer m\ndim K, V\n"


def column(*values: complex) -> np.ndarray:
    """One batch element, one head, a scalar per token."""
    return np.array(values).reshape(1, -1, 1)


def scalar(text: str, **inputs: np.ndarray) -> list[complex]:
    outputs, _ = interpret(load_text("mixer m\n" + text), inputs)
    return next(iter(outputs.values())).reshape(-1).tolist()


def test_decaying_sum() -> None:
    got = scalar("input x\nstate h = 0.5 * h[t-1] + x\noutput o = h", x=column(1, 2, 4))
    assert got == [1, 2.5, 5.25]


def test_read_before_the_write() -> None:
    got = scalar("input x\nstate h = 0.5 * h[t-1] + x\noutput o = h[t-1] + 10 * x", x=column(1, 2, 4))
    assert got == [10, 21, 42.5]


def test_outer_product_and_contraction() -> None:
    spec = load_text(
        HEAD + "input q, k : [K]\ninput v : [V]\nstate S : [K, V] = S[t-1] + k * v\noutput o = sum[K](q * S)"
    )
    k, v = np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 0, -1], [2, 1, 0]])
    q = np.array([[1.0, 1], [1, -1]])
    inputs = {"q": q[None, :, None], "k": k[None, :, None], "v": v[None, :, None]}
    outputs, state = interpret(spec, inputs)
    np.testing.assert_allclose(outputs["o"][0, :, 0], [[3, 0, -3], [-3, -1, 1]])
    np.testing.assert_allclose(state["S"][0, 0], [[7, 3, -1], [10, 4, -2]])


def test_delta_rule_replaces_what_a_key_holds() -> None:
    update = "state S : [K, V] = S[t-1] + k * (v - sum[K](k * S[t-1]))"
    text = f"input k : [K]\ninput v : [V]\n{update}\noutput o = sum[K](k * S)"
    unit, v = np.array([0.6, 0.8]), np.array([[1.0, 2], [5, 6]])
    inputs = {"k": np.broadcast_to(unit, (1, 2, 1, 2)), "v": v[None, :, None]}
    outputs, state = interpret(load_text(HEAD + text), inputs)
    np.testing.assert_allclose(outputs["o"][0, :, 0], v, atol=1e-15)
    np.testing.assert_allclose(state["S"][0, 0], np.outer(unit, v[1]), atol=1e-15)


def test_statement_order_is_free_and_states_feed_each_other() -> None:
    text = "output o = b\nstate b = b[t-1] + a\nlet twice = 2 * x\nstate a = a[t-1] + twice\ninput x"
    assert scalar(text, x=column(1, 1, 1)) == [2, 6, 12]


def test_previous_operands_start_at_zero_and_are_carried() -> None:
    text = "mixer m\ninput x\nlet y = 3 * x\nstate h = h[t-1] + x[t-1] * y[t-1] + x\n"
    spec = load_text(text + "output o = h - p[t-1]\noutput p = x")
    whole, last = interpret(spec, {"x": column(1, 2, 3)})
    first, middle = interpret(spec, {"x": column(1, 2)})
    second, final = interpret(spec, {"x": column(3)}, initial_state=middle)
    assert whole["o"].ravel().tolist() == [1, 5, 19]
    assert set(last) == {"h", "x", "y", "p"}
    np.testing.assert_allclose(np.concatenate((first["o"], second["o"]), axis=1), whole["o"])
    assert all(np.array_equal(last[name], final[name]) for name in last)


def test_groups_are_shared_by_neighbouring_heads() -> None:
    spec = load_text(
        HEAD + "input k : [K] per group\ninput v : [V]\nstate S : [K, V] = S[t-1] + k * v\noutput o = sum[K](S)"
    )
    k = np.array([1.0, 10]).reshape(1, 1, 2, 1)
    outputs, _ = interpret(spec, {"k": k, "v": np.ones((1, 1, 4, 1))})
    assert outputs["o"].ravel().tolist() == [1, 1, 10, 10]


def test_grouped_input_read_one_step_back_keeps_one_value_a_group() -> None:
    spec = load_text("mixer m\ninput k per group\ninput v\nstate h = h[t-1] + k[t-1] * v\noutput o = h")
    k, v = np.array([[1.0, 10], [2, 20]])[None], np.ones((1, 2, 4))
    outputs, state = interpret(spec, {"k": k, "v": v})
    assert outputs["o"][0, 1].tolist() == [1, 1, 10, 10]
    assert state["k"].tolist() == [[2, 20]]
    again, _ = interpret(spec, {"k": k, "v": v}, initial_state=state)
    assert again["o"][0, 0].tolist() == [3, 3, 30, 30]


def test_head_index_heads_and_sizes() -> None:
    text = HEAD + "input x : [K]\nstate h : [K] = h[t-1] + x\noutput o = sum[K](h) * K + 100 * head + 1000 * heads"
    outputs, _ = interpret(load_text(text.replace("dim K, V", "dim K")), {"x": np.ones((1, 1, 3, 2))})
    assert outputs["o"].ravel().tolist() == [3004, 3104, 3204]


def test_renamed_axis_and_second_order_features() -> None:
    text = "mixer m\ndim K, J\ninput k : [K]\nstate S : [K, J] = S[t-1] + k * k[K -> J]\n"
    spec = load_text(text + "output o = sum[K, J](S * (k[K -> J]))")
    outputs, state = interpret(spec, {"k": np.array([1.0, 2]).reshape(1, 1, 1, 2)})
    assert state["S"][0, 0].tolist() == [[1, 2], [2, 4]]
    assert outputs["o"].ravel().tolist() == [15]


def test_complex_state_rotates() -> None:
    text = "input x\nstate h : complex = 1i * h[t-1] + x\noutput a = re(h)\noutput b = im(h)"
    outputs, state = interpret(load_text("mixer m\n" + text), {"x": column(1, 0, 0, 0)})
    assert outputs["a"].ravel().tolist() == [1, 0, -1, 0]
    assert outputs["b"].ravel().tolist() == [0, 1, 0, -1]
    assert state["h"].dtype == np.complex128


def test_declared_axis_order_is_kept_at_the_boundary() -> None:
    spec = load_text(HEAD + "input x : [V, K]\nstate S : [V, K] = S[t-1] + x\noutput o = S")
    x = np.arange(6.0).reshape(1, 1, 1, 2, 3)
    outputs, state = interpret(spec, {"x": x})
    assert state["S"].shape == (1, 1, 2, 3)
    np.testing.assert_array_equal(outputs["o"][0, 0, 0], x[0, 0, 0].T)


@pytest.mark.parametrize(
    ("function", "at", "value"),
    [
        ("sigmoid(x)", 0.0, 0.5),
        ("sigmoid(x)", -1e4, 0.0),
        ("sigmoid(x)", -700.0, math.exp(-700)),
        ("logsigmoid(x)", -1e4, -1e4),
        ("logsigmoid(x)", 50.0, -math.exp(-50)),
        ("softplus(x)", 1e4, 1e4),
        ("softplus(x)", -700.0, math.exp(-700)),
        ("silu(x)", 1e4, 1e4),
        ("silu(x)", -1e4, 0.0),
        ("gelu(x)", 1.0, 0.8413447460685429),
        ("gelu(x)", -10.0, -7.619853024160593e-23),
        ("elu(x)", -1e-12, math.expm1(-1e-12)),
        ("elu(x)", 1e4, 1e4),
        ("exp(-exp(x))", 1e4, 0.0),
        ("tanh(x)", 1e4, 1.0),
        ("relu(x)", -2.0, 0.0),
        ("max(x, 1)", 3.0, 3.0),
        ("min(x, 1)", 3.0, 1.0),
        ("square(x)", 3.0, 9.0),
        ("x ** 3", -2.0, -8.0),
        ("2 ** x", 3.0, 8.0),
        ("abs(x) + sqrt(4) - log(exp(1))", -1.5, 2.5),
        ("sin(x) ** 2 + cos(x) ** 2", 0.3, 1.0),
    ],
)
def test_functions_are_exact_and_do_not_overflow(function: str, at: float, value: float) -> None:
    got = scalar(f"input x\nstate h = {function} + 0 * h[t-1]\noutput o = h", x=column(at))
    assert got[0] == pytest.approx(value, rel=4e-15, abs=1e-320)


@pytest.mark.parametrize(
    ("function", "value"),
    [
        ("sum[K](x)", 7.0),
        ("mean[K](x)", 3.5),
        ("max[K](x)", 4.0),
        ("sum[K](softmax[K](x) * x)", (3 * math.exp(-1) + 4) / (math.exp(-1) + 1)),
        ("max[K](l2norm[K](x))", 4 / math.sqrt(25 + 1e-6)),
        ("max[K](rmsnorm[K](x))", 4 / math.sqrt(12.5 + 1e-6)),
    ],
)
def test_functions_over_axes(function: str, value: float) -> None:
    spec = load_text(f"mixer m\ndim K\ninput x : [K]\nstate h = 0.5 * h[t-1] + {function}\noutput o = h")
    outputs, _ = interpret(spec, {"x": np.array([3.0, 4]).reshape(1, 1, 1, 2)})
    assert outputs["o"].item() == pytest.approx(value, rel=1e-14)


def test_empty_and_single_sequences() -> None:
    spec = load_text(HEAD + "input k : [K]\ninput v : [V]\nstate S : [K, V] = S[t-1] + k * v\noutput o = sum[K](S)")
    start = {"S": np.full((2, 3, 4, 5), 2.0)}
    outputs, state = interpret(spec, {"k": np.ones((2, 0, 3, 4)), "v": np.ones((2, 0, 3, 5))}, initial_state=start)
    assert outputs["o"].shape == (2, 0, 3, 5)
    np.testing.assert_array_equal(state["S"], start["S"])
    outputs, state = interpret(spec, {"k": np.ones((2, 1, 3, 4)), "v": np.ones((2, 1, 3, 5))}, initial_state=start)
    np.testing.assert_array_equal(outputs["o"], np.full((2, 1, 3, 5), 12.0))


def test_params_consts_and_tensors() -> None:
    text = "mixer m\ndim N\ninput x : [N]\nparam w : [N] = 2\nparam s : [N] shared = 1\nconst c = 3\n"
    spec = load_text(text + "state h : [N] = 0.5 * h[t-1] + w * s * x\noutput o = c * h")
    x = torch.ones(1, 1, 2, 3, dtype=torch.bfloat16, requires_grad=True)
    drawn, _ = interpret(spec, {"x": x})
    assert drawn["o"].dtype == np.float64
    np.testing.assert_array_equal(drawn["o"], np.full((1, 1, 2, 3), 6.0))
    given, _ = interpret(spec, {"x": x}, {"w": torch.ones(2, 3), "s": torch.ones(3)}, consts={"c": 5})
    np.testing.assert_array_equal(given["o"], np.full((1, 1, 2, 3), 5.0))


def test_trace_shows_every_name_at_a_step() -> None:
    spec = load_text("mixer m\ninput x\nlet y = 2 * x\nstate h = h[t-1] + y\noutput o = h")
    seen = trace(spec, {"x": column(1, 2, 3)}, step=1)
    assert {name: array.item() for name, array in seen.items()} == {"x": 2, "y": 4, "h": 6, "o": 6}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"k": np.ones((1, 2, 1, 3))}, "`v` not given"),
        ({"k": np.ones((1, 2, 1, 3)), "v": np.ones((1, 2, 1, 3)), "w": np.ones(1)}, "no input `w`"),
        ({"k": np.ones((1, 2, 1)), "v": np.ones((1, 2, 1, 3))}, "`k` has 3 axes"),
        ({"k": np.ones((1, 2, 1, 3)), "v": np.ones((1, 3, 1, 3))}, "`time` is 3 in input `v`, but 2 in input `k`"),
        ({"k": np.ones((1, 2, 1, 3)), "v": np.ones((1, 2, 2, 3))}, "`heads` is 2 in input `v`"),
    ],
)
def test_calls_that_do_not_fit(inputs: dict[str, np.ndarray], words: str) -> None:
    spec = load_text(HEAD + "input k : [K]\ninput v : [V]\nstate S : [K, V] = S[t-1] + k * v\noutput o = sum[K](S)")
    with pytest.raises(CallError, match=words):
        interpret(spec, inputs)
