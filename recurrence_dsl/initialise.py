"""Draws a param's first value from its initialiser; the interpreter and the compiled module use the same draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .arrays import NumpyArrays
from .check.spec import Initialiser, Param, Spec
from .expr import Fn

FUNCTIONS = {fn.value: fn for fn in Fn}


@dataclass(frozen=True, slots=True)
class _Scope:
    """The array that is drawn: its axes in order, and what the names in an initialiser stand for."""

    axes: tuple[str, ...]
    shared: bool
    sizes: Mapping[str, int]
    heads: int
    consts: Mapping[str, float]
    rng: np.random.Generator

    @property
    def shape(self) -> tuple[int, ...]:
        own = tuple(self.sizes[axis] for axis in self.axes)
        return own if self.shared else (self.heads, *own)

    def along(self, position: int, size: int) -> np.ndarray:
        """0, 1, .. along one axis of the shape, size 1 along the others."""
        return np.arange(size, dtype=np.float64).reshape([-1 if i == position else 1 for i in range(len(self.shape))])


def draw(
    init: Initialiser | None,
    axes: Sequence[str],
    rng: np.random.Generator,
    *,
    sizes: Mapping[str, int],
    heads: int,
    shared: bool = False,
    consts: Mapping[str, float] | None = None,
) -> np.ndarray:
    """One draw of an initialiser, float64, [H, *axes], or [*axes] when `shared`; no initialiser means zeros."""
    scope = _Scope(tuple(axes), shared, sizes, heads, consts or {}, rng)
    if init is None:
        return np.zeros(scope.shape)
    with np.errstate(all="ignore"):
        return np.array(np.broadcast_to(_value(init, scope), scope.shape))


def draw_params(
    spec: Spec,
    rng: np.random.Generator,
    *,
    sizes: Mapping[str, int],
    heads: int,
    consts: Mapping[str, float] | None = None,
) -> dict[str, np.ndarray]:
    """Every param of a spec, drawn in the order of declaration; complex ones are complex128."""
    values = {const.name: const.value for const in spec.consts} | dict(consts or {})

    def first(param: Param) -> np.ndarray:
        value = draw(param.init, param.axes, rng, sizes=sizes, heads=heads, shared=param.shared, consts=values)
        return value.astype(np.complex128) if param.is_complex else value

    return {param.name: first(param) for param in spec.params}


def _value(init: Initialiser, scope: _Scope) -> np.ndarray:
    arguments = tuple(_value(argument, scope) for argument in init.arguments)
    match init.function:
        case "number":
            return np.asarray(init.value)
        case "head":
            return scope.along(0, scope.heads)
        case "heads":
            return np.asarray(float(scope.heads))
        case "index":
            position = scope.axes.index(init.name) + (0 if scope.shared else 1)
            return scope.along(position, scope.sizes[init.name])
        case "size" | "const":
            return np.asarray(float(scope.sizes[init.name] if init.name in scope.sizes else scope.consts[init.name]))
        case "normal":
            mean, deviation = arguments
            return mean + deviation * scope.rng.standard_normal(scope.shape)
        case "uniform":
            low, high = arguments
            return low + (high - low) * scope.rng.random(scope.shape)
        case "loguniform":
            low, high = np.log(arguments[0]), np.log(arguments[1])
            return np.exp(low + (high - low) * scope.rng.random(scope.shape))
        case "inv_softplus":
            return arguments[0] + np.log(-np.expm1(-arguments[0]))
        case pointwise:
            return NumpyArrays().pointwise(FUNCTIONS[pointwise], arguments)
