"""Proven ranges: every value that is computed lies inside, and what is known exactly is found exactly."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from recurrence_dsl.arrays import NumpyArrays
from recurrence_dsl.check import load_text
from recurrence_dsl.check.spec import Spec
from recurrence_dsl.interpreter.evaluate import Named, Scope, evaluate
from recurrence_dsl.maths.intervals import Interval
from recurrence_dsl.maths.ranges import Ranges

INPUTS = {
    "x": "",
    "n": " in (-inf, 0]",
    "p": " in [0, inf)",
    "u": " in [0, 1]",
    "b": " in [-2, 3]",
    "s": " in [0.5, 4]",
}
DECLARED = "".join(f"input {name} : [K]{bounds}\n" for name, bounds in INPUTS.items())
INF = math.inf


def spec(expression: str) -> Spec:
    return load_text(f"mixer m\ndim K\n{DECLARED}state z = z[t-1]\noutput o = {expression}\n")


def proven(expression: str) -> Interval:
    found = spec(expression)
    return Ranges(found, {}).of(found.outputs[0].value)


EXACT = (
    ("sigmoid(x)", 0, 1),
    ("sigmoid(p)", 0.5, 1),
    ("sigmoid(n) ** (1/16)", 0, 0.5 ** (1 / 16)),
    ("exp(-exp(x))", 0, 1),
    ("exp(n)", 0, 1),
    ("exp(-softplus(x))", 0, 1),
    ("1 - u", 0, 1),
    ("0.25 + 0.75 * u", 0.25, 1),
    ("0.25 + (1 - 0.25) * sigmoid(x)", 0.25, 1),
    ("u + (1 - u) * sigmoid(x)", 0, 1),
    ("sigmoid(x) * u + (1 - sigmoid(x))", 0, 1),
    ("u * b + (1 - u) * s", -2, 4),
    ("(1 - sigmoid(x)) * 0.5 + sigmoid(x)", 0.5, 1),
    ("exp(x) / (exp(x) + exp(b))", 0, 1),
    ("p / (p + s)", 0, 1),
    ("softmax[K](x)", 0, 1),
    ("max(u, 0.5)", 0.5, 1),
    ("min(b, s)", -2, 3),
    ("abs(b)", 0, 3),
    ("b * b", 0, 9),
    ("square(b)", 0, 9),
    ("b ** 2", 0, 9),
    ("s * b", -8, 12),
    ("b / s", -4, 6),
    ("1 / s", 0.25, 2),
    ("s ** 0.5", math.sqrt(0.5), 2),
    ("sqrt(s)", math.sqrt(0.5), 2),
    ("log(s)", math.log(0.5), math.log(4)),
    ("2 ** n", 0, 1),
    ("tanh(p)", 0, 1),
    ("relu(b)", 0, 3),
    ("mean[K](b)", -2, 3),
    ("max[K](b)", -2, 3),
    ("sum[K](p)", 0, INF),
    ("sum[K](u)", 0, INF),
    ("l2norm[K](p)", 0, 1),
    ("u[t-1]", 0, 1),
    ("s[t-1]", 0, 4),
    ("1 / b", -INF, INF),
    ("1 - 2 ** (-5 - head)", 1 - 2**-5, 1),
    ("K ** -0.5", 0, 1),
    ("1 / heads", 0, 1),
    ("x * n", -INF, INF),
    ("p * n", -INF, 0),
    ("0 * x", 0, 0),
)


@pytest.mark.parametrize(("expression", "low", "high"), EXACT)
def test_what_is_known_is_found(expression: str, low: float, high: float) -> None:
    found = proven(expression)
    assert found.low == pytest.approx(low, abs=1e-12)
    assert found.high == pytest.approx(high, abs=1e-12)


FUNCTIONS = ("exp", "sigmoid", "logsigmoid", "softplus", "tanh", "relu", "silu", "gelu", "elu", "sin", "cos", "square")


def some_expression(rng: random.Random, depth: int) -> str:
    if depth == 0:
        return rng.choice([*INPUTS, "0.5", "2", "3"])
    inside = lambda: some_expression(rng, depth - 1)  # noqa: E731
    match rng.randrange(8):
        case 0 | 1:
            return f"({inside()} {rng.choice('+-*')} {inside()})"
        case 2:
            return f"({inside()} / (1 + square({inside()})))"
        case 3:
            return f"{rng.choice(['min', 'max'])}({inside()}, {inside()})"
        case 4:
            return f"{rng.choice(['softmax', 'l2norm', 'rmsnorm'])}[K]({inside()} + 0 * x)"
        case 5:
            return f"({inside()}) ** {rng.choice(['2', '3'])}"
        case 6:
            return f"{rng.choice(['sum', 'mean', 'max'])}[K]({inside()} + 0 * x)"
        case _:
            return f"{rng.choice(FUNCTIONS)}({inside()})"


def drawn(bounds: str, rng: np.random.Generator) -> np.ndarray:
    values = 3 * rng.standard_normal((64, 1, 5))
    match bounds:
        case " in (-inf, 0]":
            return -np.abs(values)
        case " in [0, inf)":
            return np.abs(values)
        case " in [0, 1]":
            return rng.uniform(0, 1, values.shape)
        case " in [-2, 3]":
            return rng.uniform(-2, 3, values.shape)
        case " in [0.5, 4]":
            return rng.uniform(0.5, 4, values.shape)
        case _:
            return values


@pytest.mark.parametrize("seed", range(60))
def test_every_value_lies_inside(seed: int) -> None:
    expression = some_expression(random.Random(seed), 3)
    found, rng = spec(expression), np.random.default_rng(seed)
    names = {n: Named(drawn(bounds, rng), ("K",)) for n, bounds in INPUTS.items()}
    with np.errstate(all="ignore"):
        scope = Scope(NumpyArrays(), 1, {"K": 5}, names, {})
        values = evaluate(found.outputs[0].value, scope).array
    inside, values = proven(expression), values[np.isfinite(values)]
    slack = 1e-9 * (1 + np.abs(values))
    assert ((inside.low <= values + slack) & (values - slack <= inside.high)).all(), (expression, inside)
