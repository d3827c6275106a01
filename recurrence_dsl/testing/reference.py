"""What a case's results should be: values by the interpreter, gradients by autograd through the token loop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..check.spec import Spec
from ..interpreter import interpret
from .case import Case
from .feeds import feeds
from .measure import largest, relative
from .random_inputs import Drawn, cotangents, draw_inputs
from .token_loop import gradients, token_loop
from .tolerance import unit_roundoff
from .torch_arrays import NoisyArrays

NUDGE = 1e-7
"""Relative perturbation with which the reference's own sensitivity is measured, in float64."""

NEGLIGIBLE = 2.0**-12
"""A result whose values are all smaller than this part of what goes in is judged against that part: an intermediate
that underflows in one evaluation and not in another makes such values."""

SILENT = 200.0
"""A log-decay of this size lets nothing through in float32."""

NOISE = 4.0
"""Roundoffs by which every operation of the token loop is off when its sensitivity to rounding is measured."""

PLAIN = 4.0
"""How much more than that sample of rounding errors a result may be off."""


def results(spec: Spec, drawn: Drawn, case: Case) -> dict[str, Tensor]:
    """`output:NAME` and `state:NAME`, in double precision."""
    outputs, state = interpret(spec, drawn.inputs, drawn.params, drawn.state, **_sizes(case))
    named = {f"output:{n}": a for n, a in outputs.items()} | {f"state:{n}": a for n, a in state.items()}
    return {name: torch.from_numpy(array.copy()) for name, array in named.items()}


@lru_cache(maxsize=16)
def values(spec: Spec, case: Case) -> Mapping[str, Tensor]:
    """The results of a case's own tensors."""
    return results(spec, draw_inputs(spec, case), case)


@lru_cache(maxsize=16)
def slopes(spec: Spec, case: Case) -> Mapping[str, Tensor]:
    """The gradients of a case's own tensors under the cotangents of its seed: `input:`, `param:`, `state:`."""
    return slopes_of(spec, draw_inputs(spec, case), case, weights(spec, case))


def weights(spec: Spec, case: Case) -> dict[str, Tensor]:
    """The cotangents that `slopes` uses."""
    return cotangents(values(spec, case), case.seed + 1)


def values_slack(spec: Spec, case: Case, drawn: Drawn | None = None) -> dict[str, float]:
    """What rounded inputs and rounded arithmetic make of each result: no algorithm can be asked for more.

    The larger of two: the tolerance times the change for a unit relative perturbation of everything that goes in; and a
    multiple of the change when every operation of the token loop is off by the roundoff that the mixer accumulates in.
    `drawn` are other tensors of the case's shapes than its own.
    """
    drawn = drawn or draw_inputs(spec, case)
    moved = results(spec, nudged(drawn, case), case)
    noisy = token_loop(spec, *_in_double(drawn), **_sizes(case), arrays=_noisy(case))
    named = {f"output:{n}": t for n, t in noisy[0].items()} | {f"state:{n}": t for n, t in noisy[1].items()}
    return _slack(results(spec, drawn, case), moved, named, case)


def slopes_slack(
    spec: Spec, case: Case, drawn: Drawn | None = None, given: Mapping[str, Tensor] | None = None
) -> dict[str, float]:
    """As `values_slack`, for the gradients; `given` are other cotangents than the case's own."""
    drawn, given = drawn or draw_inputs(spec, case), given or weights(spec, case)
    exact, moved = (slopes_of(spec, tensors, case, given) for tensors in (drawn, nudged(drawn, case)))
    noisy = slopes_of(spec, drawn, case, given, arrays=_noisy(case))
    return _slack(exact, moved, noisy, case)


def rounding_slack(spec: Spec, drawn: Drawn, case: Case) -> dict[str, float]:
    """What rounded arithmetic alone makes of each result, where the inputs are given."""
    exact = results(spec, drawn, case)
    outputs, state = token_loop(spec, *_in_double(drawn), **_sizes(case), arrays=_noisy(case))
    noisy = {f"output:{n}": t for n, t in outputs.items()} | {f"state:{n}": t for n, t in state.items()}
    return {name: PLAIN * _change(noisy[name], still) for name, still in exact.items()}


def _slack(
    exact: Mapping[str, Tensor], moved: Mapping[str, Tensor], noisy: Mapping[str, Tensor], case: Case
) -> dict[str, float]:
    by_input = {name: relative(case) * largest(moved[name] - still) / NUDGE for name, still in exact.items()}
    by_rounding = {name: PLAIN * _change(noisy[name], still) for name, still in exact.items()}
    return {name: max(by_input[name], by_rounding[name]) for name in exact}


def _change(noisy: Tensor, still: Tensor) -> float:
    """The largest change; infinite where rounding can turn a finite result into none, as in sqrt(1 - 1)."""
    broken = (still.isfinite() & ~noisy.isfinite()).any()
    return math.inf if broken else largest(noisy - still)


def _noisy(case: Case) -> NoisyArrays:
    accumulated = torch.float64 if case.dtype == "float64" else torch.float32
    return NoisyArrays(NOISE * unit_roundoff(accumulated), case.seed)


def _in_double(drawn: Drawn) -> list[dict[str, Tensor]]:
    return [
        {n: t.to(torch.complex128 if t.is_complex() else torch.float64) for n, t in group.items()}
        for group in (drawn.inputs, drawn.params, drawn.state)
    ]


def value_floors(spec: Spec, case: Case) -> dict[str, float]:
    """The smallest scale against which a result is judged."""
    drawn = draw_inputs(spec, case)
    least = NEGLIGIBLE * max(largest(t) for group in (drawn.inputs, drawn.state) for t in group.values())
    return dict.fromkeys(values(spec, case), least)


def slope_floors(spec: Spec, case: Case) -> dict[str, float]:
    """The smallest scale against which a gradient is judged.

    A gate's gradient is a difference of what its decay multiplies after and before, so it inherits the rounding of
    those terms even where they cancel. The largest |x dx| over inputs and states is their size; the derivative of a
    log-decay, which is about as large as the log-decay, multiplies it. Beyond SILENT a decay is zero in float32.
    """
    drawn, found = draw_inputs(spec, case), slopes(spec, case)
    flow = max(
        (
            _flow(t, found[f"{kind}:{n}"])
            for kind, group in (("input", drawn.inputs), ("state", drawn.state))
            for n, t in group.items()
        ),
        default=0.0,
    )
    least = NEGLIGIBLE * max(largest(weight) for weight in weights(spec, case).values())
    gates = feeds(spec).gates
    scaled = [name for name in found if name.startswith("param:") or name.removeprefix("input:") in gates]
    steep = max(1.0, min(case.gates.depth, SILENT))
    return dict.fromkeys(found, least) | dict.fromkeys(scaled, max(flow * steep, least))


def _flow(value: Tensor, slope: Tensor) -> float:
    product = (value.to(slope.dtype) * slope).abs()
    product = product[torch.isfinite(product)]
    return float(product.max()) if product.numel() else 0.0


def slopes_of(spec: Spec, drawn: Drawn, case: Case, weights: Mapping[str, Tensor], **options: Any) -> dict[str, Tensor]:
    """The gradients of any tensors of a case's shapes under the given cotangents."""
    return gradients(spec, drawn.inputs, drawn.params, drawn.state, weights, **_sizes(case), **options)


def _sizes(case: Case) -> dict[str, Any]:
    return {"sizes": case.size_of, "heads": case.heads, "groups": case.groups, "consts": dict(case.consts)}


def nudged(drawn: Drawn, case: Case) -> Drawn:
    """Everything that goes in, moved by random relative amounts of about NUDGE."""
    generator = torch.Generator().manual_seed(case.seed + 2)
    moved = [
        {name: _nudge(tensor, generator) for name, tensor in group.items()}
        for group in (drawn.inputs, drawn.params, drawn.state)
    ]
    return replace(drawn, inputs=moved[0], params=moved[1], state=moved[2])


def _nudge(tensor: Tensor, generator: torch.Generator) -> Tensor:
    wide = tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)
    return wide * (1 + NUDGE * torch.randn(wide.shape, generator=generator, dtype=torch.float64))
