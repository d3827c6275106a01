"""Makes a layer from a spec, with every size known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn

from ..check.report import nearest
from ..check.spec import Spec
from ..diagnostics import CallError, Severity, SpecError
from .check import check_layer
from .graph import GROUPS, HEADS, LAYERS, LayerGraph, LayerParam, Static, Value, children
from .initialise import fill
from .layer import Layer
from .lower import Lowering
from .static import evaluate

MixerFactory = Callable[..., nn.Module]
"""Makes a mixer: (spec, heads=, groups=, **sizes and consts)."""


def layer_graph(spec: Spec) -> LayerGraph:
    """The checked layer block of a spec; raises SpecError for an error in it, CallError where there is none."""
    graph, findings = check_layer(spec)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise SpecError(findings)
    if graph is None:
        raise CallError("R0514", f"the spec `{spec.name}` has no layer block", "add `layer x : [D]` and its lines")
    return graph


def build_layer(
    spec: Spec,
    make_mixer: MixerFactory,
    *,
    d_model: int,
    heads: int,
    groups: int = 1,
    layer_index: int = 0,
    layers: int = 1,
    sizes: Mapping[str, float],
) -> Layer:
    """The layer of a spec around the mixer that `make_mixer` gives. `sizes` holds dims' sizes and consts' values."""
    graph = layer_graph(spec)
    _known(graph, sizes)
    _whole({"d_model": d_model, "heads": heads, "groups": groups, "layers": layers})
    counts = {HEADS: heads, GROUPS: groups, LAYERS: layers, graph.model_axis: d_model}
    dims = _dims(graph, sizes) | counts
    values = _values(graph, sizes, dims, layer_index)
    own = {dim.name: dims[dim.name] for dim in graph.spec.dims}
    consts = {const.name: values[const.name] for const in graph.spec.consts}
    grouped = {"groups": groups} if _has_groups(graph, heads, groups) else {}
    mixer = make_mixer(graph.spec, heads=heads, **grouped, **own, **consts)
    lowering = Lowering(graph, dims | _plain_widths(graph), values)
    program = lowering.run()
    params = {param.name: _param(param, dims, values) for param in graph.params}
    return Layer(graph, mixer, lowering.modules, params, program, dims)


def _known(graph: LayerGraph, sizes: Mapping[str, float]) -> None:
    """Refuses a keyword that is no dim and no const."""
    named = (*graph.spec.dims, *graph.spec.consts, *graph.consts)
    known = tuple(declared.name for declared in named)
    for name in sizes:
        if name not in known:
            close = nearest(name, known)
            raise CallError(
                "R0401",
                f"`{name}` is neither a dim nor a const of `{graph.spec.name}`",
                f"did you mean `{close}`?" if close else f"it has {', '.join(known)}",
            )


def _has_groups(graph: LayerGraph, heads: int, groups: int) -> bool:
    """Whether the mixer has groups; refuses a number of groups that neither it nor the layer block uses."""
    mixer = any(declared.per_group for declared in graph.spec.inputs)
    if groups != 1 and not mixer and GROUPS not in graph.counts:
        raise CallError("R0407", f"groups={groups}, but `{graph.spec.name}` has nothing per group", "leave it out")
    if heads % groups:
        raise CallError("R0407", f"heads={heads} do not divide into groups={groups}")
    return mixer


def _whole(counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        if count != int(count) or count < 1:
            raise CallError("R0515", f"`{name}` must be a whole number from 1, not {count}")


def _dims(graph: LayerGraph, sizes: Mapping[str, float]) -> dict[str, int]:
    """The size of each of the spec's dims: the one given, or its default."""
    found = {dim.name: sizes.get(dim.name, dim.default) for dim in graph.spec.dims if dim.name != graph.model_axis}
    absent = [name for name, size in found.items() if size is None]
    if absent:
        raise CallError(
            "R0401",
            f"no size is given for {', '.join(f'`{name}`' for name in absent)}",
            f"pass {', '.join(f'{name}=64' for name in absent)}",
        )
    whole = {name: int(size) for name, size in found.items() if size is not None}
    _whole(whole)
    return whole


def _values(
    graph: LayerGraph, sizes: Mapping[str, float], dims: Mapping[str, int], layer_index: int
) -> dict[str, float]:
    """What the names of static expressions stand for; a const that a line assigns takes that line's number."""
    values = {name: float(size) for name, size in dims.items()} | {"layer": float(layer_index)}
    values |= {const.name: float(sizes.get(const.name, const.value)) for const in graph.spec.consts}
    for const in graph.consts:
        values[const.name] = float(sizes[const.name]) if const.name in sizes else evaluate(const.value, values)
    for const in graph.spec.consts:
        line = graph.line(const.name)
        if line is not None and isinstance(line.value, Static):
            values[const.name] = evaluate(line.value.expression, values)
    return values


def _plain_widths(graph: LayerGraph) -> dict[str, int]:
    """The sizes of axes that are written as numbers."""
    roots = (*(line.value for line in graph.lines), graph.result)
    axes = {axis for root in roots for value in _walk(root) for axis in value.axes}
    return {axis: int(axis) for axis in axes if axis.isdigit()}


def _walk(value: Value) -> Iterator[Value]:
    yield value
    for child in children(value):
        yield from _walk(child)


def _param(param: LayerParam, dims: Mapping[str, int], values: Mapping[str, float]) -> nn.Parameter:
    tensor = torch.zeros(tuple(dims[axis] for axis in param.axes))
    if param.init is not None:
        fill(tensor, param.init, values, param.axes)
    return nn.Parameter(tensor)
