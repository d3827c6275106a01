"""Finds input values that give a wanted log-decay, by trying values on the decay's own expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..arrays import NumpyArrays
from ..check.spec import Input, Spec
from ..expr import Expr, Kind, Now, children
from ..interpreter.binding import right_hand_sides
from ..interpreter.evaluate import Named, Scope, evaluate
from .feeds import feeds

WIDE = np.longdouble
"""Where the platform has 80-bit floats a decay is distinguishable from zero down to exp(-1e4)."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a decay depends on besides the inputs; params are [H, *axes]."""

    params: Mapping[str, np.ndarray]
    heads: int
    sizes: Mapping[str, int]
    consts: Mapping[str, float]


def gate_values(spec: Spec, targets: tuple[float, ...], setting: Setting) -> dict[str, tuple[float, ...]]:
    """For each input that feeds a decay, one value for each target log-decay: the nearest that its range allows.

    The other inputs are held at the middle of their ranges.
    """
    found = feeds(spec)
    result = dict[str, tuple[float, ...]]()
    for i in spec.inputs:
        if i.name not in found.gates:
            continue
        tried = candidates(i)
        curves = _curves(found.decays, spec, i, tried, setting)
        if curves:
            nearest = [_nearest(tried, curves, target) for target in targets]
            close = [_between(tried, index) for index in nearest]
            result[i.name] = tuple(
                _refined(values, _curves(found.decays, spec, i, values, setting) or curves, target, tried[index])
                for values, target, index in zip(close, targets, nearest, strict=True)
            )
    return result


def _curves(decays: tuple[Expr, ...], spec: Spec, i: Input, tried: np.ndarray, setting: Setting) -> list[np.ndarray]:
    logs = [_log_decay(decay, spec, i, tried, setting) for decay in decays]
    return [curve for curve in logs if curve is not None]


def _between(tried: np.ndarray, index: int) -> np.ndarray:
    """Values around one of the tried ones, evenly spread up to its neighbours."""
    return np.linspace(tried[max(index - 1, 0)], tried[min(index + 1, len(tried) - 1)], 129)


def _refined(values: np.ndarray, curves: list[np.ndarray], target: float, coarse: float) -> float:
    """The best of the values; the coarse one where the decay does not change between its neighbours."""
    return float(values[_nearest(values, curves, target)]) if len(curves[0]) == len(values) else float(coarse)


def candidates(i: Input) -> np.ndarray:
    """Zero, and magnitudes from 1e-7 to 2e4 of both signs, as far as the declared range allows."""
    magnitudes = np.logspace(-7, 4.3, 400)
    values = np.concatenate((-magnitudes[::-1], [0.0], magnitudes))
    inside = (values > i.low) | ((values == i.low) & (not i.low_open))
    inside &= (values < i.high) | ((values == i.high) & (not i.high_open))
    ends = [end for end, is_open in ((i.low, i.low_open), (i.high, i.high_open)) if np.isfinite(end) and not is_open]
    return np.unique(np.concatenate((values[inside], ends, [middle(i)])))


def middle(i: Input) -> float:
    """A harmless value inside a declared range."""
    if np.isfinite(i.low) and np.isfinite(i.high):
        return (i.low + i.high) / 2
    if np.isfinite(i.low):
        return max(i.low + 0.5, 0.5)
    return min(i.high - 0.5, 0.5)


class _Values(dict[str, Named[np.ndarray]]):
    """Inputs, params and consts, with lets evaluated when they are asked for."""

    def __init__(self, known: Mapping[str, Named[np.ndarray]], spec: Spec, setting: Setting) -> None:
        super().__init__(known)
        self.definitions = right_hand_sides(spec)
        self.scope = Scope(NumpyArrays(WIDE), setting.heads, setting.sizes, self, self)

    def __missing__(self, name: str) -> Named[np.ndarray]:
        self[name] = evaluate(self.definitions[name], self.scope)
        return self[name]


def _log_decay(decay: Expr, spec: Spec, varied: Input, tried: np.ndarray, setting: Setting) -> np.ndarray | None:
    """The log of the decay's modulus at each tried value, averaged over heads and axes; None if it is the same."""
    reached = set(_reached(decay, right_hand_sides(spec)))
    if varied.name not in reached or reached & {state.name for state in spec.states}:
        return None
    known = {name: Named(np.full((1, 1), value, WIDE)) for name, value in setting.consts.items()}
    for p in spec.params:
        array = setting.params[p.name]
        known[p.name] = Named(_wide(array[(None, None) if p.shared else (None,)]), p.axes)
    for i in spec.inputs:
        known[i.name] = _held(i, tried if i is varied else np.full(1, middle(i)), setting)
    with np.errstate(all="ignore"):
        logs = np.log(np.abs(evaluate(decay, _Values(known, spec, setting).scope).array))
    logs = logs.reshape(len(logs), -1).mean(axis=1)
    return logs if np.nanmax(logs) - np.nanmin(logs) > 1e-9 else None


def _held(i: Input, values: np.ndarray, setting: Setting) -> Named[np.ndarray]:
    """An input that is the same along its axes; the tried values stand along the batch."""
    own = tuple(setting.sizes[axis] for axis in i.axes)
    column = _wide(values).reshape(-1, 1, *(1,) * len(own))
    return Named(np.broadcast_to(column, (len(values), 1, *own)), i.axes)


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.clongdouble if np.iscomplexobj(array) else WIDE)


def _reached(e: Expr, definitions: Mapping[str, Expr]) -> Iterator[str]:
    """Names that an expression depends on, through lets."""
    name = getattr(e, "name", None)
    if name is not None:
        yield name
    if isinstance(e, Now) and e.kind is Kind.LET:
        yield from _reached(definitions[e.name], definitions)
    for child in children(e):
        yield from _reached(child, definitions)


def _nearest(tried: np.ndarray, curves: list[np.ndarray], target: float) -> int:
    """The index of the value whose log-decays lie nearest to the target, small and large differences weighing alike."""

    def folded(logs: np.ndarray | float) -> np.ndarray:
        return np.arcsinh(np.nan_to_num(np.asarray(logs, WIDE), nan=np.inf, neginf=-1e30, posinf=1e30) * 1e8)

    distance = sum(np.abs(folded(curve) - folded(target)) for curve in curves)
    best = np.flatnonzero(distance == np.min(distance))
    return int(best[np.argmin(np.abs(tried[best]))])
