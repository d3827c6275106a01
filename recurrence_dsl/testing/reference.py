"""What a case's results should be: values by the interpreter, gradients by autograd through the token loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from ..check.spec import Spec
from ..interpreter import interpret
from .case import Case
from .feeds import feeds
from .random_inputs import Drawn, cotangents, draw_inputs
from .token_loop import gradients

NUDGE = 1e-7
"""Relative perturbation with which the reference's own sensitivity is measured, in float64."""


def results(spec: Spec, drawn: Drawn, case: Case) -> dict[str, Tensor]:
    """`output:NAME` and `state:NAME`, in double precision."""
    outputs, state = interpret(
        spec,
        drawn.inputs,
        drawn.params,
        drawn.state,
        sizes=case.size_of,
        heads=case.heads,
        groups=case.groups,
        consts=dict(case.consts),
    )
    named = {f"output:{n}": a for n, a in outputs.items()} | {f"state:{n}": a for n, a in state.items()}
    return {name: torch.from_numpy(array.copy()) for name, array in named.items()}


@lru_cache(maxsize=16)
def values(spec: Spec, case: Case) -> Mapping[str, Tensor]:
    """The results of a case's own tensors."""
    return results(spec, draw_inputs(spec, case), case)


@lru_cache(maxsize=16)
def slopes(spec: Spec, case: Case) -> Mapping[str, Tensor]:
    """The gradients of a case's own tensors under the cotangents of its seed: `input:`, `param:`, `state:`."""
    return _slopes(spec, draw_inputs(spec, case), case)


def weights(spec: Spec, case: Case) -> dict[str, Tensor]:
    """The cotangents that `slopes` uses."""
    return cotangents(values(spec, case), case.seed + 1)


def values_moved(spec: Spec, case: Case) -> dict[str, Tensor]:
    """How far the results move for a unit relative perturbation of everything that goes in."""
    moved = results(spec, nudged(draw_inputs(spec, case), case), case)
    return {name: (moved[name] - still) / NUDGE for name, still in values(spec, case).items()}


def slopes_moved(spec: Spec, case: Case) -> dict[str, Tensor]:
    """As `values_moved`, for the gradients."""
    moved = _slopes(spec, nudged(draw_inputs(spec, case), case), case)
    return {name: (moved[name] - still) / NUDGE for name, still in slopes(spec, case).items()}


def floors(spec: Spec, case: Case) -> dict[str, float]:
    """The smallest scale against which a gradient is judged.

    A gate's gradient is a difference of what its decay multiplies after and before, so it inherits the rounding of
    those terms even where they cancel. The largest |x dx| over the other inputs is their size.
    """
    drawn, found = draw_inputs(spec, case), slopes(spec, case)
    flow = max((_flow(drawn.inputs[name], found[f"input:{name}"]) for name in drawn.inputs), default=0.0)
    gates = feeds(spec).gates
    return {name: flow for name in found if name.startswith("param:") or name.removeprefix("input:") in gates}


def _flow(value: Tensor, slope: Tensor) -> float:
    product = (value.to(slope.dtype) * slope).abs()
    product = product[torch.isfinite(product)]
    return float(product.max()) if product.numel() else 0.0


def _slopes(spec: Spec, drawn: Drawn, case: Case) -> dict[str, Tensor]:
    return gradients(
        spec,
        drawn.inputs,
        drawn.params,
        drawn.state,
        weights(spec, case),
        sizes=case.size_of,
        heads=case.heads,
        groups=case.groups,
        consts=dict(case.consts),
    )


def nudged(drawn: Drawn, case: Case) -> Drawn:
    generator = torch.Generator().manual_seed(case.seed + 2)
    moved = [
        {name: _nudge(tensor, generator) for name, tensor in group.items()}
        for group in (drawn.inputs, drawn.params, drawn.state)
    ]
    return replace(drawn, inputs=moved[0], params=moved[1], state=moved[2])


def _nudge(tensor: Tensor, generator: torch.Generator) -> Tensor:
    wide = tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)
    return wide * (1 + NUDGE * torch.randn(wide.shape, generator=generator, dtype=torch.float64))
