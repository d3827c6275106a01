"""Runs the programs of a spec on a case's tensors, between the layout of the API and that of the programs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from recurrence_dsl.check.spec import Declared, Input, Param, Spec
from recurrence_dsl.program.adjoint import adjoint
from recurrence_dsl.program.blocks import Operands, run_blocks, run_blocks_backward
from recurrence_dsl.program.ops import BATCH, HEAD, Program
from recurrence_dsl.testing.case import Case
from recurrence_dsl.testing.random_inputs import Drawn

Array = np.ndarray


def operands(spec: Spec, case: Case, drawn: Drawn) -> Operands:
    """Axes in layout order, time behind the heads, groups repeated for their heads."""
    sizes = {BATCH: case.batch, HEAD: case.heads, **case.size_of}
    inputs = {i.name: _heads(_inward(spec, i, drawn.inputs[i.name]).swapaxes(1, 2), case) for i in spec.inputs}
    params = {p.name: _inward(spec, p, drawn.params[p.name]) for p in spec.params}
    state = {n: _heads(_inward(spec, spec.find(n), s), case) for n, s in drawn.state.items()}
    return Operands(inputs, params, state, sizes, case.length)


def values(spec: Spec, program: Program, case: Case, drawn: Drawn, block: int) -> dict[str, Tensor]:
    """`output:NAME` and `state:NAME` as the interpreter gives them."""
    outputs, state = run_blocks(program, operands(spec, case, drawn), block)
    found = {f"output:{n}": _outward(spec, spec.find(n), x.swapaxes(1, 2)) for n, x in outputs.items()}
    for n, s in state.items():
        d = spec.find(n)
        found[f"state:{n}"] = _outward(spec, d, _groups(s, d, case)[:, :, 0])
    return _tensors(found)


def slopes(
    spec: Spec, program: Program, case: Case, drawn: Drawn, cotangents: Mapping[str, Tensor], block: int
) -> dict[str, Tensor]:
    """`input:NAME`, `param:NAME`, `state:NAME` as autograd through the token loop gives them."""
    given = {}
    for key, weight in cotangents.items():
        kind, name = key.split(":")
        array = _inward(spec, spec.find(name), weight)
        given[key] = array.swapaxes(1, 2) if kind == "output" else _shared(array, case)
    found = {}
    on = operands(spec, case, drawn)
    for key, array in run_blocks_backward(program, adjoint(program), on, given, block).items():
        kind, name = key.split(":")
        d = spec.find(name)
        if kind != "param":
            array = _groups(array, d, case).sum(2)
        found[key] = _outward(spec, d, array.swapaxes(1, 2) if kind == "input" else array)
    return _tensors(found)


def _layout(spec: Spec, d: Declared) -> tuple[int, ...]:
    """Where each axis in layout order stands in the declaration."""
    return tuple(d.axes.index(a.name) for a in spec.dims if a.name in d.axes)


def _inward(spec: Spec, d: Declared, x: Tensor) -> Array:
    order, array = _layout(spec, d), x.to(torch.complex128 if x.is_complex() else torch.float64).numpy()
    lead = array.ndim - len(order)
    return array.transpose([*range(lead), *(lead + i for i in order)])


def _outward(spec: Spec, d: Declared, array: Array) -> Array:
    order = _layout(spec, d)
    lead = array.ndim - len(order)
    return array.transpose([*range(lead), *(lead + order.index(i) for i in range(len(order)))])


def _heads(array: Array, case: Case) -> Array:
    return np.repeat(array, case.heads // array.shape[1], 1)


def _shared(array: Array, case: Case) -> Array:
    """A gradient given for a group, shared out over its heads."""
    ratio = case.heads // array.shape[1]
    return np.repeat(array, ratio, 1) / ratio


def _groups(array: Array, d: Declared, case: Case) -> Array:
    """Heads as [groups, heads of a group], or [heads, 1] where there are no groups."""
    assert not isinstance(d, Param)
    count = case.groups if isinstance(d, Input) and d.per_group else case.heads
    return array.reshape(array.shape[0], count, -1, *array.shape[2:])


def _tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    return {key: torch.from_numpy(np.ascontiguousarray(a)) for key, a in arrays.items()}
