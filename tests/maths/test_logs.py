"""Symbolic log-decays: the logarithm of the decay, exact where the decay itself underflows."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy

from recurrence_dsl.arrays import NumpyArrays
from recurrence_dsl.check import load_text
from recurrence_dsl.expr import Apply, Expr, Fn, Kind, Now, Number
from recurrence_dsl.interpreter.evaluate import Named, Scope, evaluate
from recurrence_dsl.maths.algebra import Algebra
from recurrence_dsl.maths.logs import FLOOR, Logs
from recurrence_dsl.maths.ranges import Ranges

DECAYS = (
    "exp(-exp(x))",
    "exp(-softplus(x))",
    "sigmoid(x)",
    "sigmoid(x) ** (1/16)",
    "sigmoid(-x) ** 2 * exp(-square(x))",
    "1 - sigmoid(x)",
    "1 - c",
    "sqrt(sigmoid(x))",
    "exp(-8 * softplus(x) * sigmoid(x))",
    "0.5",
    "1",
    "0.01 + (1 - 0.01) * sigmoid(x)",
    "exp(n)",
    "exp(n) * sigmoid(x)",
    "max(exp(n), 0.001)",
    "min(sigmoid(x), exp(n))",
    "1 / (1 + exp(n))",
    "1 / (1 + exp(x))",
    "exp(x) / (exp(x) + 1)",
    "f * exp(n)",
    "square(sigmoid(x)) * sqrt(f)",
    "exp(x) / (exp(x) + exp(n))",
    "exp(n) / (sigmoid(x) + exp(n))",
)
POINTS = (-800.0, -300.0, -40.0, -1.0, -1e-6, 0.0, 1e-6, 1.0, 30.0, 300.0, 700.0)
TEXT = """mixer m
input x
input n in (-inf, 0]
let c = sigmoid(x)
let f = sigmoid(x)
state z = z[t-1]
output o = {}
"""
SYMPY = {Fn.EXP: sympy.exp, Fn.LOG: sympy.log, Fn.SQRT: sympy.sqrt, Fn.SQUARE: lambda x: x**2, Fn.NEG: lambda x: -x,
         Fn.ADD: lambda x, y: x + y, Fn.SUB: lambda x, y: x - y, Fn.MUL: lambda x, y: x * y, Fn.DIV: lambda x, y: x / y,
         Fn.POW: lambda x, y: x**y, Fn.SIGMOID: lambda x: 1 / (1 + sympy.exp(-x)), Fn.MIN: sympy.Min, Fn.MAX: sympy.Max,
         Fn.SOFTPLUS: lambda x: sympy.log(1 + sympy.exp(x)),
         Fn.LOGSIGMOID: lambda x: -sympy.log(1 + sympy.exp(-x))}  # fmt: skip


def decay_and_log(text: str) -> tuple[Expr, Expr | None, dict[str, Expr]]:
    spec = load_text(TEXT.format(text))
    lets = {d.name: d.value for d in spec.lets}
    value = spec.outputs[0].value
    return value, Logs(Algebra(()), Ranges(spec, {}), lets).of(value), lets


def in_sympy(e: Expr, lets: dict[str, Expr]) -> sympy.Expr:
    match e:
        case Number():
            return sympy.Float(e.value, 400) if not float(e.value).is_integer() else sympy.Integer(int(e.value))
        case Now(kind=Kind.LET):
            return in_sympy(lets[e.name], lets)
        case Now():
            return sympy.Symbol(e.name, real=True)
        case Apply():
            return SYMPY[e.fn](*(in_sympy(a, lets) for a in e.args))
        case _:
            raise TypeError(e)


@pytest.mark.parametrize("text", DECAYS)
def test_the_log_is_the_log(text: str) -> None:
    """Against mpmath, with enough digits that nothing underflows or cancels."""
    value, log, lets = decay_and_log(text)
    assert log is not None
    exact = sympy.lambdify(sympy.symbols("x n", real=True), in_sympy(value, lets), "mpmath")
    for point in POINTS:
        n = -abs(point)
        with mpmath.workdps(1000):
            want = mpmath.log(exact(mpmath.mpf(point), mpmath.mpf(n)))
        lets_too = {name: computed(body, point, n, lets) for name, body in lets.items()}
        got = float(computed(log, point, n, lets, lets_too).array.squeeze())
        if want < -1e300:  # exp(exp(800)) and the like: past every floor
            assert got < FLOOR
        else:
            assert got == pytest.approx(float(want), rel=1e-13, abs=4e-16 * max(1.0, abs(point))), point


def computed(
    e: Expr, x: float, n: float, lets: dict[str, Expr], known: dict[str, Named[np.ndarray]] | None = None
) -> Named[np.ndarray]:
    names = {"x": Named(np.full((1, 1), x)), "n": Named(np.full((1, 1), n)), **(known or {})}
    with np.errstate(all="ignore"):
        return evaluate(e, Scope(NumpyArrays(), 1, {}, names))


@pytest.mark.parametrize("text", DECAYS)
def test_the_exponential_of_the_log_is_the_decay(text: str) -> None:
    """Symbolically, at rational points."""
    value, log, lets = decay_and_log(text)
    assert log is not None
    x, n = sympy.symbols("x n", real=True)
    difference = sympy.exp(in_sympy(log, lets)) - in_sympy(value, lets)
    for point in (sympy.Rational(-7, 3), sympy.Rational(1, 5), sympy.Integer(2)):
        assert abs(difference.subs({x: point, n: -abs(point)}).evalf(60)) < 1e-15


@pytest.mark.parametrize("text", ["abs(x)", "tanh(n) + 1", "relu(x)", "1 - exp(n)", "sigmoid(x) - sigmoid(n)", "0 - 1"])
def test_where_only_the_computed_value_could_be_logged_there_is_none(text: str) -> None:
    assert decay_and_log(text)[1] is None


def test_no_decay_at_all_is_the_floor() -> None:
    _, log, _ = decay_and_log("0")
    assert log == Number(value=FLOOR)
