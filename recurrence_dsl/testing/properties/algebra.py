"""What the spec itself promises: linearity, decays of at most one, declared ranges."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ...check.spec import Spec
from ...interpreter import trace
from .. import reference, subject
from ..case import Case
from ..degree import linear_results
from ..finding import Property
from ..measure import EXACT, Error, compare, largest, relative, worst
from ..random_inputs import Drawn, draw_inputs


def linear(spec: Spec, case: Case) -> Error:
    """f(x + y) = f(x) + f(y) from a zero state, in each input that the spec is linear in."""
    drawn = _from_zero(draw_inputs(spec, case))
    other = draw_inputs(spec, replace(case, seed=case.seed + 1000))
    mixer = subject.build(spec, case, drawn.params)
    return worst(_additive(spec, case, mixer, drawn, name, other.inputs[name]) for name in linear_results(spec))


def promises(spec: Spec, case: Case) -> Error:
    """Every `decay` lies between 0 and 1 at every token (its modulus below 1 where it is complex)."""
    drawn = draw_inputs(spec, case)
    options = {"sizes": case.size_of, "heads": case.heads, "groups": case.groups, "consts": dict(case.consts)}
    excess = [EXACT]
    for t in range(case.length):
        seen = trace(spec, drawn.inputs, drawn.params, drawn.state, step=t, **options)
        for let in spec.lets:
            value = torch.from_numpy(seen[let.name].copy())
            if let.decay and (beyond := _beyond(value)) > 0:
                excess.append(Error(f"decay {let.name}", beyond, math.inf))
    return worst(excess)


def ranges(spec: Spec, case: Case) -> Error:
    """The generator draws every input inside its declared range."""
    drawn = draw_inputs(spec, case)
    for i in spec.inputs:
        x = drawn.inputs[i.name]
        if i.is_complex or x.numel() == 0:
            continue
        low = (x <= i.low) if i.low_open else (x < i.low)
        high = (x >= i.high) if i.high_open else (x > i.high)
        if (low | high).any():
            return Error(f"input {i.name}", float(x.abs().max()), math.inf)
    return EXACT


def _additive(spec: Spec, case: Case, mixer: subject.Mixer, drawn: Drawn, name: str, other: Tensor) -> Error:
    first = drawn.inputs[name]
    total = (first + other).to(first.dtype)
    runs = [subject.run(mixer, {**drawn.inputs, name: value}, drawn.state) for value in (first, total - first, total)]
    parts = {key: (runs[0][key] + runs[1][key]).detach() for key in linear_results(spec)[name]}
    got = {key: runs[2][key] for key in parts}
    sizes = {key: max(largest(run[key]) for run in runs) for key in parts}
    exact = replace(drawn, inputs={**drawn.inputs, name: total})
    error = compare(got, parts, case, floors=sizes, slack=lambda: _slack(spec, case, exact))
    of_three = error.units / 3  # each of the three results may be off by the tolerance
    return replace(error, units=of_three, name=f"{error.name}, linear in {name}")


def _slack(spec: Spec, case: Case, drawn: Drawn) -> dict[str, float]:
    """What a perturbation of the inputs moves, as the tolerance sees it."""
    still = reference.results(spec, drawn, case)
    nudged = reference.results(spec, reference.nudged(drawn, case), case)
    return {name: relative(case) * largest(nudged[name] - still[name]) / reference.NUDGE for name in still}


def _from_zero(drawn: Drawn) -> Drawn:
    return replace(drawn, state={name: torch.zeros_like(tensor) for name, tensor in drawn.state.items()})


def _beyond(value: Tensor) -> float:
    """By how much a decay leaves [0, 1], beyond the rounding of 1 itself."""
    value = value[torch.isfinite(value)]
    if value.numel() == 0:
        return 0.0
    low = 0.0 if value.is_complex() else float((-value).max())
    excess = max(float(value.abs().max()) - 1, low)
    return excess if excess > 4 * torch.finfo(torch.float64).eps else 0.0


LINEARITY = Property(
    "linearity",
    "sums of inputs that the spec is linear in give sums of outputs",
    linear,
    lambda spec: bool(linear_results(spec)),
)
PROMISES = Property(
    "decay promises", "every `decay` stays between 0 and 1", promises, lambda spec: any(let.decay for let in spec.lets)
)
RANGES = Property("declared ranges", "generated inputs lie inside their declared ranges", ranges)
