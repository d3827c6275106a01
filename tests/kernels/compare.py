"""Runs a spec on the triton and the torch back end and compares every value and gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import recurrence_dsl as rd
from recurrence_dsl.check.spec import Spec

from .poison import poisoned

Tensors = dict[str, Tensor]
TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3}
"""Largest difference, relative to the largest value of the same tensor."""


@dataclass(frozen=True)
class Case:
    """A call to make: its shapes, and which plans the kernels follow."""

    spec: str
    length: int = 37
    batch: int = 2
    heads: int = 2
    groups: int = 1
    sizes: Mapping[str, int] = field(default_factory=lambda: {"K": 5, "V": 7, "J": 5, "M": 4, "N": 3})
    chunk: int | None = 16
    form: str = "auto"
    plans: Mapping[str, str] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    ends: tuple[int, ...] = ()
    prepare: Callable[[Tensor], Tensor] = lambda x: x


def mixers(case: Case) -> tuple[rd.runtime.mixer.Mixer, rd.runtime.mixer.Mixer]:  # type: ignore[name-defined]
    """The triton mixer, and a torch one with the same params in float64."""
    spec = rd.load(case.spec)
    sizes = {d.name: case.sizes[d.name] for d in spec.dims}
    groups = case.groups if any(i.per_group for i in spec.inputs) else 1
    form, chunk = case.form, case.chunk
    if case.form == "recurrent" or not rd.pipeline.lifted(spec).chunked:  # type: ignore[attr-defined]
        form, chunk = "recurrent", None
    torch.manual_seed(0)
    make = lambda backend, **more: rd.compile(  # noqa: E731
        spec, heads=case.heads, groups=groups, backend=backend, form=form, **more, **sizes
    )
    kernels, reference = make("triton", chunk_size=chunk), make("torch")
    reference.load_state_dict(kernels.state_dict())
    kernels.kernels.PREFERRED.clear()
    for table, plan in case.plans.items():
        if plan.partition(" ")[0] in getattr(kernels.kernels, table):
            kernels.kernels.PREFERRED[table] = plan
    return kernels, reference.double()


def random_inputs(spec: Spec, case: Case, seed: int = 0) -> Tensors:
    """Inputs within their declared ranges, keys and queries of about unit length."""
    g = torch.Generator().manual_seed(seed)
    found = {}
    for i in spec.inputs:
        heads = case.groups if i.per_group else case.heads
        shape = (case.batch, case.length, heads, *(case.sizes[a] for a in i.axes))
        x = torch.randn(shape, generator=g, dtype=torch.complex64 if i.is_complex else None)
        if i.high <= 0:
            x = -x.abs()
        elif i.low >= 0:
            x = i.low + torch.sigmoid(x) * (min(i.high, 2.0) - i.low)
        elif i.axes:
            x = x / case.sizes[i.axes[0]] ** 0.5
        found[i.name] = case.prepare(x if i.is_complex else x.to(case.dtype))
    return found


def random_state(mixer: Any, case: Case, count: int) -> Tensors:
    g = torch.Generator().manual_seed(9)
    return {n: 0.2 * torch.rand(s.shape, generator=g).to(s.dtype) for n, s in mixer.initial_state(count).items()}


def everything(mixer: Any, inputs: Tensors, state: Tensors, ends: tuple[int, ...]) -> Tensors:
    """Outputs, final states, and gradients of inputs, initial states and params under one random weighting."""
    leaves = {n: x.detach().clone(memory_format=torch.preserve_format).requires_grad_() for n, x in inputs.items()}
    before = {n: s.clone().requires_grad_() for n, s in state.items()}
    mixer.zero_grad()
    packed = {"cu_seqlens": torch.tensor(ends)} if ends else {}
    outputs, final = mixer(**leaves, initial_state=before, return_state=True, **packed)
    outputs = outputs if isinstance(outputs, dict) else {"out": outputs}
    results = {**{f"out {n}": o for n, o in outputs.items()}, **{f"final {n}": s for n, s in final.items()}}
    weighed(results).backward()
    grads = {f"d {n}": x.grad for n, x in (leaves | {f"{n}0": s for n, s in before.items()}).items()}
    grads |= {f"d {n}": p.grad.clone() for n, p in mixer.named_parameters() if p.grad is not None}
    return {n: x.detach() for n, x in {**results, **grads}.items() if x is not None}


def weighed(results: Mapping[str, Tensor]) -> Tensor:
    g = torch.Generator().manual_seed(3)
    total = torch.zeros((), dtype=torch.float64)
    for x in results.values():
        for part in (x.real, x.imag) if x.is_complex() else (x,):
            total = total + (part.double() * torch.randn(part.shape, generator=g).half()).sum()
    return total


def assert_agreement(case: Case) -> None:
    """Every value and gradient of the triton back end is that of the torch back end in float64, and kernels write all
    of what they are given to write into, and nothing else."""
    kernels, reference = mixers(case)
    inputs = random_inputs(kernels.spec, case)
    state = random_state(kernels, case, len(case.ends) - 1 if case.ends else case.batch)
    wide = lambda d: {n: x.to(torch.complex128 if x.is_complex() else torch.float64) for n, x in d.items()}  # noqa: E731
    exact = lambda: everything(reference, wide(inputs), wide(state), case.ends)  # noqa: E731
    wanted = exact()
    with poisoned():
        found = everything(kernels, inputs, state, case.ends)
    assert found.keys() == wanted.keys()
    unsure = uncertainty(reference, exact, wanted)
    for name, x in found.items():
        # rounding adds up over the tokens as a random walk
        tolerance = TOLERANCE[case.dtype] * max(1.0, (case.length / 16) ** 0.5)
        compare(name, x, wanted[name], tolerance, unsure[name])


def uncertainty(reference: Any, exact: Callable[[], Tensors], wanted: Tensors) -> dict[str, float]:
    """How far each exact result moves when the params move by a rounding or two in float32.

    A param acts on every token. The rounding of what is computed from it is the same everywhere, and does not average
    out as that of tokens does: a phase that is off by one rounding is off by T of them after T tokens.
    """
    found = dict.fromkeys(wanted, 0.0)
    params = list(reference.parameters())
    plain = [p.detach().clone() for p in params]
    for seed in range(2 if params else 0):
        g = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in params:
                p *= 1 + (2 * torch.randint(0, 2, p.shape, generator=g) - 1) * torch.finfo(torch.float32).eps
        for name, x in exact().items():
            found[name] = max(found[name], float((x - wanted[name]).abs().max()) if x.numel() else 0.0)
        with torch.no_grad():
            for p, before in zip(params, plain, strict=True):
                p.copy_(before)
    return found


def compare(name: str, found: Tensor, wanted: Tensor, tolerance: float, slack: float = 0.0) -> None:
    """`tolerance` is relative to the largest value wanted; `slack` is added to what it allows."""
    assert found.shape == wanted.shape, name
    assert torch.isfinite(torch.view_as_real(found) if found.is_complex() else found).all(), f"{name} is not finite"
    if found.numel():
        scale = float(wanted.abs().max()) + 1e-6
        error = float((found.to(wanted.dtype) - wanted).abs().max()) / scale
        assert error < tolerance + slack / scale, f"{name}: error {error:.2e} of its largest value"
