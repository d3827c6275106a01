"""How fast a call is, forward and forward with backward, and how many bytes it must move."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import recurrence_dsl as rd
from recurrence_dsl.testing import case_for, draw_inputs

from .bytes_moved import Moved, moved
from .rivals import Rival, rival


@dataclass(frozen=True, slots=True)
class Shape:
    """B sequences of T tokens, H heads of D by D."""

    batch: int
    length: int
    heads: int
    size: int

    def __str__(self) -> str:
        return f"B={self.batch} T={self.length} H={self.heads} D={self.size}"


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds: the median of several runs, and the tenths of them that were the fastest and the slowest."""

    median: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True, slots=True)
class Timing:
    """One subject at one shape. Bytes, where they are known, are of the whole call by the plan's model; `least` counts
    inputs and outputs once. GB/s and share are the model's bytes over the time, and that over a copy's rate."""

    spec: str
    subject: str
    shape: str
    direction: str
    milliseconds: Spread
    model_bytes: float | None = None
    least_bytes: float | None = None
    gigabytes_per_second: float | None = None
    share_of_copy: float | None = None
    plan: str = ""
    difference: float | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """Where to run and how long: `rate` is what a large copy on it moves, in bytes a second."""

    name: str
    dtype: torch.dtype
    seconds: float
    rate: float


def copy_rate(device: str, count: int) -> float:
    """Bytes read and written a second by a copy of `count` float32 numbers."""
    x = torch.randn(count, device=device)
    y = torch.empty_like(x)
    return 8 * count / (spread(lambda: y.copy_(x), device, 0.2).median / 1e3)


def spread(run: Callable[[], object], device: str, seconds: float) -> Spread:
    """Runs for about `seconds`, at least five times, after three that warm up."""
    for _ in range(3):
        run()
    once = _device_milliseconds if device == "cuda" else _wall_milliseconds
    first = once(run)
    count = max(5, min(200, int(1e3 * seconds / max(first, 1e-3))))
    taken = sorted(once(run) for _ in range(count))
    return Spread(statistics.median(taken), taken[count // 10], taken[-1 - count // 10], count)


def _device_milliseconds(run: Callable[[], object]) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def _wall_milliseconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def timings(spec: str, shape: Shape, device: Device) -> Iterator[Timing]:
    """Our kernels and the rival's, where it is installed, forward and forward with backward."""
    mixer, inputs = subject(spec, shape, device)
    params = {n: p.detach() for n, p in mixer.named_parameters()}
    other = rival(spec, inputs, params)
    weight = torch.randn_like(_first(mixer(**inputs)))
    needed = moved(mixer, inputs)
    difference = _difference(mixer, inputs, other) if other and device.name == "cuda" else None
    yield from _timed(spec, "recurrence_dsl", shape, mixer, inputs, weight, device, needed)
    if other is not None and device.name == "cuda":
        yield from _timed(spec, other.library, shape, other, other.tensors, weight, device, None, difference)


def subject(name: str, shape: Shape, device: Device) -> tuple[Any, dict[str, Tensor]]:
    """A compiled mixer and inputs for it; a drawn stretch of tokens is repeated along a long sequence."""
    spec = rd.load(name)
    drawn_length = min(shape.length, 64)
    case = case_for(spec, size=shape.size, heads=shape.heads, batch=1, length=drawn_length, dtype="float32", seed=1)
    sizes: dict[str, Any] = dict(case.sizes)
    mixer = rd.compile(spec, heads=shape.heads, backend="triton", **sizes).to(device.name)
    times = -(-shape.length // drawn_length)
    inputs = {
        n: x.repeat(shape.batch, times, *(1,) * (x.dim() - 2))[:, : shape.length].to(device.name, device.dtype)
        for n, x in draw_inputs(spec, case).inputs.items()
    }
    return mixer, {n: x.contiguous() for n, x in inputs.items()}


def _first(outputs: Any) -> Tensor:
    return outputs if isinstance(outputs, Tensor) else next(iter(outputs.values()))


def _difference(mixer: Any, inputs: dict[str, Tensor], other: Rival) -> float:
    """Between the two outputs, relative to the larger one: do both compute the same thing?"""
    with torch.no_grad():
        ours, theirs = _first(mixer(**inputs)).float(), other(**other.tensors).float()
    return float((ours - theirs).abs().max() / ours.abs().max())


def _timed(
    spec: str,
    name: str,
    shape: Shape,
    call: Callable[..., Any],
    inputs: dict[str, Tensor],
    weight: Tensor,
    device: Device,
    needed: tuple[Moved, Moved] | None,
    difference: float | None = None,
) -> Iterator[Timing]:
    leaves = {n: x.detach().clone().requires_grad_() for n, x in inputs.items()}
    module = call if isinstance(call, torch.nn.Module) else None
    wanted = (*leaves.values(), *(module.parameters() if module else ()))

    def forward() -> None:
        with torch.no_grad():
            call(**inputs)

    def both() -> None:
        torch.autograd.grad(_first(call(**leaves)), wanted, weight, allow_unused=True)

    for direction, run in (("forward", forward), ("forward+backward", both)):
        taken = spread(run, device.name, device.seconds)
        parts = () if needed is None else needed[:1] if direction == "forward" else needed
        model, least = sum(p.model for p in parts) or None, sum(p.least for p in parts) or None
        rate = model / (taken.median / 1e3) if model else None
        yield Timing(
            spec,
            name,
            str(shape),
            direction,
            taken,
            model,
            least,
            rate / 1e9 if rate else None,
            rate / device.rate if rate else None,
            " | ".join(sorted({f"{k.split()[0]}: {v}" for k, v in call.kernels.TUNED.items()})) if module else "",
            difference,
        )
