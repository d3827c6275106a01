"""fla's naive recurrences, in float64, against the interpreter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recurrence_dsl.check import load_text
from recurrence_dsl.check.spec import Spec
from recurrence_dsl.resources import specs as spec_folder
from recurrence_dsl.testing import reference
from recurrence_dsl.testing.case import Case, case_for
from recurrence_dsl.testing.measure import compare
from recurrence_dsl.testing.random_inputs import draw_inputs

from . import fla, specs

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


@pytest.mark.parametrize(("source", "oracle"), PAIRS)
def test_interpreter_equals_reference(source: str, oracle) -> None:
    spec = spec_of(source)
    case = case_of(spec)
    drawn = draw_inputs(spec, case)
    if oracle is fla.retention:
        drawn = replace(drawn, state={name: 0 * tensor for name, tensor in drawn.state.items()})
    want = oracle(drawn.inputs, drawn.params, drawn.state)
    got = reference.results(spec, drawn, case)
    assert compare(got, want, case, slack=lambda: reference.values_slack(spec, case)).units <= 1
