"""Initialisers draw what they say."""

from __future__ import annotations

import numpy as np

from recurrence_dsl.check import load_text
from recurrence_dsl.initialise import draw_params

SIZES = {"K": 40, "V": 50}


def first(init: str, axes: str = ": [K, V]", **options: float) -> np.ndarray:
    text = f"mixer m\ndim K, V\nconst c = 4\nparam p {axes} = {init}\ninput x : [K, V]\n"
    spec = load_text(text + "state S : [K, V] = 0.5 * S[t-1] + c * p * x\noutput o = S")
    return draw_params(spec, np.random.default_rng(0), sizes=SIZES, heads=6, consts=options)["p"]


def test_normal_has_mean_and_deviation() -> None:
    drawn = first("normal(3, 0.5)")
    assert drawn.shape == (6, 40, 50)
    assert abs(drawn.mean() - 3) < 0.02
    assert abs(drawn.std() - 0.5) < 0.02


def test_uniform_and_loguniform_fill_their_ranges() -> None:
    drawn, logs = first("uniform(1, 16)"), np.log(first("loguniform(1e-3, 1e-1)"))
    assert 1 <= drawn.min() < 1.01
    assert 15.99 < drawn.max() <= 16
    assert abs(logs.mean() - np.log(1e-2)) < 0.05
    assert np.log(1e-3) <= logs.min() < np.log(1.01e-3)


def test_inverse_softplus_is_one() -> None:
    drawn = first("inv_softplus(loguniform(1e-3, 1e-1))")
    step = np.log1p(np.exp(drawn))
    assert 1e-3 <= step.min() < step.max() <= 1e-1


def test_arithmetic_over_indices_heads_sizes_and_consts() -> None:
    drawn = first("log(exp(1 + index(K))) + 100 * head / heads - K + c")
    want = 1 + np.arange(40)[:, None] + 100 * np.arange(6)[:, None, None] / 6 - 40 + 4
    np.testing.assert_allclose(drawn, np.broadcast_to(want, (6, 40, 50)), rtol=1e-12)


def test_shared_params_have_no_head_axis_and_consts_can_be_overridden() -> None:
    drawn = first("c + index(V)", ": [V] shared", c=7)
    np.testing.assert_array_equal(drawn, 7 + np.arange(50))


def test_the_same_seed_draws_the_same() -> None:
    np.testing.assert_array_equal(first("normal(0, 1)"), first("normal(0, 1)"))
