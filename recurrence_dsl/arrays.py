"""The language's functions on arrays: the interface that the evaluator speaks, and its NumPy side.

Arrays are laid out `[batch or 1, heads or 1, *axes]`. No function overflows where its mathematical value is finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, assert_never

import numpy as np

from .expr import AxisFn, Fn

A = TypeVar("A")
EPSILON = 1e-6
"""Inside the square root of `l2norm` and `rmsnorm`."""


class Arrays(Protocol[A]):
    """What an evaluator needs of an array library."""

    def constant(self, value: float | complex) -> A:
        """An array with no axes."""
        ...

    def head_index(self, heads: int) -> A:
        """0, 1, .. along the head axis, laid out [1, heads]."""
        ...

    def zeros(self, shape: tuple[int, ...], is_complex: bool) -> A: ...

    def as_complex(self, array: A) -> A: ...

    def permute(self, array: A, order: tuple[int, ...]) -> A: ...

    def expand(self, array: A, shape: tuple[int, ...]) -> A:
        """Broadcast to a shape."""
        ...

    def repeat_heads(self, array: A, times: int) -> A:
        """Each entry of axis 1 `times` times in a row."""
        ...

    def stack_time(self, columns: Sequence[A]) -> A:
        """[B, H, ..] a step -> [B, T, H, ..]."""
        ...

    def pointwise(self, fn: Fn, args: tuple[A, ...]) -> A: ...

    def over(self, fn: AxisFn, arg: A, positions: tuple[int, ...]) -> A: ...


class NumpyArrays:
    """NumPy arrays; `real` is the floating type that constants take."""

    def __init__(self, real: type[np.floating[Any]] = np.float64) -> None:
        self.real = real

    def constant(self, value: float | complex) -> np.ndarray:
        dtype = np.result_type(self.real, np.complex64) if isinstance(value, complex) else self.real
        return np.full((1, 1), value, dtype)

    def head_index(self, heads: int) -> np.ndarray:
        return np.arange(heads, dtype=self.real)[None]

    def zeros(self, shape: tuple[int, ...], is_complex: bool) -> np.ndarray:
        return np.zeros(shape, np.result_type(self.real, np.complex64) if is_complex else self.real)

    def as_complex(self, array: np.ndarray) -> np.ndarray:
        return array.astype(np.result_type(array.dtype, np.complex64), copy=False)

    def permute(self, array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
        return array.transpose(order)

    def expand(self, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(array, shape)

    def repeat_heads(self, array: np.ndarray, times: int) -> np.ndarray:
        return np.repeat(array, times, axis=1)

    def stack_time(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(columns, axis=1)

    def pointwise(self, fn: Fn, args: tuple[np.ndarray, ...]) -> np.ndarray:
        if len(args) == 2:
            return _binary(fn, *args)
        return _unary(fn, args[0])

    def over(self, fn: AxisFn, arg: np.ndarray, positions: tuple[int, ...]) -> np.ndarray:
        match fn:
            case AxisFn.SUM:
                return arg.sum(axis=positions)
            case AxisFn.MEAN:
                return arg.mean(axis=positions)
            case AxisFn.MAX:
                return arg.max(axis=positions)
            case AxisFn.SOFTMAX:
                weights = np.exp(arg - arg.max(axis=positions, keepdims=True))
                return weights / weights.sum(axis=positions, keepdims=True)
            case AxisFn.L2NORM:
                return arg / np.sqrt(energy(arg).sum(axis=positions, keepdims=True) + EPSILON)
            case AxisFn.RMSNORM:
                return arg / np.sqrt(energy(arg).mean(axis=positions, keepdims=True) + EPSILON)
            case _:
                assert_never(fn)


def _binary(fn: Fn, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    match fn:
        case Fn.ADD:
            return left + right
        case Fn.SUB:
            return left - right
        case Fn.MUL:
            return left * right
        case Fn.DIV:
            return left / right
        case Fn.POW:
            return left**right
        case Fn.MIN:
            return np.minimum(left, right)
        case Fn.MAX:
            return np.maximum(left, right)
        case _:
            raise ValueError(f"`{fn.value}` does not take two arguments")


def _unary(fn: Fn, x: np.ndarray) -> np.ndarray:
    match fn:
        case Fn.NEG:
            return -x
        case Fn.ADD:
            return x
        case Fn.EXP:
            return np.exp(x)
        case Fn.LOG:
            return np.log(x)
        case Fn.SQRT:
            return np.sqrt(x)
        case Fn.ABS:
            return np.abs(x)
        case Fn.SIGMOID:
            return sigmoid(x)
        case Fn.LOGSIGMOID:
            return -softplus(-x)
        case Fn.SOFTPLUS:
            return softplus(x)
        case Fn.TANH:
            return np.tanh(x)
        case Fn.RELU:
            return np.maximum(x, 0)
        case Fn.SILU:
            return x * sigmoid(x)
        case Fn.GELU:
            return x * normal_cdf(x)
        case Fn.ELU:
            return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
        case Fn.SIN:
            return np.sin(x)
        case Fn.COS:
            return np.cos(x)
        case Fn.SQUARE:
            return x * x
        case Fn.RE:
            return np.real(x)
        case Fn.IM:
            return np.imag(x)
        case Fn.SUB | Fn.MUL | Fn.DIV | Fn.POW | Fn.MIN | Fn.MAX:
            raise ValueError(f"`{fn.value}` takes two arguments")
        case _:
            assert_never(fn)


def energy(x: np.ndarray) -> np.ndarray:
    """|x|^2."""
    return np.real(x) ** 2 + np.imag(x) ** 2 if np.iscomplexobj(x) else x * x


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow on either side."""
    if np.iscomplexobj(x):
        return 1 / (1 + np.exp(-x))
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)) without overflow and without losing small values."""
    if np.iscomplexobj(x):
        return np.log(1 + np.exp(x))
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def normal_cdf(x: np.ndarray) -> np.ndarray:
    """The standard normal distribution function, exact in both tails."""
    tails = np.frompyfunc(math.erfc, 1, 1)(x / -math.sqrt(2))
    return 0.5 * np.asarray(tails, dtype=np.result_type(x, np.float64))
