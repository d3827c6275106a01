"""Draws a case's tensors: inputs inside their declared ranges, params around their initialisers, a reachable state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..check.spec import Declared, Input, Param, Spec
from ..initialise import draw_params
from ..interpreter import interpret
from .case import Case, Gates
from .feeds import Feeds, feeds
from .gates import Setting, gate_values

MIXTURE = (0.0, -1e-6, -50.0, -1e4)
"""Log-decays that `Gates.MIXED` scatters over tokens and channels, beside typical ones."""

PREFIX = 3
"""Tokens run before the first one, so that the initial state is one that the recurrence can reach."""

GROWTH = 30.0
"""A recurrence whose values grow beyond this multiple is calmed: no arithmetic is accurate on it."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A case's tensors. Inputs [B, T, H or G, *axes] in the case's dtype; params [H, *axes] and states as the mixer
    keeps them, in float32, or float64 for float64."""

    inputs: Mapping[str, Tensor]
    params: Mapping[str, Tensor]
    state: Mapping[str, Tensor]

    def tokens(self, start: int, stop: int) -> Drawn:
        """The same params and initial state with a part of the tokens."""
        return replace(self, inputs={name: tensor[:, start:stop] for name, tensor in self.inputs.items()})


@lru_cache(maxsize=32)
def draw_inputs(spec: Spec, case: Case) -> Drawn:
    """The tensors of a case; the same case gives the same tensors."""
    rng = np.random.default_rng(case.seed)
    consts = {const.name: const.value for const in spec.consts} | dict(case.consts)
    drawn = draw_params(spec, rng, sizes=case.size_of, heads=case.heads, consts=consts)
    params = {p.name: _stored(_disturbed(drawn[p.name], p, rng), case, wide=True) for p in spec.params}
    setting = Setting(_arrays(params), case.heads, case.size_of, consts)
    values = _draw_all(spec, case, rng, setting)
    found, typical = feeds(spec), replace(case, gates=Gates.TYPICAL)
    prefix = _draw_all(spec, replace(typical, length=PREFIX), rng, setting)
    for _ in range(40):
        state = _reach(spec, prefix, params, case)
        if not found.transition or _is_calm(spec, values, params, state, case):
            break
        values, prefix = (_calmed(spec, group, found) for group in (values, prefix))
    inputs = {name: _stored(value, case, wide=False) for name, value in values.items()}
    return Drawn(inputs, params, state)


def cotangents(results: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Random weights like the results, standard normal: the incoming gradients of a test.

    They are numbers that every dtype holds, so that the mixer and its reference are given the same ones.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor: Tensor) -> Tensor:
        drawn = torch.randn((*tensor.shape, 2), generator=generator, dtype=torch.float64)
        rounded = drawn.to(torch.bfloat16).to(torch.float64)
        return (torch.view_as_complex(rounded) if tensor.is_complex() else rounded[..., 0]).to(tensor.device)

    return {name: normal(tensor) for name, tensor in results.items()}


def _draw_all(spec: Spec, case: Case, rng: np.random.Generator, setting: Setting) -> dict[str, np.ndarray]:
    found = feeds(spec)
    aims = () if case.gates is Gates.TYPICAL else MIXTURE if case.gates is Gates.MIXED else (case.gates.value,)
    aimed = gate_values(spec, tuple(float(a) for a in aims), setting) if aims else {}
    return {i.name: _draw(i, case, rng, found, aimed.get(i.name, ())) for i in spec.inputs}


def _draw(i: Input, case: Case, rng: np.random.Generator, found: Feeds, aimed: tuple[float, ...]) -> np.ndarray:
    """Standard normal, or what the declared range makes of it; gates at the aimed values where there are any."""
    own = tuple(case.size_of[axis] for axis in i.axes)
    shape = (case.batch, case.length, case.groups if i.per_group else case.heads, *own)
    noise = rng.standard_normal(shape)
    if i.is_complex:
        noise = (noise + 1j * rng.standard_normal(shape)) / math.sqrt(2)
    if i.name not in found.gates:
        noise = noise * case.scale
    if i.name in found.transition:
        noise = noise / math.sqrt(math.prod(own))
    typical = noise if i.is_complex else _into_range(noise, i)
    if not aimed:
        return typical
    chosen = rng.integers(0, len(aimed) + (1 if case.gates is Gates.MIXED else 0), shape)
    return np.choose(chosen, (*(np.full(shape, value) for value in aimed), typical)[: chosen.max(initial=0) + 1])


def _into_range(noise: np.ndarray, i: Input) -> np.ndarray:
    """A smooth map of normal noise into the declared range; ranges that are unbounded leave it as it is."""
    if math.isfinite(i.low) and math.isfinite(i.high):
        return i.low + (i.high - i.low) / (1 + np.exp(-1.7 * noise))
    if math.isfinite(i.low):
        return i.low + np.abs(noise) + (1e-3 if i.low_open else 0)
    if math.isfinite(i.high):
        return i.high - np.abs(noise) - (1e-3 if i.high_open else 0)
    return noise


def _disturbed(value: np.ndarray, param: Param, rng: np.random.Generator) -> np.ndarray:
    """Off the initial value, which often is a zero or a one that would hide a fault."""
    noise = 0.1 * rng.standard_normal(value.shape)
    moved = value * np.exp(noise) + np.where(value == 0, noise, 0)
    return moved + 0.1j * rng.standard_normal(value.shape) if param.is_complex else moved


def _stored(value: np.ndarray, case: Case, *, wide: bool) -> Tensor:
    """Rounded as the mixer will see it."""
    dtype = case.torch_dtype
    if wide and dtype != torch.float64:
        dtype = torch.float32
    if np.iscomplexobj(value):
        dtype = torch.promote_types(dtype, torch.complex64)
    return torch.from_numpy(np.asarray(value, order="C")).to(dtype)


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {
        name: (tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)).numpy()
        for name, tensor in tensors.items()
    }


def _reach(spec: Spec, prefix: Mapping[str, np.ndarray], params: Mapping[str, Tensor], case: Case) -> dict[str, Tensor]:
    """The state after a few tokens, laid out for the API."""
    _, state = interpret(spec, prefix, params, heads=case.heads, sizes=case.size_of, consts=dict(case.consts))
    return {name: _stored(value, case, wide=True) for name, value in state.items()}


def _is_calm(
    spec: Spec, values: Mapping[str, np.ndarray], params: Mapping[str, Tensor], state: Mapping[str, Tensor], case: Case
) -> bool:
    """Whether a perturbation of the initial state stays of its size; at most the first 200 tokens are looked at."""
    head = {name: value[:, :200] for name, value in values.items()}
    options = {"heads": case.heads, "sizes": case.size_of, "consts": dict(case.consts)}
    _, final = interpret(spec, head, params, state, **options)
    _, moved = interpret(spec, head, params, {name: 2 * value for name, value in state.items()}, **options)
    return all(_grew(state[s.name], final[s.name], moved[s.name]) < GROWTH for s in spec.states)


def _grew(start: Tensor, final: np.ndarray, moved: np.ndarray) -> float:
    scale = float(start.abs().max()) if start.numel() else 0.0
    difference = np.abs(moved - final).max(initial=0.0)
    return float(difference / scale) if scale > 0 and math.isfinite(difference) else (math.inf if scale > 0 else 0.0)


def _calmed(spec: Spec, values: Mapping[str, np.ndarray], found: Feeds) -> dict[str, np.ndarray]:
    """The inputs of a transition, other than its decay, drawn towards the middle of their ranges."""
    quiet = {i.name: _quiet_value(i) for i in spec.inputs if i.name in found.transition}
    return {name: quiet[name] + 0.7 * (v - quiet[name]) if name in quiet else v for name, v in values.items()}


def _quiet_value(i: Declared) -> float:
    bounded = isinstance(i, Input) and (math.isfinite(i.low) or math.isfinite(i.high))
    return max(i.low, min(i.high, 0.0)) if isinstance(i, Input) and bounded else 0.0
