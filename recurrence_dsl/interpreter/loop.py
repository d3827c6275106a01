"""The definition of the language: one token after the other, straight from the checked spec, on any array library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic

from ..arrays import A, Arrays
from ..check.spec import Declared, Input, Spec
from .binding import Binding, remembered, right_hand_sides
from .evaluate import Named, Scope, aligned, evaluate


@dataclass(frozen=True, slots=True)
class Call(Generic[A]):
    """A spec with arrays that fit it; `state` may lack entries, which are then zero."""

    spec: Spec
    binding: Binding
    arrays: Arrays[A]
    inputs: Mapping[str, A]
    params: Mapping[str, A]
    state: Mapping[str, A]

    def shape(self, d: Declared) -> tuple[int, ...]:
        """A value's shape at one time step, [B, H, *axes]."""
        return (self.binding.batch, self.binding.heads, *(self.binding.sizes[axis] for axis in d.axes))


Results = tuple[dict[str, A], dict[str, A]]


def run(call: Call[A]) -> Results[A]:
    """Outputs, name -> [B, T, H, *axes], and the final state, name -> [B, H, *axes]."""
    spec = call.spec
    state = initial_values(call)
    columns: dict[str, list[A]] = {output.name: [] for output in spec.outputs}
    for now in steps(call):
        for output in spec.outputs:
            columns[output.name].append(full(now[output.name], output, call))
        state = now
    outputs = {output.name: _over_time(columns[output.name], output, call) for output in spec.outputs}
    return outputs, {d.name: _kept(state[d.name], d, call) for d in remembered(spec)}


def steps(call: Call[A]) -> Iterator[dict[str, Named[A]]]:
    """Every name's value at each time step, in order."""
    timeless, previous = _timeless(call), initial_values(call)
    definitions = right_hand_sides(call.spec)
    states = {state.name: state for state in call.spec.states}
    for t in range(call.binding.length):
        now = timeless | _inputs_at(call, t)
        scope = Scope(call.arrays, call.binding.heads, call.binding.sizes, now, previous)
        for name in call.spec.order:
            value = evaluate(definitions[name], scope)
            now[name] = _as_state(value, states[name], call) if name in states else value
        yield now
        previous = {d.name: now[d.name] for d in remembered(call.spec)}


def full(value: Named[A], d: Declared, call: Call[A]) -> A:
    """[B, H, *axes] in the declared order of axes, nothing left to broadcast."""
    return call.arrays.expand(aligned(value, d.axes, call.arrays), call.shape(d))


def initial_values(call: Call[A]) -> dict[str, Named[A]]:
    """What `[t-1]` reads at the first step: given, or zero."""
    return {d.name: Named(_initial(d, call), d.axes) for d in remembered(call.spec)}


def _timeless(call: Call[A]) -> dict[str, Named[A]]:
    """Params and consts: values without a batch axis."""
    params = {
        p.name: Named(call.params[p.name][(None, None) if p.shared else (None,)], p.axes)  # type: ignore[index]
        for p in call.spec.params
    }
    consts = {name: Named(call.arrays.constant(value)) for name, value in call.binding.consts.items()}
    return params | consts


def _inputs_at(call: Call[A], t: int) -> dict[str, Named[A]]:
    everything = slice(None)
    return {
        i.name: Named(_over_heads(call.inputs[i.name][everything, t], i, call), i.axes)  # type: ignore[index]
        for i in call.spec.inputs
    }


def _initial(d: Declared, call: Call[A]) -> A:
    if d.name in call.state:
        return _over_heads(call.state[d.name], d, call)
    return call.arrays.zeros(call.shape(d), getattr(d, "is_complex", False))


def _over_heads(array: A, d: Declared, call: Call[A]) -> A:
    """Groups repeated so that each head has its own entry: head h reads group h // (H // G)."""
    if isinstance(d, Input) and d.per_group:
        return call.arrays.repeat_heads(array, call.binding.heads // call.binding.groups)
    return array


def _as_state(value: Named[A], d: Declared, call: Call[A]) -> Named[A]:
    array = full(value, d, call)
    return Named(call.arrays.as_complex(array) if getattr(d, "is_complex", False) else array, d.axes)


def _kept(value: Named[A], d: Declared, call: Call[A]) -> A:
    """The final state's entry: as `full`, but one value a group for grouped inputs."""
    array = full(value, d, call)
    if isinstance(d, Input) and d.per_group:
        each_group = slice(None, None, call.binding.heads // call.binding.groups)
        return array[slice(None), each_group]  # type: ignore[index]
    return array


def _over_time(columns: list[A], d: Declared, call: Call[A]) -> A:
    if columns:
        return call.arrays.stack_time(columns)
    batch, heads, *own = call.shape(d)
    return call.arrays.zeros((batch, 0, heads, *own), getattr(d, "is_complex", False))
