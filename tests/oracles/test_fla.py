"""fla's naive recurrences, in float64, against the interpreter and against compiled mixers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from recurrence_dsl.check import load_text
from recurrence_dsl.check.spec import Spec
from recurrence_dsl.resources import specs as spec_folder
from recurrence_dsl.testing import reference, subject
from recurrence_dsl.testing.case import Case, case_for
from recurrence_dsl.testing.measure import compare
from recurrence_dsl.testing.random_inputs import Drawn, draw_inputs

from . import fla, specs

Oracle = Callable[[fla.Tensors, fla.Tensors, fla.Tensors], dict[str, Tensor]]

SHIPPED = {
    "gla": fla.gla,
    "retnet": fla.retention,
    "rwkv6": fla.rwkv6,
    "hgrn2": fla.hgrn2,
    "mamba2": fla.mamba2,
    "delta_net": fla.delta_rule,
}
WRITTEN = {
    specs.SIMPLE_GLA: fla.simple_gla,
    specs.HGRN: fla.hgrn,
    specs.LINEAR_ATTENTION: fla.linear_attention,
    specs.GATED_DELTA_RULE: fla.gated_delta_rule,
    specs.KDA: fla.kda,
    specs.DPLR: fla.dplr,
    specs.GATED_SLOTS: fla.gated_slots,
}


PAIRS = [
    *(pytest.param(name, oracle, id=name) for name, oracle in SHIPPED.items()),
    *(pytest.param(text, oracle, id=text.split()[1]) for text, oracle in WRITTEN.items()),
]


def spec_of(source: str) -> Spec:
    text = source if source.startswith("mixer") else (spec_folder() / f"{source}.spec").read_text(encoding="utf-8")
    return load_text(text)


def case_of(spec: Spec) -> Case:
    grouped = any(i.per_group for i in spec.inputs)
    case = case_for(spec, batch=2, length=19, heads=4, groups=2 if grouped else 1, sizes={"V": 3}, size=5, seed=7)
    return replace(case, scale=0.5)


def drawn_for(spec: Spec, case: Case, oracle: object) -> Drawn:
    """The case's tensors; retention's reference starts from nothing."""
    drawn = draw_inputs(spec, case)
    if oracle is not fla.retention:
        return drawn
    return replace(drawn, state={name: torch.zeros_like(tensor) for name, tensor in drawn.state.items()})


@pytest.mark.parametrize(("source", "oracle"), PAIRS)
def test_interpreter_equals_reference(source: str, oracle: Oracle) -> None:
    spec = spec_of(source)
    case = case_of(spec)
    drawn = drawn_for(spec, case, oracle)
    want = oracle(drawn.inputs, drawn.params, drawn.state)
    got = reference.results(spec, drawn, case)
    assert compare(got, want, case, slack=lambda: reference.values_slack(spec, case)).units <= 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("source", "oracle"), PAIRS)
def test_mixer_equals_reference(source: str, oracle: Oracle, dtype: str) -> None:
    spec = spec_of(source)
    case = replace(case_of(spec), dtype=dtype, chunk_size=8)
    drawn = drawn_for(spec, case, oracle)
    doubles = ({n: t.double() for n, t in group.items()} for group in (drawn.inputs, drawn.params, drawn.state))
    want = oracle(*doubles)
    got = subject.run(subject.build(spec, case, drawn.params), drawn.inputs, drawn.state)
    assert compare(got, want, case, slack=lambda: reference.values_slack(spec, case)).units <= 1


@pytest.mark.parametrize(("source", "oracle"), PAIRS)
def test_gradients_equal_the_reference_s(source: str, oracle: Oracle) -> None:
    spec = spec_of(source)
    case = replace(case_of(spec), chunk_size=8)
    drawn = drawn_for(spec, case, oracle)
    leaves = {f"input:{n}": t.clone().requires_grad_() for n, t in drawn.inputs.items()}
    want_results = oracle({n: leaves[f"input:{n}"] for n in drawn.inputs}, drawn.params, drawn.state)
    weights = {name: weight for name, weight in reference.weights(spec, case).items() if name in want_results}
    want = subject.slopes(want_results, leaves, weights)
    got = subject.gradients(subject.build(spec, case, drawn.params), drawn, weights)
    assert compare(got, want, case, floors=reference.slope_floors(spec, case)).units <= 1
