"""What a built layer does, one operation after another; each reads earlier results by their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..expr import AxisFn, Fn
from .flow import Flow
from .pointwise import Operand, pointwise

EPS = 1e-6
"""Added under the square root by `l2norm` and by the mixer's `rmsnorm`."""


class Operation(Protocol):
    """Reads the results of earlier operations and gives its own: a tensor, a number, or the mixer's outputs by name."""

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any: ...


@dataclass(frozen=True, slots=True)
class Constant:
    value: float

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        return self.value


@dataclass(frozen=True, slots=True)
class Counted:
    """0, 1, .. size - 1."""

    size: int

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        dtype = torch.get_default_dtype()
        first = next(layer.parameters(), None)
        return torch.arange(self.size, device=flow.device, dtype=dtype if first is None else first.dtype)


@dataclass(frozen=True, slots=True)
class Learned:
    """A param of the layer block."""

    name: str

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        return layer.get_parameter(self.name)


@dataclass(frozen=True, slots=True)
class Positions:
    """The index of each token in its sequence, [B, T]."""

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        first = next(layer.parameters(), None)
        return flow.positions().to(torch.get_default_dtype() if first is None else first.dtype)


@dataclass(frozen=True, slots=True)
class PreviousToken:
    key: str

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        (x,) = arguments
        return flow.previous(self.key, x)


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A pointwise function; `spreads[i]` are the dimensions to insert into argument i so that all have all axes."""

    fn: Fn
    spreads: tuple[tuple[int, ...], ...]

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        return pointwise(self.fn, tuple(spread(a, dims) for a, dims in zip(arguments, self.spreads, strict=True)))


@dataclass(frozen=True, slots=True)
class Reduction:
    """A function over dimensions of its argument."""

    fn: AxisFn
    dims: tuple[int, ...]
    eps: float = EPS

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        (x,) = arguments
        match self.fn:
            case AxisFn.SUM:
                return x.sum(self.dims)
            case AxisFn.MEAN:
                return x.mean(self.dims)
            case AxisFn.MAX:
                return x.amax(self.dims)
            case AxisFn.SOFTMAX:
                return softmax(x, self.dims)
            case AxisFn.L2NORM:
                return x * torch.rsqrt(x.square().sum(self.dims, keepdim=True) + self.eps)
            case AxisFn.RMSNORM:
                return x * torch.rsqrt(x.square().mean(self.dims, keepdim=True) + self.eps)


@dataclass(frozen=True, slots=True)
class Accumulation:
    dim: int

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        (x,) = arguments
        return x.cumsum(self.dim)


@dataclass(frozen=True, slots=True)
class Selection:
    dim: int
    place: int

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        (x,) = arguments
        return x.select(self.dim, self.place)


@dataclass(frozen=True, slots=True)
class Permutation:
    """Reorders dimensions, where renaming an axis or a mixer's own declaration asks for it."""

    order: tuple[int, ...]

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        (x,) = arguments
        return x.permute(self.order)


@dataclass(frozen=True, slots=True)
class Call:
    """A submodule."""

    path: str

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        (x,) = arguments
        return layer.get_submodule(self.path)(x, flow)


@dataclass(frozen=True, slots=True)
class Drive:
    """The mixer, driven by its inputs in the spec's order; gives its outputs by name."""

    feeds: tuple[Feed, ...]
    outputs: tuple[str, ...]

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        like = next(argument for argument in arguments if isinstance(argument, Tensor))
        inputs = {feed.name: feed.fit(a, flow, like) for feed, a in zip(self.feeds, arguments, strict=True)}
        before = {name.removeprefix(MIXER): x for name, x in flow.before.items() if name.startswith(MIXER)}
        out, after = (
            self._step(layer, before, inputs)
            if flow.step
            else layer.get_submodule("mixer")(
                **inputs, initial_state=before or None, return_state=True, cu_seqlens=flow.cu_seqlens
            )
        )
        flow.after.update({MIXER + name: value for name, value in after.items()})
        return out if isinstance(out, Mapping) else {self.outputs[0]: out}

    def _step(
        self, layer: nn.Module, before: Mapping[str, Tensor], inputs: Mapping[str, Tensor]
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """One token by the mixer's own step function, its time dimension taken off and put back."""
        step: Any = layer.get_submodule("mixer").step
        out, after = step(before or None, **{name: value.squeeze(1) for name, value in inputs.items()})
        named = out if isinstance(out, Mapping) else {self.outputs[0]: out}
        return {name: value.unsqueeze(1) for name, value in named.items()}, after


@dataclass(frozen=True, slots=True)
class Take:
    """One of the mixer's outputs."""

    name: str

    def run(self, layer: nn.Module, flow: Flow, arguments: tuple[Any, ...]) -> Any:
        return arguments[0][self.name]


MIXER = "mixer."
"""What the names of the mixer's own state begin with in a layer's state."""


@dataclass(frozen=True, slots=True)
class Feed:
    """How a layer value becomes a mixer's input: dimensions inserted, expanded to `shape`, put in declared order.

    A value per group that feeds an input per head is repeated `repeats` times, for the heads of its group.
    """

    name: str
    dims: tuple[int, ...]
    timed: bool
    shape: tuple[int, ...]
    order: tuple[int, ...]
    repeats: int = 1

    def fit(self, value: Operand, flow: Flow, like: Tensor) -> Tensor:
        if not isinstance(value, Tensor):
            value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
        if not self.timed:
            value = value[None, None]
        value = spread(value, self.dims)
        assert isinstance(value, Tensor)
        if self.repeats > 1:
            value = value.repeat_interleave(self.repeats, 2)
        return value.expand(flow.batch, flow.length, *self.shape).permute(self.order)


def spread(value: Operand, dims: tuple[int, ...]) -> Operand:
    """Inserts dimensions of size 1, in ascending order."""
    if isinstance(value, Tensor):
        for dim in dims:
            value = value.unsqueeze(dim)
    return value


def softmax(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Softmax over several dimensions at once."""
    shifted = (x - x.amax(dims, keepdim=True)).exp()
    return shifted / shifted.sum(dims, keepdim=True)
