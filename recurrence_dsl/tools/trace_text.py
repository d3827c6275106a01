"""Prints the interpreter's values at one token of a small random run."""

from __future__ import annotations

import numpy as np

from ..check.spec import Input, Spec
from ..interpreter import trace

TOKENS, SIZE = 3, 2


def trace_text(spec: Spec) -> str:
    """Every name's value at the last of a few tokens: one batch entry, one head, axes of size two, seed 0."""
    rng = np.random.default_rng(0)
    sizes = {d.name: SIZE for d in spec.dims}
    inputs = {i.name: _drawn(i, rng) for i in spec.inputs}
    values = trace(spec, inputs, sizes=sizes, heads=1, groups=1)
    width = max(map(len, values))
    shown = [f"  {name:<{width}}  {_flat(value[0, 0])}" for name, value in values.items()]
    title = f"the last of {TOKENS} tokens, one head, every axis of size {SIZE}, random inputs and drawn params"
    return "\n".join([title, *shown])


def _drawn(i: Input, rng: np.random.Generator) -> np.ndarray:
    shape = (1, TOKENS, 1, *(SIZE for _ in i.axes))
    value = rng.standard_normal(shape)
    if i.is_complex:
        return value + 1j * rng.standard_normal(shape)
    inner = np.nextafter([i.low, i.high], [np.inf, -np.inf])
    return np.clip(value, inner[0] if i.low_open else i.low, inner[1] if i.high_open else i.high)


def _flat(value: np.ndarray) -> str:
    text = np.array2string(value, precision=4, separator=", ", floatmode="maxprec", max_line_width=10_000)
    return " ".join(text.split())
