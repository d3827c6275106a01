"""Random reads of states and random output maps."""

from __future__ import annotations

from hypothesis import strategies as st

from .random_draft import Axes, Draft, raw, scalar, vector

ENDS = (
    "{o}", "{o}", "tanh({o})", "{o} * sigmoid({s})", "{o} + {p} * {x}", "silu({x}) * {o}", "{o} / (1 + square({o}))",
    "{o} - {o}[t-1]", "max({o}, {x})", "{o} * {n} ** -0.5", "sqrt(1 + square({o}))",
)  # fmt: skip
"""What an output makes of a read; `{s}` is a scalar, `{p}` a param, `{x}` an input like the read, `{n}` an axis."""

OVER = ("rmsnorm[{A}]({o})", "softmax[{A}]({o})", "l2norm[{A}]({o} * {o})", "sum[{A}]({o})", "max[{A}]({o})")
"""Output maps over an axis."""


def read(draw: st.DrawFn, draft: Draft, name: str, axes: Axes, turning: bool) -> None:
    """Adds a let that reads a state: contracted over some of its axes, or entry by entry."""
    count = draw(st.sampled_from((1, len(axes), 0))) if axes else 0
    along = tuple(draw(st.permutations(axes))[:count])
    left = tuple(axis for axis in axes if axis not in along)
    held = _held(draw, draft, name, axes, turning)
    if along:
        over = draw(st.sampled_from(("sum", "sum", "sum", "mean")))
        query = " * ".join(vector(draw, draft, axis) for axis in along)
        held = f"{over}[{', '.join(along)}]({query} * {held})"
    if turning:
        held = f"{draw(st.sampled_from(('re', 'im', 'abs')))}({held})" if not along else f"re({held})"
    draft.define(f"let r{name} = {held}")
    draft.reads.append((f"r{name}", left))


def _held(draw: st.DrawFn, draft: Draft, name: str, axes: Axes, turning: bool) -> str:
    """The state now, before its write, or before its write with a bonus for it."""
    kinds = ("now", "now", "before", *(() if turning or not axes else ("bonus",)))
    match draw(st.sampled_from(kinds)):
        case "before":
            return f"{name}[t-1]"
        case "bonus":
            first = draft.param(f"u_{axes[0]}", axes[:1], "normal(0, 0.5)")
            return f"({name}[t-1] + {' * '.join((first, *(raw(draw, draft, (axis,)) for axis in axes)))})"
        case _:
            return name


def output(draw: st.DrawFn, draft: Draft, name: str) -> None:
    """Adds an output: a read, or two of the same axes, under an output map."""
    chosen, axes = draw(st.sampled_from(draft.reads))
    fitting = [other for other, its in draft.reads if its == axes]
    if draw(st.sampled_from((False, False, True))):
        draft.define(f"let z{name} = {chosen} / (1 + abs({draw(st.sampled_from(fitting))}))")
        chosen = f"z{name}"
    over = [(pattern, axis) for axis in axes for pattern in OVER]
    if over and draw(st.sampled_from((False, False, True))):
        pattern, axis = draw(st.sampled_from(over))
        draft.define(f"output {name} = {pattern.format(o=chosen, A=axis)}")
        return
    end = draw(st.sampled_from(ENDS))
    names = {"o": chosen, "n": draft.axes[0]}
    if "{s}" in end:
        names["s"] = scalar(draw, draft)
    if "{x}" in end:
        names["x"] = raw(draw, draft, axes)
    if "{p}" in end:
        names["p"] = draft.param(f"D_{'_'.join(axes)}", axes, "1")
    draft.define(f"output {name} = {end.format(**names)}")
