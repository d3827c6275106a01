"""Updates that are no linear recurrences: the code, the states, and the offending term's own words."""

from __future__ import annotations

import pytest

from recurrence_dsl.check import load_text
from recurrence_dsl.maths.lift import lift

HEADER = """mixer m
dim K, V
input q, k : [K]
input v : [V]
input c in (-inf, 0]
"""
READ = "output o = sum[K](q * S)\n"
SINGLE = (
    ("S[t-1] * S[t-1] + k * v", "S[t-1] * S[t-1]"),
    ("S[t-1] + k * sum[K](k * S[t-1]) * S[t-1]", "k * sum[K](k * S[t-1]) * S[t-1]"),
    ("tanh(S[t-1]) + k * v", "tanh(S[t-1])"),
    ("exp(c) * S[t-1] + k * relu(v - sum[K](k * S[t-1]))", "relu(v - sum[K](k * S[t-1]))"),
    ("k * v / (1 + S[t-1])", "(1 + S[t-1])"),
    ("S[t-1] / sum[K](S[t-1]) + k * v", "sum[K](S[t-1])"),
    ("softmax[K](S[t-1]) + k * v", "softmax[K](S[t-1])"),
    ("max(S[t-1], k * v)", "max(S[t-1], k * v)"),
    ("S[t-1] ** 2 + k * v", "S[t-1] ** 2"),
    ("sigmoid(sum[K, V](S[t-1])) * S[t-1] + k * v", "sigmoid(sum[K, V](S[t-1]))"),
    ("l2norm[K](S[t-1]) + k * v", "l2norm[K](S[t-1])"),
    ("abs(S[t-1]) + k * v", "abs(S[t-1])"),
)


@pytest.mark.parametrize(("update", "term"), SINGLE)
def test_the_offending_term_is_shown(update: str, term: str) -> None:
    text = f"{HEADER}state S : [K, V] = {update}\n{READ}"
    recurrence, findings = lift(load_text(text))
    assert recurrence is None
    (found,) = (f for f in findings if f.code == "R0301")
    span = found.primary.span
    assert text[span.start : span.end] == term
    assert found.message.startswith("not affine in S")


def test_a_let_is_looked_through_to_its_own_term() -> None:
    text = f"{HEADER}let gate = tanh(sum[K](k * S[t-1]))\nstate S : [K, V] = S[t-1] + k * gate\n{READ}"
    recurrence, findings = lift(load_text(text))
    assert recurrence is None
    span = findings[0].primary.span
    assert text[span.start : span.end] == "tanh(sum[K](k * S[t-1]))"


def test_states_that_are_not_affine_together() -> None:
    text = f"{HEADER}state n = exp(c) * n[t-1] + sum[K, V](S[t-1])\nstate S : [K, V] = n[t-1] * S[t-1] + k * v\n{READ}"
    recurrence, findings = lift(load_text(text))
    assert recurrence is None
    (found,) = (f for f in findings if f.code == "R0304")
    span = found.primary.span
    assert text[span.start : span.end] == "n[t-1] * S[t-1]"


def test_every_state_that_is_not_affine_is_reported() -> None:
    text = f"{HEADER}state S : [K, V] = tanh(S[t-1]) + k * v\nstate z : [K] = exp(z[t-1]) + k\n{READ}"
    recurrence, findings = lift(load_text(text))
    assert recurrence is None
    assert [f.message.split(":")[0] for f in findings] == ["not affine in S", "not affine in z"]


def test_another_state_may_be_used_in_any_way() -> None:
    text = f"{HEADER}state n = exp(c) * n[t-1] + 1\nstate S : [K, V] = sigmoid(n) * S[t-1] + tanh(n) * k * v\n{READ}"
    recurrence, _ = lift(load_text(text))
    assert recurrence is not None
    assert recurrence.chunked
