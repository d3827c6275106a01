"""Draws the first value of a layer's tensors from the initialisers that the layer block states."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..diagnostics import CallError
from ..expr import Fn
from ..syntax.ast import Binary, Call, Expression, Flag, Name, Number, Previous, Rename, Unary
from .pointwise import pointwise

DRAWS = ("normal", "uniform", "loguniform", "orthogonal")
"""Initialisers that take random numbers."""
INITIALISER_FUNCTIONS = (*DRAWS, "inv_softplus", "index", *(fn.value for fn in Fn if fn.value.isalpha()))
OPERATORS = {"+": Fn.ADD, "-": Fn.SUB, "*": Fn.MUL, "/": Fn.DIV, "**": Fn.POW}
CALLED = {fn.value: fn for fn in Fn}


@dataclass(frozen=True, slots=True)
class Target:
    """The tensor to draw: its shape, the axis that each dimension is (if any), and what names stand for."""

    shape: tuple[int, ...]
    values: Mapping[str, float]
    axes: tuple[str, ...] = ()

    def index(self, axis: str) -> Tensor:
        """0, 1, .. along one axis, size 1 along the others."""
        place = self.axes.index(axis)
        ones = [1] * len(self.shape)
        ones[place] = self.shape[place]
        return torch.arange(self.shape[place], dtype=torch.float64).reshape(ones)


@torch.no_grad()
def fill(tensor: Tensor, expression: Expression, values: Mapping[str, float], axes: Sequence[str] = ()) -> None:
    """Draws `tensor` in place, computed in float64."""
    target = Target(tuple(tensor.shape), values, tuple(axes))
    drawn = _draw(expression, target)
    tensor.copy_(torch.as_tensor(drawn, dtype=torch.float64).expand(target.shape))


def _draw(expression: Expression, target: Target) -> Tensor:
    match expression:
        case Number():
            return torch.tensor(expression.value, dtype=torch.float64)
        case Name(name="head"):
            return target.index("heads")
        case Name():
            return torch.tensor(target.values[expression.name], dtype=torch.float64)
        case Unary():
            operand = _draw(expression.operand, target)
            return -operand if expression.operator == "-" else operand
        case Binary():
            sides = _draw(expression.left, target), _draw(expression.right, target)
            return pointwise(OPERATORS[expression.operator], sides)
        case Call(function="index", arguments=(Name(name=axis),)) if axis in target.axes:
            return target.index(axis)
        case Call(function="index"):
            raise CallError("R0515", "`index(..)` takes an axis of what is drawn")
        case Call():
            return _call(expression.function, tuple(_draw(a, target) for a in expression.arguments), target)
        case Flag() | Previous() | Rename():
            raise CallError("R0515", "an initialiser is made of numbers, names and draws")


def _call(function: str, arguments: tuple[Tensor, ...], target: Target) -> Tensor:
    made = MAKERS.get(function)
    return made(arguments, target.shape) if made is not None else pointwise(CALLED[function], arguments)


def _normal(arguments: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
    mean, deviation = arguments
    return mean + deviation * torch.randn(shape, dtype=torch.float64)


def _uniform(arguments: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
    low, high = arguments
    return low + (high - low) * torch.rand(shape, dtype=torch.float64)


def _loguniform(arguments: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
    low, high = (argument.log() for argument in arguments)
    return _uniform((low, high), shape).exp()


def _orthogonal(arguments: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
    """Orthonormal rows or columns, whichever are fewer, times the gain."""
    flat = torch.empty(shape[0], math.prod(shape[1:]), dtype=torch.float64)
    return torch.nn.init.orthogonal_(flat, gain=float(arguments[0])).reshape(shape)


def _inv_softplus(arguments: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
    value = arguments[0]
    return value + torch.log(-torch.expm1(-value))


MAKERS: Mapping[str, Callable[[tuple[Tensor, ...], tuple[int, ...]], Tensor]] = {
    "normal": _normal,
    "uniform": _uniform,
    "loguniform": _loguniform,
    "orthogonal": _orthogonal,
    "inv_softplus": _inv_softplus,
}
