"""A random spec in the making: its axes, what it has declared so far, and operands to build formulas from."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

Axes = tuple[str, ...]

AXES = (
    ("K", "V"),
    ("V", "K"),
    ("N",),
    ("key", "value"),
    ("K", "M", "V"),
    ("K", "J", "V"),
    ("H", "T"),
    ("Φ", "λ_2"),
    ("D", "N"),
)
"""Names of axes in the order of their declaration. None has a meaning of its own."""

RENAMED = {"J": "K"}
"""Axes over which a vector may also be one of another axis, renamed."""

MAPS = (
    "{x}",
    "silu({x})",
    "elu({x}) + 1",
    "relu({x})",
    "square({x})",
    "tanh({x})",
    "softplus({x})",
    "{x}[t-1]",
    "-{x}",
    "gelu({x})",
    "{x} / (1 + abs({x}))",
    "max({x}, -0.5)",
    "{x} + {x}[t-1]",
    "sqrt(1 + square({x})) - 1",
)
"""Feature maps of what is written and read."""

MAPS_OVER = ("l2norm[{A}]({x})", "softmax[{A}]({x})", "rmsnorm[{A}]({x})", "{x} - mean[{A}]({x})")
"""Feature maps over a vector's axis."""

LETTERS = ("x", "y", "z")


@dataclass(slots=True)
class Draft:
    """Lines of a spec; declarations are added when something first asks for a name.

    `reads` holds lets over what earlier states hold, with their axes: what a later formula may be fed with.
    """

    axes: Axes
    declarations: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    reads: list[tuple[str, Axes]] = field(default_factory=list)

    def input(self, name: str, axes: Axes, rest: str = "", kind: str = "") -> str:
        self.declarations.setdefault(name, f"input {name} : {kind}[{', '.join(axes)}]{rest}")
        return name

    def param(self, name: str, axes: Axes, init: str, shared: str = "") -> str:
        self.declarations.setdefault(name, f"param {name} : [{', '.join(axes)}]{shared} = {init}")
        return name

    def const(self, name: str, value: str) -> str:
        self.declarations.setdefault(name, f"const {name} = {value}")
        return name

    def define(self, line: str) -> None:
        if line not in self.lines:
            self.lines.append(line)

    def text(self) -> str:
        lines = ("mixer random", f"dim {', '.join(self.axes)}", *self.declarations.values(), *self.lines)
        return "\n".join(lines) + "\n"


def suffix(axes: Axes) -> str:
    """What names of values over these axes end in."""
    return "_".join(axes) or "s"


def raw(draw: st.DrawFn, draft: Draft, axes: Axes) -> str:
    """An input over some axes, new or one that is there; some are shared by a group of heads."""
    grouped = draw(st.sampled_from(("", "", "", " per group")))
    return draft.input(f"{draw(st.sampled_from(LETTERS))}_{suffix(axes)}", axes, grouped)


def vector(draw: st.DrawFn, draft: Draft, axis: str) -> str:
    """Anything over one axis: an input or an earlier read, mapped, perhaps weighted by a scalar or a param."""
    fed = [name for name, axes in draft.reads if axes == (axis,)]
    if fed and draw(st.sampled_from((False, False, True))):
        return f"(tanh({draw(st.sampled_from(fed))}))"
    if axis in RENAMED and draw(st.booleans()):
        return f"{vector(draw, draft, RENAMED[axis])}[{RENAMED[axis]} -> {axis}]"
    mapped = draw(st.sampled_from((*MAPS, *MAPS_OVER))).format(x=raw(draw, draft, (axis,)), A=axis)
    match draw(st.sampled_from(("plain", "plain", "plain", "scalar", "param"))):
        case "scalar":
            return f"({scalar(draw, draft)} * ({mapped}))"
        case "param":
            shared = draw(st.sampled_from(("", " shared")))
            return f"({draft.param(f'u_{axis}', (axis,), 'normal(0.5, 0.5)', shared)} * ({mapped}))"
        case _:
            return f"({mapped})"


def unit(draw: st.DrawFn, draft: Draft, axis: str) -> str:
    """A vector of length at most one: what an erasing update may be built from without growing."""
    key = raw(draw, draft, (axis,))
    draft.define(f"let n_{key} = l2norm[{axis}]({key})")
    return f"n_{key}"


def scalar(draw: st.DrawFn, draft: Draft) -> str:
    """A number for each token and head."""
    fed = [name for name, axes in draft.reads if axes == ()]
    choices = ("{s}", "sigmoid({s})", "{s}[t-1]", "{c}", "{p}", "(head + 1) / heads", *(["{r}"] if fed else []))
    match draw(st.sampled_from(choices)):
        case "{c}":
            return draft.const("c", "0.7")
        case "{p}":
            return draft.param("p", (), "1")
        case "{r}":
            return f"tanh({draw(st.sampled_from(fed))})"
        case formula:
            return formula.format(s=raw(draw, draft, ()))


def beta(draw: st.DrawFn, draft: Draft) -> str:
    """How strongly an erasing update erases: between 0 and 2."""
    high = draw(st.sampled_from(("1", "2")))
    return draft.input(f"beta{high}", (), f" in [0, {high}]")
