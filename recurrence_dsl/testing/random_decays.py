"""Random decays: over no axis, any axis or several, full, constant, complex, and such as may reach zero."""

from __future__ import annotations

from itertools import combinations

from hypothesis import strategies as st

from .random_draft import Axes, Draft, raw, suffix

FORMULAS = (
    "exp({g})",
    "sigmoid({r})",
    "sigmoid({r}) ** (1/8)",
    "exp(-exp({r}))",
    "exp(-softplus({r}))",
    "0.2 + 0.8 * sigmoid({r})",
    "low + (1 - low) * sigmoid({r})",
    "exp({g}) * sigmoid({r})",
    "exp(-exp({A}) * softplus({r}))",
    "exp({g}[t-1])",
    "1 - {u}",
    "1 / (1 + square({r}))",
    "min(1, abs({r}))",
    "square(sin({r}))",
    "exp(-softplus({A}))",
)
"""`{g}` is an input that is never positive, `{r}` one without a range, `{u}` one in [0, 1], `{A}` a param."""

CONSTANT = ("1 - 2 ** (-3 - head)", "0.9", "0.5 ** (1 / (head + 1))", "exp(-c)")

TURNS = ("exp(1i * {r})", "exp({g} + 1i * {r})", "exp(-exp({A}) + 1i * {r})")
"""Complex decays of modulus one or less."""


def decay(draw: st.DrawFn, draft: Draft, name: str, axes: Axes, turning: bool = False) -> str:
    """What multiplies a state over these axes, as a factor: named decays, a product of some, a number or nothing."""
    kind = draw(st.sampled_from(("one", "one", "one", "two", "none", "constant", "inline")))
    if turning:
        return _one(draw, draft, f"w{name}", _subset(draw, axes), TURNS)
    match kind:
        case "one":
            return _one(draw, draft, f"w{name}", _subset(draw, axes), FORMULAS)
        case "two":
            parts = [_one(draw, draft, f"w{n}{name}", _subset(draw, axes), FORMULAS) for n in range(2)]
            return " * ".join(parts)
        case "constant":
            draft.const("c", "0.7")
            return f"({draw(st.sampled_from(CONSTANT))})"
        case "inline":
            return f"({_formula(draw, draft, _subset(draw, axes), FORMULAS)})"
        case _:
            return "1"


def _one(draw: st.DrawFn, draft: Draft, name: str, axes: Axes, formulas: tuple[str, ...]) -> str:
    draft.define(f"decay {name} = {_formula(draw, draft, axes, formulas)}")
    return name


def _formula(draw: st.DrawFn, draft: Draft, axes: Axes, formulas: tuple[str, ...]) -> str:
    formula, end = draw(st.sampled_from(formulas)), suffix(axes)
    names = dict[str, str]()
    if "{g}" in formula:
        names["g"] = draft.input(f"g_{end}", axes, " in (-inf, 0]")
    if "{u}" in formula:
        names["u"] = draft.input(f"f_{end}", axes, " in [0, 1]")
    if "{r}" in formula:
        names["r"] = raw(draw, draft, axes)
    if "{A}" in formula:
        names["A"] = draft.param(f"A_{end}", axes, "log(uniform(1, 4))")
    if "low" in formula:
        draft.const("low", "0.1")
    return formula.format(**names)


def _subset(draw: st.DrawFn, axes: Axes) -> Axes:
    """Any of the axes, in the order of their declaration; none is a decay that is one number for each head."""
    return draw(st.sampled_from([chosen for n in range(len(axes) + 1) for chosen in combinations(axes, n)]))
