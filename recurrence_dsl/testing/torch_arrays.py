"""The language's functions on torch tensors, with autograd: the array library of the gradient oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

import torch
from torch import Tensor
from torch.nn import functional

from ..arrays import EPSILON
from ..expr import AxisFn, Fn


class TorchArrays:
    """Tensors of one real floating type (and its complex partner) on one device."""

    def __init__(self, real: torch.dtype = torch.float64, device: torch.device | None = None) -> None:
        self.real = real
        self.device = device

    def constant(self, value: float | complex) -> Tensor:
        return torch.full((1, 1), value, dtype=self._dtype(isinstance(value, complex)), device=self.device)

    def head_index(self, heads: int) -> Tensor:
        return torch.arange(heads, dtype=self.real, device=self.device)[None]

    def zeros(self, shape: tuple[int, ...], is_complex: bool) -> Tensor:
        return torch.zeros(shape, dtype=self._dtype(is_complex), device=self.device)

    def as_complex(self, array: Tensor) -> Tensor:
        return array.to(self._dtype(is_complex=True))

    def permute(self, array: Tensor, order: tuple[int, ...]) -> Tensor:
        return array.permute(order)

    def expand(self, array: Tensor, shape: tuple[int, ...]) -> Tensor:
        return array.expand(shape)

    def repeat_heads(self, array: Tensor, times: int) -> Tensor:
        return array.repeat_interleave(times, dim=1)

    def stack_time(self, columns: Sequence[Tensor]) -> Tensor:
        return torch.stack(tuple(columns), dim=1)

    def pointwise(self, fn: Fn, args: tuple[Tensor, ...]) -> Tensor:
        return _binary(fn, *args) if len(args) == 2 else _unary(fn, args[0])

    def over(self, fn: AxisFn, arg: Tensor, positions: tuple[int, ...]) -> Tensor:
        match fn:
            case AxisFn.SUM:
                return arg.sum(positions)
            case AxisFn.MEAN:
                return arg.mean(positions)
            case AxisFn.MAX:
                return arg.amax(positions)
            case AxisFn.SOFTMAX:
                return (arg - arg.logsumexp(positions, keepdim=True)).exp()
            case AxisFn.L2NORM:
                return arg / (_energy(arg).sum(positions, keepdim=True) + EPSILON).sqrt()
            case AxisFn.RMSNORM:
                return arg / (_energy(arg).mean(positions, keepdim=True) + EPSILON).sqrt()
            case _:
                assert_never(fn)

    def _dtype(self, is_complex: bool) -> torch.dtype:
        return torch.promote_types(self.real, torch.complex64) if is_complex else self.real


class NoisyArrays(TorchArrays):
    """As TorchArrays in float64, with every operation off by a random relative error, and every gradient that passes
    it: what rounding does, forward and backward."""

    def __init__(self, noise: float, seed: int) -> None:
        super().__init__()
        self.noise = noise
        self.generator = torch.Generator().manual_seed(seed)

    def pointwise(self, fn: Fn, args: tuple[Tensor, ...]) -> Tensor:
        return self._disturbed(super().pointwise(fn, args))

    def over(self, fn: AxisFn, arg: Tensor, positions: tuple[int, ...]) -> Tensor:
        match fn:
            case AxisFn.SUM | AxisFn.MEAN | AxisFn.MAX:
                return self._disturbed(super().over(fn, arg, positions))
            case AxisFn.SOFTMAX:
                weights = self._disturbed((arg - arg.detach().amax(positions, keepdim=True)).exp())
                return self._disturbed(weights / self._disturbed(weights.sum(positions, keepdim=True)))
            case AxisFn.L2NORM | AxisFn.RMSNORM:
                squares = self._disturbed(_energy(arg))
                total = squares.mean if fn is AxisFn.RMSNORM else squares.sum
                root = self._disturbed((total(positions, keepdim=True) + EPSILON).sqrt())
                return self._disturbed(arg / root)
            case _:
                assert_never(fn)

    def _disturbed(self, value: Tensor) -> Tensor:
        shape = (2, *value.shape)
        factors = 1 + self.noise * torch.randn(shape, generator=self.generator, dtype=self.real)
        return _Disturbed.apply(value, factors[0], factors[1])


class _Disturbed(torch.autograd.Function):
    """Multiplies a value by one factor and its gradient by another."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, factor: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(factor * slope)
        return value * factor

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return gradient * slope, None, None


def _energy(x: Tensor) -> Tensor:
    return x.real**2 + x.imag**2 if x.is_complex() else x * x


def _binary(fn: Fn, left: Tensor, right: Tensor) -> Tensor:
    """Where two numbers are equal, the gradient of `min` goes to the left one, that of `max` to the right one."""
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
            return torch.where((right < left) | right.isnan(), right, left)
        case Fn.MAX:
            return torch.where((right < left) | left.isnan(), left, right)
        case _:
            raise ValueError(f"`{fn.value}` does not take two arguments")


def _unary(fn: Fn, x: Tensor) -> Tensor:
    match fn:
        case Fn.NEG:
            return -x
        case Fn.ADD:
            return x
        case Fn.EXP:
            return x.exp()
        case Fn.LOG:
            return x.log()
        case Fn.SQRT:
            return x.sqrt()
        case Fn.ABS:
            return x.abs()
        case Fn.SIGMOID:
            return x.sigmoid()
        case Fn.LOGSIGMOID:
            return functional.logsigmoid(x)
        case Fn.SOFTPLUS:
            return torch.logaddexp(x, torch.zeros_like(x))
        case Fn.TANH:
            return x.tanh()
        case Fn.RELU:
            return x.relu()
        case Fn.SILU:
            return x * x.sigmoid()
        case Fn.GELU:
            return functional.gelu(x)
        case Fn.ELU:
            return functional.elu(x)
        case Fn.SIN:
            return x.sin()
        case Fn.COS:
            return x.cos()
        case Fn.SQUARE:
            return x * x
        case Fn.RE:
            return x.real if x.is_complex() else x
        case Fn.IM:
            return x.imag if x.is_complex() else torch.zeros_like(x)
        case Fn.SUB | Fn.MUL | Fn.DIV | Fn.POW | Fn.MIN | Fn.MAX:
            raise ValueError(f"`{fn.value}` takes two arguments")
        case _:
            assert_never(fn)
