"""On a device every spec's values and gradients are the float64 interpreter's, by every plan, and bit for bit again."""

from __future__ import annotations

import pytest

from benchmarks.gpu.agreement import Problem, agreements
from recurrence_dsl.resources import shipped_specs

pytestmark = pytest.mark.gpu

TINY = Problem(size=4, heads=2, groups=1, batch=1, length=20)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("spec", [p.stem for p in shipped_specs()])
def test_agreement(device: str, spec: str, dtype: str) -> None:
    if device == "cpu" and dtype == "bfloat16":
        pytest.skip("Triton's interpreter computes bfloat16 wrongly")
    found = list(agreements(spec, dtype, device, TINY if device == "cpu" else Problem()))
    assert found
    for one in found:
        assert one.repeats, one
        assert one.values <= 1, one
        assert one.gradients <= 1, one
