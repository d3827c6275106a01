"""The interpreter on NumPy arrays in double precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arrays import NumpyArrays
from ..check.spec import Spec
from ..diagnostics import CallError
from ..initialise import draw_params
from .binding import bind
from .loop import Call, full, run, steps

Tensors = Mapping[str, Any]
Results = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def interpret(
    spec: Spec,
    inputs: Tensors,
    params: Tensors | None = None,
    initial_state: Tensors | None = None,
    *,
    sizes: Mapping[str, int] | None = None,
    heads: int | None = None,
    groups: int | None = None,
    consts: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Results:
    """Run a spec in double precision, token by token.

    inputs         name -> [B, T, H, *axes]; `per group` inputs [B, T, G, *axes], head h reads group h // (H // G)
    params         name -> [H, *axes], `shared` ones [*axes]; `None` draws them from their initialisers with `seed`
    initial_state  name -> [B, H, *axes]; also the last value of every other name that the spec reads at `[t-1]`
                   (a grouped input's is [B, G, *axes]); what is missing is zero

    Torch tensors are accepted. Sizes are inferred from the tensors; `sizes`, `heads`, `groups` add what is left open.
    Returns the outputs, name -> [B, T, H, *axes], and the final state, laid out as the initial one.
    Raises CallError when a tensor is missing, unknown or of the wrong shape.
    """
    if not isinstance(spec, Spec):
        raise CallError("R0906", f"`interpret` takes a spec, not a {type(spec).__name__}", "pass `rd.load(..)`")
    call = _call(spec, inputs, params, initial_state, sizes, heads, groups, consts, seed)
    with np.errstate(all="ignore"):
        outputs, state = run(call)
    return outputs, {name: np.array(array) for name, array in state.items()}


def trace(
    spec: Spec,
    inputs: Tensors,
    params: Tensors | None = None,
    initial_state: Tensors | None = None,
    *,
    step: int = -1,
    sizes: Mapping[str, int] | None = None,
    heads: int | None = None,
    groups: int | None = None,
    consts: Mapping[str, float] | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """The value of every name at one time step (counted from the end if negative), name -> [B, H, *axes].

    The other arguments are those of `interpret`. Raises IndexError when the sequence has no such step.
    """
    call = _call(spec, inputs, params, initial_state, sizes, heads, groups, consts, seed)
    step = range(call.binding.length)[step]
    with np.errstate(all="ignore"):
        now = next(values for t, values in enumerate(steps(call)) if t == step)
    declared = (*spec.inputs, *spec.params, *spec.lets, *spec.states, *spec.outputs)
    return {d.name: full(now[d.name], d, call) for d in declared}


def _call(
    spec: Spec,
    inputs: Tensors,
    params: Tensors | None,
    initial_state: Tensors | None,
    sizes: Mapping[str, int] | None,
    heads: int | None,
    groups: int | None,
    consts: Mapping[str, float] | None,
    seed: int,
) -> Call[np.ndarray]:
    """Convert to double precision, infer the sizes, draw the params where none are given."""
    given, drawn, state = _doubles(inputs), _doubles(params or {}), _doubles(initial_state or {})
    shapes = [{name: array.shape for name, array in group.items()} for group in (given, drawn, state)]
    binding = bind(spec, *shapes, sizes=sizes, heads=heads, groups=groups, consts=consts)
    if not drawn:
        rng = np.random.default_rng(seed)
        drawn = draw_params(spec, rng, sizes=binding.sizes, heads=binding.heads, consts=binding.consts)
    return Call(spec, binding, NumpyArrays(), given, drawn, state)


def _doubles(tensors: Tensors) -> dict[str, np.ndarray]:
    if not isinstance(tensors, Mapping):
        raise CallError("R0406", f"tensors by name are needed, not a {type(tensors).__name__}", "pass a dict")
    found = {}
    for name, value in tensors.items():
        try:
            found[name] = as_double(value)
        except (TypeError, ValueError):
            raise CallError("R0404", f"`{name}` is no array of numbers", "pass a NumPy array or a tensor") from None
    return found


def as_double(value: Any) -> np.ndarray:
    """A NumPy array of float64 or complex128, from anything array-like or a torch tensor."""
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        value = (tensor.cdouble() if tensor.is_complex() else tensor.double()).resolve_conj().resolve_neg().numpy()
    array = np.asarray(value)
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
