"""Are a spec's kernels right on a device? Every plan's values and gradients against the float64 interpreter, twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import recurrence_dsl as rd
from recurrence_dsl.check.spec import Spec
from recurrence_dsl.testing import case_for, draw_inputs
from recurrence_dsl.testing import reference as exact
from recurrence_dsl.testing.case import Case
from recurrence_dsl.testing.measure import compare, identical
from recurrence_dsl.testing.random_inputs import Drawn
from recurrence_dsl.testing.subject import gradients, run


@dataclass(frozen=True, slots=True)
class Agreement:
    """Errors in units of the tolerance (above 1: wrong), where the worst ones are, and whether runs repeat."""

    spec: str
    dtype: str
    plan: str
    values: float
    values_at: str
    gradients: float
    gradients_at: str
    repeats: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """A small problem for every spec; several chunks, the last one short."""

    size: int = 64
    heads: int = 4
    groups: int = 2
    batch: int = 2
    length: int = 150

    def case(self, spec: Spec, dtype: str) -> Case:
        groups = self.groups if any(i.per_group for i in spec.inputs) else 1
        shape = {"heads": self.heads, "groups": groups, "batch": self.batch, "length": self.length}
        return case_for(spec, size=self.size, dtype=dtype, backend="triton", seed=3, **shape)


def agreements(name: str, dtype: str, device: str, problem: Problem) -> Iterator[Agreement]:
    """One spec in one dtype, by each of its plans, with the settings that the compiler chose."""
    spec = rd.load(name)
    case = problem.case(spec, dtype)
    drawn = draw_inputs(spec, case)
    mixer, there, weights = _mixer(spec, case, drawn, device), _moved(drawn, device), exact.weights(spec, case)
    module, before = mixer.kernels, dict(mixer.kernels.PREFERRED)
    try:
        for forward, backward in _plans(module):
            module.PREFERRED.update(FORWARD=forward, BACKWARD=backward)
            first, second = _results(mixer, there, weights), _results(mixer, there, weights)
            again = identical(first, second).units == 0
            yield Agreement(spec.name, dtype, f"{forward}/{backward}", *_errors(spec, case, first), again)
    finally:
        module.PREFERRED.clear()
        module.PREFERRED.update(before)


def _plans(module: Any) -> list[tuple[str, str]]:
    """Pairs in which every plan of a pass occurs."""
    forward, backward = list(module.FORWARD), list(module.BACKWARD)
    count = max(len(forward), len(backward))
    return [(forward[min(i, len(forward) - 1)], backward[min(i, len(backward) - 1)]) for i in range(count)]


def _errors(spec: Spec, case: Case, found: Mapping[str, Tensor]) -> tuple[float, str, float, str]:
    """The worst value and the worst gradient, in units of the tolerance, and where they are."""
    off = compare(
        {n: x for n, x in found.items() if not n.startswith("d ")},
        exact.values(spec, case),
        case,
        floors=exact.value_floors(spec, case),
        slack=lambda: exact.values_slack(spec, case),
    )
    steep = compare(
        {n.removeprefix("d "): x for n, x in found.items() if n.startswith("d ")},
        exact.slopes(spec, case),
        case,
        floors=exact.slope_floors(spec, case),
        slack=lambda: exact.slopes_slack(spec, case),
    )
    return off.units, off.name, steep.units, steep.name


def _mixer(spec: Spec, case: Case, drawn: Drawn, device: str) -> Any:
    sizes: dict[str, Any] = dict(case.sizes)
    mixer = rd.compile(spec, heads=case.heads, groups=case.groups, backend="triton", **sizes)
    with torch.no_grad():
        for name, parameter in mixer.named_parameters():
            parameter.copy_(drawn.params[name])
    return mixer.to(device)


def _moved(drawn: Drawn, device: str) -> Drawn:
    there = lambda group: {n: x.to(device) for n, x in group.items()}  # noqa: E731
    return replace(drawn, inputs=there(drawn.inputs), params=there(drawn.params), state=there(drawn.state))


def _results(mixer: Any, drawn: Drawn, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Outputs and states by the reference's names, gradients by theirs behind a "d"."""
    on_device = {n: w.to(next(iter(drawn.inputs.values())).device) for n, w in weights.items()}
    with torch.no_grad():
        values = run(mixer, drawn.inputs, drawn.state)
    slopes = gradients(mixer, drawn, on_device)
    return {n: x.detach().cpu() for n, x in {**values, **{f"d {n}": x for n, x in slopes.items()}}.items()}
