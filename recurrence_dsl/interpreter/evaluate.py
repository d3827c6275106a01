"""Evaluates a typed expression at one time step, on named arrays of any library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, assert_never

from ..arrays import A, Arrays
from ..expr import Apply, Expr, Head, Heads, Now, Number, Over, Prev, Renamed, Size


@dataclass(frozen=True, slots=True)
class Named(Generic[A]):
    """An array laid out [batch or 1, heads or 1, *axes]; the order of `axes` is the array's own."""

    array: A
    axes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope(Generic[A]):
    """What an expression can see: values at t, values at t-1, sizes."""

    arrays: Arrays[A]
    heads: int
    sizes: Mapping[str, int]
    now: Mapping[str, Named[A]]
    previous: Mapping[str, Named[A]] = field(default_factory=dict)


def evaluate(e: Expr, scope: Scope[A]) -> Named[A]:
    """The value of `e`, its axes as they come."""
    match e:
        case Number():
            return Named(scope.arrays.constant(e.value))
        case Now():
            return scope.now[e.name]
        case Prev():
            return scope.previous[e.name]
        case Size():
            return Named(scope.arrays.constant(float(scope.sizes[e.axis])))
        case Head():
            return Named(scope.arrays.head_index(scope.heads))
        case Heads():
            return Named(scope.arrays.constant(float(scope.heads)))
        case Apply():
            operands = tuple(aligned(evaluate(arg, scope), e.axes, scope.arrays) for arg in e.args)
            return Named(scope.arrays.pointwise(e.fn, operands), e.axes)
        case Over():
            return _over(e, evaluate(e.arg, scope), scope.arrays)
        case Renamed():
            value = evaluate(e.arg, scope)
            return Named(value.array, tuple(e.target if axis == e.source else axis for axis in value.axes))
        case _:
            assert_never(e)


def _over(e: Over, value: Named[A], arrays: Arrays[A]) -> Named[A]:
    positions = tuple(2 + value.axes.index(axis) for axis in e.over)
    kept = tuple(axis for axis in value.axes if axis not in e.over) if e.fn.reduces else value.axes
    return Named(arrays.over(e.fn, value.array, positions), kept)


def aligned(value: Named[A], axes: tuple[str, ...], arrays: Arrays[A]) -> A:
    """The array laid out along `axes`; where the value lacks one of them, its size there is 1."""
    if value.axes == axes:
        return value.array
    present = tuple(axis for axis in axes if axis in value.axes)
    array = value.array
    if present != value.axes:
        array = arrays.permute(array, (0, 1, *(2 + value.axes.index(axis) for axis in present)))
    everything = slice(None)
    return array[(everything, everything, *(everything if axis in present else None for axis in axes))]  # type: ignore[index]
