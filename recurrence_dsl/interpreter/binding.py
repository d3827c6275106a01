"""Fits a call's tensors to a spec: which sizes they fix, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..check.spec import Declared, Input, Spec, expression
from ..diagnostics import CallError
from ..expr import Expr, Renamed, walk

CODES = {"input": "R0406", "param": "R0406", "state": "R0408", "const": "R0401", "axis": "R0401"}
"""Which error it is that a name of this kind is missing or unknown."""

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Binding:
    """Every size of one call."""

    batch: int
    length: int
    heads: int
    groups: int
    sizes: Mapping[str, int]
    consts: Mapping[str, float]


def remembered(spec: Spec) -> tuple[Declared, ...]:
    """What the state dict holds: states, and whatever else is read one step back."""
    return (*spec.states, *spec.carried)


def right_hand_sides(spec: Spec) -> dict[str, Expr]:
    """What defines each let, state and output, in the order of evaluation."""
    return {d.name: expression(d) for d in spec.definitions}


def representative(axis: str, spec: Spec) -> str:
    """The first declared of the axes that must have the same size as this one, since one is renamed to the other."""
    same = {dim.name: {dim.name} for dim in spec.dims}
    for node in (node for d in spec.definitions for node in walk(expression(d)) if isinstance(node, Renamed)):
        joined = same[node.source] | same[node.target]
        same |= dict.fromkeys(joined, joined)
    return next((dim.name for dim in spec.dims if dim.name in same.get(axis, ())), axis)


def bind(
    spec: Spec,
    inputs: Shapes,
    params: Shapes,
    state: Shapes,
    *,
    sizes: Mapping[str, int] | None,
    heads: int | None,
    groups: int | None,
    consts: Mapping[str, float] | None,
) -> Binding:
    """Infer every size from the shapes; CallError where something is missing, unknown or does not fit."""
    _expect_names("input", inputs, tuple(i.name for i in spec.inputs), required=True)
    _expect_names("param", params, tuple(p.name for p in spec.params), required=bool(params))
    _expect_names("state", state, tuple(d.name for d in remembered(spec)), required=False)
    _expect_names("const", consts or {}, tuple(c.name for c in spec.consts), required=False)
    _expect_names("axis", sizes or {}, tuple(d.name for d in spec.dims), required=False)
    found = _Sizes(heads, groups, sizes)
    for i in spec.inputs:
        found.match(f"input `{i.name}`", _input_layout(i), inputs[i.name])
    for p in spec.params:
        if p.name in params:
            found.match(f"param `{p.name}`", (*(() if p.shared else (HEADS,)), *p.axes), params[p.name])
    for d in remembered(spec):
        if d.name in state:
            found.match(f"initial state `{d.name}`", state_layout(d), state[d.name])
    return found.binding(spec, consts or {})


BATCH, TIME, HEADS, GROUPS = "batch", "time", "heads", "groups"
"""Names of the leading axes in messages; no spec can declare them, since they stand beside its own axes."""


def _input_layout(i: Input) -> tuple[str, ...]:
    return (BATCH, TIME, GROUPS if i.per_group else HEADS, *i.axes)


def state_layout(d: Declared) -> tuple[str, ...]:
    """A state's axes; a grouped input that is read one step back keeps one value a group."""
    return (BATCH, GROUPS if isinstance(d, Input) and d.per_group else HEADS, *d.axes)


class _Sizes:
    """Sizes found so far, each with where it was first seen."""

    def __init__(self, heads: int | None, groups: int | None, sizes: Mapping[str, int] | None) -> None:
        given = {HEADS: heads, GROUPS: groups, **(sizes or {})}
        self.found = {name: size for name, size in given.items() if size is not None}
        self.origin = dict.fromkeys(self.found, "the call")

    def match(self, what: str, layout: tuple[str, ...], shape: tuple[int, ...]) -> None:
        if len(layout) != len(shape):
            raise CallError(
                "R0403", f"{what} has {len(shape)} axes, [{', '.join(map(str, shape))}]; it needs [{', '.join(layout)}]"
            )
        for name, size in zip(layout, shape, strict=True):
            known = self.found.setdefault(name, size)
            origin = self.origin.setdefault(name, what)
            if known != size:
                raise CallError("R0403", f"axis `{name}` is {size} in {what}, but {known} in {origin}")

    def binding(self, spec: Spec, consts: Mapping[str, float]) -> Binding:
        self._share_renamed(spec)
        for dim in spec.dims:
            if dim.default is not None:
                self.found.setdefault(dim.name, dim.default)
        wanted = (BATCH, TIME, HEADS, *(dim.name for dim in spec.dims))
        missing = [name for name in wanted if name not in self.found]
        if missing:
            raise CallError(
                "R0401", f"no tensor fixes the size of {', '.join(missing)}", help="give it: `sizes={...}`, `heads=...`"
            )
        heads, groups = self.found[HEADS], self.found.get(GROUPS, 1)
        if groups <= 0 or heads % groups:
            raise CallError("R0403", f"{heads} heads cannot be shared out over {groups} groups")
        values = {const.name: float(consts.get(const.name, const.value)) for const in spec.consts}
        sizes = {dim.name: self.found[dim.name] for dim in spec.dims}
        return Binding(self.found[BATCH], self.found[TIME], heads, groups, sizes, values)

    def _share_renamed(self, spec: Spec) -> None:
        """An axis that another is renamed to has that one's size."""
        names = [dim.name for dim in spec.dims]
        for name in [name for name in names if name in self.found]:
            for other in names:
                if representative(other, spec) == representative(name, spec):
                    self.match(f"axis `{other}`, which `{name}` is renamed to", (other,), (self.found[name],))


def _expect_names(what: str, given: Mapping[str, object], known: tuple[str, ...], *, required: bool) -> None:
    for name in given:
        if name not in known:
            raise CallError(
                CODES[what], f"the spec has no {what} `{name}`", help=f"it has: {', '.join(known) or 'none'}"
            )
    missing = [name for name in known if name not in given] if required else []
    if missing:
        raise CallError(CODES[what], f"{what} {', '.join(f'`{name}`' for name in missing)} not given")
