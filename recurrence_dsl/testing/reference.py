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
from .measure import largest, relative
from .random_inputs import Drawn, cotangents, draw_inputs
from .token_loop import gradients, token_loop

NUDGE = 1e-7
"""Relative perturbation with which the reference's own sensitivity is measured, in float64."""

NEGLIGIBLE = 2.0**-12
"""A result whose values are all smaller than this part of what goes in is judged against that part: an intermediate
that underflows in one evaluation and not in another makes such values."""

SILENT = 200.0
"""A log-decay of this size lets nothing through in float32."""

PLAIN = 4.0
"""How much worse than plain token-by-token arithmetic in the same precision a result may be."""


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


def values_slack(spec: Spec, case: Case) -> dict[str, float]:
    """What rounded inputs and plain arithmetic make of each result: no algorithm can be asked for more.

    The larger of two: the tolerance times the change for a unit relative perturbation of everything that goes in; and a
    multiple of the error of the token loop in the precision that the mixer accumulates in.
    """
    drawn, exact = draw_inputs(spec, case), values(spec, case)
    moved = results(spec, nudged(drawn, case), case)
    plain = _loop(spec, in_single(drawn), case) if case.dtype != "float64" else exact
    return _slack(exact, moved, plain, case)


def slopes_slack(spec: Spec, case: Case) -> dict[str, float]:
    """As `values_slack`, for the gradients."""
    drawn, exact = draw_inputs(spec, case), slopes(spec, case)
    moved = _slopes(spec, nudged(drawn, case), case)
    plain = _slopes(spec, in_single(drawn), case, torch.float32) if case.dtype != "float64" else exact
    return _slack(exact, moved, plain, case)


def _slack(
    exact: Mapping[str, Tensor], moved: Mapping[str, Tensor], plain: Mapping[str, Tensor], case: Case
) -> dict[str, float]:
    by_input = {name: relative(case) * largest(moved[name] - still) / NUDGE for name, still in exact.items()}
    by_rounding = {name: PLAIN * largest(plain[name].to(still.dtype) - still) for name, still in exact.items()}
    return {name: max(by_input[name], by_rounding[name]) for name in exact}


def _loop(spec: Spec, drawn: Drawn, case: Case) -> dict[str, Tensor]:
    outputs, state = token_loop(
        spec,
        drawn.inputs,
        drawn.params,
        drawn.state,
        sizes=case.size_of,
        heads=case.heads,
        groups=case.groups,
        consts=dict(case.consts),
    )
    return {f"output:{n}": t for n, t in outputs.items()} | {f"state:{n}": t for n, t in state.items()}


def in_single(drawn: Drawn) -> Drawn:
    """Everything in float32."""
    inputs, params, state = (
        {n: t.to(torch.complex64 if t.is_complex() else torch.float32) for n, t in group.items()}
        for group in (drawn.inputs, drawn.params, drawn.state)
    )
    return Drawn(inputs, params, state)


def value_floors(spec: Spec, case: Case) -> dict[str, float]:
    """The smallest scale against which a result is judged."""
    drawn = draw_inputs(spec, case)
    least = NEGLIGIBLE * max(largest(t) for group in (drawn.inputs, drawn.state) for t in group.values())
    return dict.fromkeys(values(spec, case), least)


def slope_floors(spec: Spec, case: Case) -> dict[str, float]:
    """The smallest scale against which a gradient is judged.

    A gate's gradient is a difference of what its decay multiplies after and before, so it inherits the rounding of
    those terms even where they cancel. The largest |x dx| over the other inputs is their size; the derivative of a
    log-decay, which is about as large as the log-decay, multiplies it. Beyond SILENT a decay is zero in float32.
    """
    drawn, found = draw_inputs(spec, case), slopes(spec, case)
    flow = max((_flow(drawn.inputs[name], found[f"input:{name}"]) for name in drawn.inputs), default=0.0)
    least = NEGLIGIBLE * max(largest(weight) for weight in weights(spec, case).values())
    gates = feeds(spec).gates
    scaled = [name for name in found if name.startswith("param:") or name.removeprefix("input:") in gates]
    steep = max(1.0, min(case.gates.depth, SILENT))
    return dict.fromkeys(found, least) | dict.fromkeys(scaled, max(flow * steep, least))


def _flow(value: Tensor, slope: Tensor) -> float:
    product = (value.to(slope.dtype) * slope).abs()
    product = product[torch.isfinite(product)]
    return float(product.max()) if product.numel() else 0.0


def _slopes(spec: Spec, drawn: Drawn, case: Case, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
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
        dtype=dtype,
    )


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
