"""The testing library itself: tolerance, generators, reports, the engine, the fixture, and that faults are caught."""

from __future__ import annotations

import math

import pytest
import torch

import recurrence_dsl as rd
from recurrence_dsl.check import load_text
from recurrence_dsl.diagnostics import CallError, SpecError
from recurrence_dsl.testing import Attack, Case, Gates, assert_equivalent, case_for, check, draw_inputs, property_named
from recurrence_dsl.testing.degree import linear_results
from recurrence_dsl.testing.feeds import feeds
from recurrence_dsl.testing.measure import compare, identical
from recurrence_dsl.testing.properties import AGREEMENT, CAUSALITY, GRADIENTS, PACKED, RANGES, STEP
from recurrence_dsl.testing.random_inputs import cotangents
from recurrence_dsl.testing.report import Verdict, case_from_text, case_source, case_text, replay_snippet
from recurrence_dsl.testing.tolerance import tolerance
from tests.mutation.__main__ import attempt
from tests.mutation.faults import FAULTS

pytest_plugins = ["recurrence_dsl.testing.plugin"]

QUICK = (AGREEMENT, GRADIENTS, STEP, PACKED, CAUSALITY)


def test_tolerance_grows_with_length_and_with_the_dtype_s_roundoff() -> None:
    assert tolerance(torch.float64, 10) < tolerance(torch.float32, 10) < tolerance(torch.float16, 10)
    assert tolerance(torch.float16, 10) < tolerance(torch.bfloat16, 10)
    assert tolerance(torch.float32, 10) < tolerance(torch.float32, 1000) < 1e-4


def test_compare_measures_against_the_reference_s_scale() -> None:
    case, want = Case(dtype="float32"), {"o": torch.tensor([1e6, 1.0], dtype=torch.float64)}
    assert compare({"o": torch.tensor([1e6, 1.5])}, want, case).units <= 1
    assert compare({"o": torch.tensor([1.01e6, 1.0])}, want, case).units > 1
    assert math.isinf(compare({"o": torch.tensor([float("nan"), 1.0])}, want, case).units)
    assert math.isinf(compare({"o": torch.zeros(3)}, want, case).units)


def test_identical_means_bit_for_bit() -> None:
    x = {"o": torch.tensor([0.0, float("nan")])}
    assert identical(x, {"o": x["o"].clone()}).units == 0
    assert math.isinf(identical(x, {"o": torch.tensor([1e-30, float("nan")])}).units)


@pytest.mark.parametrize(
    ("name", "gates", "transition"),
    [
        ("gla", ("g",), ()),
        ("mamba2", ("dt",), ()),
        ("hgrn2", ("g",), ()),
        ("delta_net", (), ("k", "beta")),
        ("kda", ("g",), ("k", "beta")),
        ("dplr", ("g",), ("a", "b")),
    ],
)
def test_feeds_tell_gates_from_the_rest_of_a_transition(name: str, gates: tuple[str], transition: tuple[str]) -> None:
    found = feeds(rd.load(name))
    assert (found.gates, found.transition) == (gates, transition)


@pytest.mark.parametrize("name", ["gla", "rwkv6", "hgrn2"])
def test_gates_reach_the_log_decay_that_is_aimed_at(name: str) -> None:
    spec = rd.load(name)
    gates = {g.name: draw_inputs(spec, case_for(spec, gates=g)).inputs for g in Gates}
    decay = {
        "gla": lambda x: torch.nn.functional.logsigmoid(x["g"]) / 16,
        "rwkv6": lambda x: -x["d"].exp(),
        "hgrn2": lambda x: torch.nn.functional.logsigmoid(x["g"]),
    }[name]
    assert decay(gates["OPEN"]).abs().max() < 1e-15
    assert torch.allclose(decay(gates["NEAR"]), torch.tensor(-1e-6, dtype=torch.float64), rtol=0.1)
    assert torch.allclose(decay(gates["STRONG"]), torch.tensor(-50.0, dtype=torch.float64), rtol=0.1)
    assert (decay(gates["SHUT"]) < -600).all()


def test_declared_ranges_are_respected() -> None:
    spec = load_text(
        "mixer m\ninput a in [0, 1)\ninput b in (-inf, 0]\nstate h = a * exp(b) * h[t-1] + a\noutput o = h"
    )
    for gates in Gates:
        x = draw_inputs(spec, case_for(spec, length=200, gates=gates, dtype="bfloat16")).inputs
        assert (x["a"] >= 0).all()
        assert (x["a"] < 1).all()
        assert (x["b"] <= 0).all()


def test_an_explosive_recurrence_is_calmed() -> None:
    text = "mixer m\ndim K\ninput a, b, k : [K]\nstate S : [K] = S[t-1] + 9 * a * sum[K](b * S[t-1]) + k\noutput o = S"
    spec = load_text(text)
    drawn = draw_inputs(spec, case_for(spec, length=100))
    outputs = rd.interpret(spec, drawn.inputs, {}, drawn.state)[0]
    assert abs(outputs["o"]).max() < 1e4


def test_degrees_find_what_a_spec_is_linear_in() -> None:
    assert linear_results(rd.load("gla")) == {
        "q": ("output:o",),
        "k": ("output:o", "state:S"),
        "v": ("output:o", "state:S"),
    }
    assert set(linear_results(rd.load("delta_net"))) == {"q", "v"}
    assert set(linear_results(rd.load("linear_attention"))) == {"v"}


def test_cases_survive_their_text() -> None:
    case = Case(sizes=(("K", 3),), gates=Gates.SHUT, consts=(("c", 0.5),), chunk_size=4)
    assert case_from_text(case_text(case)) == case
    assert eval(case_source(case), {"Case": Case, "Gates": Gates}) == case  # the snippet's own line
    with pytest.raises(ValueError, match="not a case"):
        case_from_text('{"bach": 1}')


def test_check_reports_what_holds() -> None:
    report = check(rd.load("retnet"), Attack(examples=3, properties=QUICK))
    assert report.passed
    assert [row.verdict for row in report.rows] == [Verdict.HOLDS] * len(QUICK)
    assert all(row.cases >= 3 for row in report.rows)


def test_equivalence_names_the_tensor_and_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    from recurrence_dsl.testing.properties import agreement

    monkeypatch.setattr(
        agreement.subject, "run", lambda mixer, inputs, state: {"output:o": torch.ones(1), "state:S": torch.ones(1)}
    )
    with pytest.raises(AssertionError, match=r"gla: .*output:o.*Case\("):
        assert_equivalent(rd.load("gla"), length=3)


def test_incoming_gradients_are_numbers_that_every_dtype_holds() -> None:
    drawn = cotangents({"output:o": torch.zeros(1000, dtype=torch.float64)}, seed=3)["output:o"]
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        assert (drawn.to(dtype).double() - drawn).abs().max() < 1e-6
    assert 0.9 < drawn.std() < 1.1


def test_low_precision_asks_for_no_more_than_float32_arithmetic_gives() -> None:
    """Where the exact result is zero because terms cancel, what float32 leaves of it is no fault."""
    text = "mixer m\ndim K\ninput x : [K]\nstate S : [K] = S[t-1] + x - mean[K](x)\noutput o = sum[K](S - mean[K](S))"
    spec = load_text(text)
    assert property_named("low precision")(spec, case_for(spec, length=1, size=3, dtype="bfloat16", seed=4)).holds


def test_a_check_of_what_cannot_run_is_a_coded_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from recurrence_dsl.testing import backends

    monkeypatch.setattr(backends, "has_gpu", lambda: False)
    monkeypatch.setattr(backends, "interpreting", lambda: False)
    spec = rd.load("retnet")
    for attack in (Attack(backend="triton"), Attack(backend="cuda"), Attack(dtypes=("float31",))):
        with pytest.raises(CallError, match="R0909"):
            check(spec, attack)
    monkeypatch.setattr(backends, "interpreting", lambda: True)
    assert Attack(backend="triton").ready(spec).dtypes == ("float32", "float16")
    for dtype in ("float64", "bfloat16"):
        with pytest.raises(CallError, match=f"does not take {dtype}"):
            check(spec, Attack(backend="triton", dtypes=(dtype,)))
    with pytest.raises(SpecError, match="R0301"):
        check(load_text("mixer m\ninput x\nstate s = s[t-1] * s[t-1] + x\noutput o = s"))


def test_a_deep_check_ends_on_time() -> None:
    report = check(rd.load("hgrn"), Attack(examples=2, seconds=2.0, properties=(AGREEMENT, RANGES)))
    assert report.passed
    assert 2 <= report.seconds < 60
    assert sum(row.cases for row in report.rows) > 4


def test_fixture_attacks_a_spec(check_spec) -> None:
    assert check_spec("gla", examples=2, properties=(AGREEMENT, STEP)).passed


@pytest.mark.parametrize("name", ["missing bonus term", "one block too few", "dropped term in a key's gradient"])
def test_a_planted_fault_is_caught_and_shrunk(name: str) -> None:
    fault = next(fault for fault in FAULTS if fault.name == name)
    caught = attempt(fault, Attack(examples=12, properties=QUICK)).caught
    assert caught is not None
    assert caught.case.length <= 3
    assert caught.name in replay_snippet(fault.spec, caught)
    assert property_named(caught.name)(rd.load(fault.spec), caught.case).holds
