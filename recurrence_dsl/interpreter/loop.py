"""The definition of the language: one token after the other, straight from the checked spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..check.spec import Declared, Input, Spec, State
from ..initialise import draw_params
from .arrays import NumpyArrays
from .binding import Binding, bind, carried_names, right_hand_sides
from .evaluate import Named, Scope, aligned, evaluate

Tensors = Mapping[str, Any]
Arrays = dict[str, np.ndarray]
Values = dict[str, Named[np.ndarray]]


@dataclass(frozen=True, slots=True)
class Call:
    """A spec with arrays that fit it."""

    spec: Spec
    binding: Binding
    inputs: Arrays
    params: Arrays
    state: Arrays


def prepare(
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
) -> Call:
    """Convert to double precision, infer the sizes, draw the params that are not given."""
    inputs, state = _doubles(inputs), _doubles(initial_state or {})
    given = _doubles(params or {})
    shapes = ({name: array.shape for name, array in group.items()} for group in (inputs, given, state))
    binding = bind(spec, *shapes, sizes=sizes, heads=heads, groups=groups, consts=consts)
    if not given:
        rng = np.random.default_rng(seed)
        given = draw_params(spec, rng, sizes=binding.sizes, heads=binding.heads, consts=binding.consts)
    return Call(spec, binding, inputs, given, state)


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
) -> tuple[Arrays, Arrays]:
    """Run a spec in double precision, token by token.

    inputs         name -> [B, T, H, *axes]; `per group` inputs [B, T, G, *axes], head h reads group h // (H // G)
    params         name -> [H, *axes], `shared` ones [*axes]; `None` draws them from their initialisers with `seed`
    initial_state  name -> [B, H, *axes]; also the last value of every other name that the spec reads at `[t-1]`
                   (a grouped input's is [B, G, *axes]); what is missing is zero

    Torch tensors are accepted. Sizes are inferred from the tensors; `sizes`, `heads`, `groups` add what is left open.
    Returns the outputs, name -> [B, T, H, *axes], and the final state, laid out as the initial one.
    Raises CallError when a tensor is missing, unknown or of the wrong shape.
    """
    call = prepare(
        spec, inputs, params, initial_state, sizes=sizes, heads=heads, groups=groups, consts=consts, seed=seed
    )
    state = initial_values(call)
    columns: dict[str, list[np.ndarray]] = {output.name: [] for output in spec.outputs}
    for now in steps(call):
        for output in spec.outputs:
            columns[output.name].append(full(now[output.name], output, call))
        state = now
    outputs = {output.name: _stack(columns[output.name], output, call) for output in spec.outputs}
    return outputs, {d.name: kept(state[d.name], d, call) for d in remembered(spec)}


def trace(spec: Spec, inputs: Tensors, *args: Any, step: int = -1, **options: Any) -> Arrays:
    """The value of every name at one time step, [B, H, *axes]; arguments as for `interpret`."""
    call = prepare(spec, inputs, *args, **options)
    step = range(call.binding.length)[step]
    now = next(values for t, values in enumerate(steps(call)) if t == step)
    declared = (*spec.inputs, *spec.params, *spec.lets, *spec.states, *spec.outputs)
    return {d.name: full(now[d.name], d, call) for d in declared}


def steps(call: Call) -> Iterator[Values]:
    """Every name's value at each time step, in order."""
    timeless, previous = timeless_values(call), initial_values(call)
    definitions = right_hand_sides(call.spec)
    arrays, binding = NumpyArrays(), call.binding
    states = {state.name: state for state in call.spec.states}
    for t in range(binding.length):
        now: Values = {**timeless, **_inputs_at(call, t)}
        scope = Scope(arrays, binding.heads, binding.sizes, now, previous)
        with np.errstate(all="ignore"):
            for name in call.spec.order:
                value = evaluate(definitions[name], scope)
                now[name] = _as_state(value, states[name], call) if name in states else value
        yield now
        previous = {d.name: now[d.name] for d in remembered(call.spec)}


def timeless_values(call: Call) -> Values:
    """Params and consts: values without a batch axis."""
    params = {
        p.name: Named(call.params[p.name][(None, None) if p.shared else (None,)], p.axes) for p in call.spec.params
    }
    consts = {name: Named(np.full((1, 1), value)) for name, value in call.binding.consts.items()}
    return {**params, **consts}


def initial_values(call: Call) -> Values:
    """What `[t-1]` reads at the first step: given, or zero."""
    return {d.name: Named(_initial(d, call), d.axes) for d in remembered(call.spec)}


def remembered(spec: Spec) -> tuple[Declared, ...]:
    """States, and whatever else is read one step back."""
    carried = carried_names(spec)
    others = (d for d in (*spec.inputs, *spec.params, *spec.lets, *spec.outputs) if d.name in carried)
    return (*spec.states, *others)


def full(value: Named[np.ndarray], d: Declared, call: Call) -> np.ndarray:
    """[B, H, *axes] in the declared order of axes, nothing left to broadcast."""
    array = aligned(value, d.axes, NumpyArrays())
    return np.broadcast_to(array, (call.binding.batch, call.binding.heads, *_sizes(d, call)))


def kept(value: Named[np.ndarray], d: Declared, call: Call) -> np.ndarray:
    """The final state's entry: as `full`, but one value a group for grouped inputs."""
    array = full(value, d, call)
    if isinstance(d, Input) and d.per_group:
        array = array[:, :: call.binding.heads // call.binding.groups]
    return array.copy()


def _initial(d: Declared, call: Call) -> np.ndarray:
    binding = call.binding
    if d.name in call.state:
        return _over_heads(call.state[d.name], d, binding, axis=1)
    dtype = np.complex128 if getattr(d, "is_complex", False) else np.float64
    return np.zeros((binding.batch, binding.heads, *_sizes(d, call)), dtype)


def _inputs_at(call: Call, t: int) -> Values:
    return {
        i.name: Named(_over_heads(call.inputs[i.name][:, t], i, call.binding, axis=1), i.axes) for i in call.spec.inputs
    }


def _over_heads(array: np.ndarray, d: Declared, binding: Binding, axis: int) -> np.ndarray:
    """Groups repeated so that each head has its own entry."""
    if isinstance(d, Input) and d.per_group:
        return np.repeat(array, binding.heads // binding.groups, axis=axis)
    return array


def _as_state(value: Named[np.ndarray], state: State, call: Call) -> Named[np.ndarray]:
    array = full(value, state, call)
    return Named(array.astype(np.complex128) if state.is_complex else array, state.axes)


def _sizes(d: Declared, call: Call) -> tuple[int, ...]:
    return tuple(call.binding.sizes[axis] for axis in d.axes)


def _stack(columns: list[np.ndarray], d: Declared, call: Call) -> np.ndarray:
    if columns:
        return np.stack(columns, axis=1)
    dtype = np.complex128 if getattr(d, "is_complex", False) else np.float64
    return np.zeros((call.binding.batch, 0, call.binding.heads, *_sizes(d, call)), dtype)


def _doubles(tensors: Tensors) -> Arrays:
    return {name: as_double(value) for name, value in tensors.items()}


def as_double(value: Any) -> np.ndarray:
    """A NumPy array of float64 or complex128, from anything array-like or a torch tensor."""
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        value = (tensor.cdouble() if tensor.is_complex() else tensor.double()).resolve_conj().resolve_neg().numpy()
    array = np.asarray(value)
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
