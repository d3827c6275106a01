"""What generated code must do whatever it computes: write everything, change nothing, repeat itself, stay finite."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from ...check.spec import Spec
from .. import reference, subject
from ..case import Case
from ..finding import Property
from ..measure import EXACT, Error, identical, worst
from ..random_inputs import Drawn, draw_inputs
from .agreement import against_slopes, against_values


def finite(spec: Spec, case: Case) -> Error:
    """Finite inputs give finite outputs and gradients wherever the exact ones are finite in the case's dtype."""
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    limit = torch.finfo(case.torch_dtype).max / 4
    mixer = subject.build(spec, case, drawn.params)
    values, slopes = subject.run(mixer, drawn.inputs, drawn.state), subject.gradients(mixer, drawn, weights)
    return worst(
        (
            *_not_finite(values, reference.values(spec, case), limit),
            *_not_finite(slopes, reference.slopes(spec, case), limit),
        )
    )


def written(spec: Spec, case: Case) -> Error:
    """With every fresh buffer full of NaN the results are the same: nothing is read before it is written."""
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    mixer = subject.build(spec, case, drawn.params)
    with _poisoned():
        values, slopes = subject.run(mixer, drawn.inputs, drawn.state), subject.gradients(mixer, drawn, weights)
    return worst((against_values(spec, case, values), against_slopes(spec, case, slopes)))


def repeats(spec: Spec, case: Case) -> Error:
    """Two runs on the same tensors are equal bit for bit, gradients too."""
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    mixer = subject.build(spec, case, drawn.params)
    first, second = (
        subject.run(mixer, drawn.inputs, drawn.state) | subject.gradients(mixer, drawn, weights) for _ in range(2)
    )
    return identical(second, first)


def untouched(spec: Spec, case: Case) -> Error:
    """The caller's tensors are as they were after forward and backward."""
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    mixer = subject.build(spec, case, drawn.params)
    before = {f"{n}": t.clone() for group in (drawn.inputs, drawn.state) for n, t in group.items()}
    subject.run(mixer, drawn.inputs, drawn.state)
    subject.gradients(mixer, drawn, weights)
    return identical({**drawn.inputs, **drawn.state}, before)


def any_strides(spec: Spec, case: Case) -> Error:
    """Tensors that lie differently in memory, in the inputs, the state and the incoming gradients."""
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    mixer = subject.build(spec, case, drawn.params)
    errors = list[Error]()
    for layout in (_time_last, _every_second):
        inputs, state = ({n: layout(t) for n, t in group.items()} for group in (drawn.inputs, drawn.state))
        moved = {name: layout(tensor) for name, tensor in weights.items()}
        errors.append(against_values(spec, case, subject.run(mixer, inputs, state)))
        slopes = subject.gradients(mixer, Drawn(inputs, drawn.params, state), moved, keep_strides=True)
        errors.append(against_slopes(spec, case, slopes))
    return worst(errors)


def _not_finite(got: Mapping[str, Tensor], want: Mapping[str, Tensor], limit: float) -> Iterator[Error]:
    for name, exact in want.items():
        asked = exact.isfinite() & (exact.abs() < limit)
        if (asked & ~got[name].isfinite()).any():
            yield Error(f"{name}: not finite", math.inf, math.inf)
        yield EXACT


@contextmanager
def _poisoned() -> Iterator[None]:
    """Every uninitialised buffer of torch holds NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)  # fills fresh memory unless told otherwise
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _time_last(tensor: Tensor) -> Tensor:
    """The same values with the second axis innermost in memory."""
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


def _every_second(tensor: Tensor) -> Tensor:
    """The same values at every second place of a larger buffer."""
    wide = tensor.new_full((*tensor.shape[:-1], 2 * tensor.shape[-1]), float("nan"))
    wide[..., ::2] = tensor
    return wide[..., ::2]


FINITE = Property("finite", "finite inputs give finite outputs and gradients", finite)
WRITTEN = Property("written", "nothing depends on what fresh memory holds", written)
REPEAT = Property("repeat", "two runs are equal bit for bit", repeats)
UNTOUCHED = Property("untouched", "the caller's tensors are left as they were", untouched)
STRIDES = Property("strides", "the layout of tensors in memory does not matter", any_strides)
