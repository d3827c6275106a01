"""What must not depend on what: the past on the future, one batch element on another, one head on another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ...check.spec import Spec
from .. import subject
from ..case import Case
from ..finding import Property
from ..measure import Error, identical, worst
from ..random_inputs import Drawn, draw_inputs


def causal(spec: Spec, case: Case) -> Error:
    """Other tokens from t on leave the outputs before t as they were, bit for bit."""
    drawn, other = _two(spec, case)
    errors = list[Error]()
    for t in sorted({1, case.length // 2, case.length - 1} & set(range(1, case.length))):
        changed = {
            name: torch.cat((tensor[:, :t], other.inputs[name][:, t:]), dim=1) for name, tensor in drawn.inputs.items()
        }
        errors.append(_same_where(spec, case, drawn, replace(drawn, inputs=changed), slice(None), slice(0, t)))
    return worst(errors)


def batch_independent(spec: Spec, case: Case) -> Error:
    """Another sequence in the last batch entry leaves the others as they were, bit for bit."""
    drawn, other = _two(spec, case)
    changed = [_last_replaced(group, new, 0, 1) for group, new in _groups(drawn, other)]
    kept = slice(0, case.batch - 1)
    return _same_where(spec, case, drawn, Drawn(changed[0], drawn.params, changed[1]), kept, slice(None))


def head_independent(spec: Spec, case: Case) -> Error:
    """Other values in the last group of heads leave the other heads as they were, bit for bit."""
    drawn, other = _two(spec, case)
    grouped = {i.name for i in spec.inputs if i.per_group}
    width = case.heads // case.groups if grouped else 1
    inputs = {
        name: _last_replaced({name: tensor}, other.inputs, 2, 1 if name in grouped else width)[name]
        for name, tensor in drawn.inputs.items()
    }
    state = {
        name: _last_replaced({name: tensor}, other.state, 1, 1 if name in grouped else width)[name]
        for name, tensor in drawn.state.items()
    }
    return _same_where(
        spec, case, drawn, Drawn(inputs, drawn.params, state), slice(None), slice(None), slice(0, case.heads - width)
    )


def _two(spec: Spec, case: Case) -> tuple[Drawn, Drawn]:
    return draw_inputs(spec, case), draw_inputs(spec, replace(case, seed=case.seed + 1000))


def _groups(drawn: Drawn, other: Drawn) -> tuple[tuple[Mapping[str, Tensor], Mapping[str, Tensor]], ...]:
    return (drawn.inputs, other.inputs), (drawn.state, other.state)


def _last_replaced(
    tensors: Mapping[str, Tensor], new: Mapping[str, Tensor], axis: int, width: int
) -> dict[str, Tensor]:
    """The last `width` entries along an axis taken from `new`."""

    def replaced(name: str, tensor: Tensor) -> Tensor:
        keep = tensor.shape[axis] - width
        return torch.cat((tensor.narrow(axis, 0, keep), new[name].narrow(axis, keep, width)), dim=axis)

    return {name: replaced(name, tensor) for name, tensor in tensors.items()}


def _same_where(
    spec: Spec, case: Case, drawn: Drawn, changed: Drawn, batch: slice, time: slice, heads: slice = slice(None)
) -> Error:
    mixer = subject.build(spec, case, drawn.params)
    before, after = (subject.run(mixer, d.inputs, d.state) for d in (drawn, changed))
    outputs = [name for name in before if name.startswith("output:")]
    return identical(
        {name: after[name][batch, time, heads] for name in outputs},
        {name: before[name][batch, time, heads] for name in outputs},
    )


def _several(spec: Spec, case: Case) -> Case:
    if not any(i.per_group for i in spec.inputs):
        return replace(case, batch=max(case.batch, 2), heads=max(case.heads, 2))
    groups, width = max(case.groups, 2), case.heads // case.groups
    return replace(case, batch=max(case.batch, 2), groups=groups, heads=groups * width)


CAUSALITY = Property("causality", "later tokens change nothing before them, bit for bit", causal)
BATCH = Property("batch", "batch entries do not touch each other, bit for bit", batch_independent, restrict=_several)
HEADS = Property("heads", "heads do not touch each other, bit for bit", head_independent, restrict=_several)
