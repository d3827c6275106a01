"""Typed expressions, specs and recurrences as text: what is printed means what was read."""

import pytest

from recurrence_dsl.check import load_text
from recurrence_dsl.check.spec import expression
from recurrence_dsl.maths.lift import lift
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.tools.canonical import canonical_latex, canonical_text
from recurrence_dsl.tools.expressions import spec_text
from recurrence_dsl.tools.transition import transition_class
from recurrence_dsl.tools.typed_spec import typed_spec_text

HEADER = "mixer m\ndim K, V, J\ninput q, k : [K]\ninput v : [V]\ninput b, c\ninput z : complex [K]\n"
EXPRESSIONS = (
    "b - (c - b)",
    "b - c - b",
    "b / (c * b) / c",
    "-b ** 2",
    "(-b) ** 2",
    "b ** c ** 2",
    "(b ** c) ** 2",
    "b ** -c",
    "-(b + c) * c",
    "b * -c",
    "2.5e-05 * b + 1e+20",
    "sum[K](q * k[t-1]) * K ** -0.5",
    "max(b, c) + max[K](q) + head / heads",
    "sum[K, J](q * k[K -> J] * (q + k)[K -> J])",
    "re((1 + 2i) * 3i * sum[K](z))",
)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_reads_back_as_itself(text):
    first = load_text(f"{HEADER}state n = n[t-1] + b\noutput o = {text}").outputs[0].value
    again = load_text(f"{HEADER}state n = n[t-1] + b\noutput o = {spec_text(first)}").outputs[0].value
    assert again == first


@pytest.mark.parametrize("path", shipped_specs(), ids=lambda p: p.stem)
def test_a_typed_spec_reads_back_as_itself(path):
    spec = load_text(path.read_text())
    text = "\n".join(line for line in typed_spec_text(spec).splitlines() if not line.startswith("carried"))
    for derived in (*spec.lets, *spec.outputs):  # the language infers their axes
        text = text.replace(f" {derived.name} : [{', '.join(derived.axes)}] =", f" {derived.name} =")
        text = text.replace(f" {derived.name} : complex [{', '.join(derived.axes)}] =", f" {derived.name} =")
    again = load_text(text)
    assert [(d.name, expression(d)) for d in again.definitions] == [(d.name, expression(d)) for d in spec.definitions]
    assert again.inputs == spec.inputs
    assert again.dims == spec.dims


CLASSES = (
    ("no decay", "S[t-1] + k * v", "sum[K](q * S)"),
    ("scalar", "sigmoid(b) * S[t-1] + k * v", "sum[K](q * S)"),
    ("scalar", "0.5 * S[t-1] + k * v", "sum[K](q * S)"),
    ("key channel", "sigmoid(k) * S[t-1] + k * v", "sum[K](q * S)"),
    ("value channel", "sigmoid(k) * S[t-1] + k * v", "sum[V](v * S)"),
    ("value channel", "sigmoid(v) * S[t-1] + k * v", "sum[K](q * S)"),
    ("key and value channel", "sigmoid(k) * sigmoid(v) * S[t-1] + k * v", "sum[K](q * S)"),
    ("full", "sigmoid(k * v) * S[t-1] + k * v", "sum[K](q * S)"),
    ("no decay + rank-one", "S[t-1] + b * k * (v - sum[K](k * S[t-1]))", "sum[K](q * S)"),
    (
        "key channel + 2 rank-one",
        "sigmoid(k) * S[t-1] + k * sum[K](q * S[t-1]) - q * sum[K](k * S[t-1])",
        "sum[K](q * S)",
    ),
)


@pytest.mark.parametrize(("name", "update", "output"), CLASSES)
def test_the_class_follows_from_the_equation(name, update, output):
    recurrence, _ = lift(load_text(f"{HEADER}state S : [K, V] = {update}\noutput o = {output}"))
    assert recurrence is not None
    assert transition_class(recurrence.states[0]) == name


@pytest.mark.parametrize(("name", "axes", "update"), [
    ("vector", " : [K]", "sigmoid(q) * h[t-1] + k"),
    ("scalar state", "", "sigmoid(b) * h[t-1] + c"),
    ("complex vector", " : complex [K]", "exp(1i * q - softplus(k)) * h[t-1] + k"),
])  # fmt: skip
def test_the_class_of_small_states(name, axes, update):
    recurrence, _ = lift(load_text(f"{HEADER}state h{axes} = {update}\noutput o = abs(h)"))
    assert recurrence is not None
    assert transition_class(recurrence.states[0]) == name


@pytest.mark.parametrize("path", shipped_specs(), ids=lambda p: p.stem)
def test_the_canonical_form_prints(path, golden):
    recurrence, _ = lift(load_text(path.read_text()))
    assert recurrence is not None
    golden(f"lift/{path.stem}.txt", canonical_text(recurrence) + "\n")
    golden(f"lift/{path.stem}.tex", canonical_latex(recurrence) + "\n")
