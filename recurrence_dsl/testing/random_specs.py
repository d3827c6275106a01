"""Random well-formed specs: any axes and gates, rank-one terms on any axis, several writes, reads and states."""

from __future__ import annotations

from hypothesis import strategies as st

from ..check import load_text
from ..check.spec import Spec
from .random_decays import decay
from .random_draft import AXES, Axes, Draft, beta, raw, scalar, unit, vector
from .random_reads import output, read

UPDATES = (
    "write", "write", "write", "two writes", "delta", "gated delta", "rank one", "two erasures", "coarse write",
    "one function", "past", "feedback", "momentum", "coupled", "turning",
)  # fmt: skip
"""Kinds of updates; what they mean stands at `_update`."""


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """A random spec that the checker accepts."""
    return load_text(draw(spec_texts()))


@st.composite
def spec_texts(draw: st.DrawFn) -> str:
    """The text of a random well-formed spec: one to three states over none to three axes, one to three outputs."""
    draft = Draft(draw(st.sampled_from(AXES)))
    for n in range(draw(st.sampled_from((1, 1, 2, 3)))):
        _state(draw, draft, f"S{n}")
    for n in range(draw(st.sampled_from((1, 1, 2, 3)))):
        output(draw, draft, f"o{n}")
    if not any(line.startswith("input") for line in draft.declarations.values()):
        draft.input("x_s", ())  # a mixer has one, whether or not it is used
    return draft.text()


def _state(draw: st.DrawFn, draft: Draft, name: str) -> None:
    """Adds a state and a let that reads it."""
    kind = draw(st.sampled_from(UPDATES))
    many = range(len(draft.axes), 0 if kind in ("delta", "gated delta", "rank one", "two erasures") else -1, -1)
    axes = tuple(draw(st.permutations(draft.axes))[: draw(st.sampled_from(tuple(many)))])
    turning = kind == "turning"
    w = decay(draw, draft, name, axes, turning)
    update = _update(draw, draft, kind, name, axes, f"{w} * {name}[t-1]")
    draft.define(f"state {name} : {'complex ' if turning else ''}[{', '.join(axes)}] = {update}")
    read(draw, draft, name, axes, turning)


def _update(draw: st.DrawFn, draft: Draft, kind: str, name: str, axes: Axes, kept: str) -> str:
    """The right side of a state's update; `kept` is what its decay leaves of it."""
    match kind:
        case "two writes":
            return f"{kept} + {_write(draw, draft, axes)} - {_write(draw, draft, axes)}"
        case "delta":
            return f"{kept} + {_erasure(draw, draft, axes, f'{name}[t-1]')}"
        case "gated delta":
            draft.define(f"let P{name} = {kept}")
            return f"P{name} + {_erasure(draw, draft, axes, f'P{name}')}"
        case "rank one":
            return f"{kept} + {_rank_one(draw, draft, axes, name)} + {_write(draw, draft, axes)}"
        case "two erasures":
            halves = (f"0.5 * ({_erasure(draw, draft, axes, f'{name}[t-1]')})" for _ in range(2))
            return f"{kept} + {' + '.join(halves)}"
        case "coarse write":
            return f"{kept} + {_write(draw, draft, axes[: len(axes) // 2])}"
        case "one function":
            return f"{kept} + tanh({_write(draw, draft, axes)})"
        case "past":
            draft.define(f"let m{name} = {_write(draw, draft, axes)}")
            return f"{kept} + m{name}[t-1]"
        case "feedback" | "momentum" | "coupled":
            return f"0.5 * ({kept}) + {_through_time(draw, draft, kind, name, axes)}"
        case "turning":
            turn = draft.input("c_" + "_".join(axes), axes, kind="complex ")
            return f"{kept} + {draw(st.sampled_from((turn, f'1i * {_write(draw, draft, axes)}')))}"
        case _:
            return f"{kept} + {_write(draw, draft, axes)}"


def _write(draw: st.DrawFn, draft: Draft, axes: Axes) -> str:
    """A product of a vector over each axis, with or without a weight; sometimes one input over all axes."""
    if len(axes) > 1 and draw(st.sampled_from((False, False, False, False, True))):
        return raw(draw, draft, axes)
    factors = [vector(draw, draft, axis) for axis in axes]
    if not factors or draw(st.booleans()):
        factors.append(scalar(draw, draft))
    return " * ".join(factors)


def _erasure(draw: st.DrawFn, draft: Draft, axes: Axes, held: str) -> str:
    """A delta rule along one axis: what is read there is replaced by a value."""
    along = draw(st.sampled_from(axes))
    key, value = unit(draw, draft, along), _write(draw, draft, tuple(axis for axis in axes if axis != along))
    return f"{beta(draw, draft)} * {key} * ({value} - sum[{along}]({key} * {held}))"


def _rank_one(draw: st.DrawFn, draft: Draft, axes: Axes, name: str) -> str:
    """A free rank-one term along one axis: inputs of their own, which the generator of inputs keeps calm."""
    along = draw(st.sampled_from(axes))
    a, b = (draft.input(f"{letter}_{along}", (along,)) for letter in "ab")
    return f"{draw(st.sampled_from(('', '-0.3 * ')))}{a} * sum[{along}]({b} * {name}[t-1])"


def _through_time(draw: st.DrawFn, draft: Draft, kind: str, name: str, axes: Axes) -> str:
    """Updates that depend on more than their own state: on a read of it, on a state of its own, on one another."""
    write, other = _write(draw, draft, axes), f"M{name}"
    if kind == "feedback" and axes:
        axis = axes[0]
        draft.define(f"let b{name} = 0.2 * mean[{axis}]({name})")
        return f"{write} - b{name}[t-1]"
    back = f"0.2 * {name}[t-1]" if kind == "coupled" else "0"
    draft.define(f"state {other} : [{', '.join(axes)}] = 0.5 * {other}[t-1] - {back} + {write}")
    return f"0.4 * {other}{draw(st.sampled_from(('', '[t-1]')))}"
