"""The thing under test: a compiled mixer with a case's params, run on a case's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..check.spec import Spec
from ..pipeline import lifted
from ..runtime.compile import compile as compile_spec
from .backends import device_for
from .case import Case
from .random_inputs import Drawn

Mixer = Any
"""A compiled module; its own type belongs to the compiler."""

FORMS = ("chunk", "recurrent")


def build(spec: Spec, case: Case, params: Mapping[str, Tensor], form: str = "auto") -> Mixer:
    """A mixer compiled for the case's sizes, its params set; a chunk size counts only where the form has one.

    Compiled mixers are kept: the same sizes give the same module, with the params of the last call. After a change to
    the compiler itself, `forget` them.
    """
    if form == "auto":  # said outright: nobody needs to be told what was chosen
        form = "chunk" if is_chunked(spec) else "recurrent"
    chunked = form == "chunk"
    sizes = Case(
        heads=case.heads,
        groups=case.groups,
        sizes=case.sizes,
        dtype="float64" if case.dtype == "float64" else "float32",
        chunk_size=case.chunk_size if chunked else None,
        backend=case.backend,
        consts=case.consts,
    )
    mixer = _compiled(spec, sizes, form)
    with torch.no_grad():
        for name, parameter in mixer.named_parameters():
            if parameter.is_complex():  # `double()` leaves these alone
                parameter.data = parameter.data.to(params[name].dtype)
            parameter.copy_(params[name])
    return mixer


@lru_cache(maxsize=64)
def is_chunked(spec: Spec) -> bool:
    """Whether the compiler finds a chunk form."""
    return lifted(spec).chunked


@lru_cache(maxsize=64)
def _compiled(spec: Spec, sizes: Case, form: str) -> Mixer:
    numbers: dict[str, Any] = dict(sizes.sizes) | dict(sizes.consts)
    mixer = compile_spec(
        spec,
        heads=sizes.heads,
        groups=sizes.groups,
        backend=sizes.backend,
        form=form,
        chunk_size=sizes.chunk_size,
        **numbers,
    )
    mixer = mixer.to(device_for(sizes.backend))
    return mixer.double() if sizes.dtype == "float64" else mixer


def forget() -> None:
    """Compile everything anew from here on."""
    _compiled.cache_clear()
    is_chunked.cache_clear()


def forms(spec: Spec, case: Case, params: Mapping[str, Tensor]) -> dict[str, Mixer]:
    """A mixer in every form that the spec has."""
    return {form: build(spec, case, params, form) for form in FORMS if form != "chunk" or is_chunked(spec)}


def run(
    mixer: Mixer, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor] | None, **options: Any
) -> dict[str, Tensor]:
    """`output:NAME` and `state:NAME`, on the device of the inputs, wherever the mixer runs."""
    device = device_for(mixer.choices.backend)
    moved = {name: tensor.to(device) for name, tensor in inputs.items()}
    before = None if state is None else {name: tensor.to(device) for name, tensor in state.items()}
    outputs, final = mixer(**moved, initial_state=before, return_state=True, **options)
    home = next(iter(inputs.values())).device
    return {name: tensor.to(home) for name, tensor in named(mixer.spec, outputs, final).items()}


def step(
    mixer: Mixer, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One token: `output:NAME`, and the state after it by name, on the device of the inputs."""
    device, home = device_for(mixer.choices.backend), next(iter(inputs.values())).device
    outputs, final = mixer.step(
        {name: tensor.to(device) for name, tensor in state.items()},
        **{name: tensor.to(device) for name, tensor in inputs.items()},
    )
    found = {name: tensor.to(home) for name, tensor in named(mixer.spec, outputs, final).items()}
    return (
        {name: tensor for name, tensor in found.items() if name.startswith("output:")},
        {name: found[f"state:{name}"] for name in final},
    )


def named(spec: Spec, outputs: Any, final: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One output comes as a tensor, several as a dict; here they always have names."""
    if not isinstance(outputs, Mapping):
        outputs = {spec.outputs[0].name: outputs}
    return {f"output:{n}": t for n, t in outputs.items()} | {f"state:{n}": t for n, t in final.items()}


def gradients(
    mixer: Mixer, drawn: Drawn, cotangents: Mapping[str, Tensor], *, keep_strides: bool = False, **options: Any
) -> dict[str, Tensor]:
    """Gradients by the mixer's own backward, named as the reference names them; `options` are the call's."""
    memory = torch.preserve_format if keep_strides else torch.contiguous_format
    inputs, state = (
        {n: t.detach().clone(memory_format=memory).requires_grad_() for n, t in group.items()}
        for group in (drawn.inputs, drawn.state)
    )
    leaves = {f"input:{n}": t for n, t in inputs.items()}
    leaves |= {f"param:{n}": t for n, t in mixer.named_parameters()}
    leaves |= {f"state:{n}": t for n, t in state.items()}
    return slopes(run(mixer, inputs, state, **options), leaves, cotangents)


def slopes(
    results: Mapping[str, Tensor], leaves: Mapping[str, Tensor], cotangents: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The gradient of the weighted results by each leaf; zero where nothing depends on it."""
    pairs = [(results[name], weight) for name, weight in cotangents.items() if results[name].requires_grad]
    if not pairs:
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    found = torch.autograd.grad(
        [result for result, _ in pairs],
        tuple(leaves.values()),
        [weight.to(result.device, result.dtype) for result, weight in pairs],
        materialize_grads=True,
    )
    home = pairs[0][0].device
    return {name: slope.to(home) for name, slope in zip(leaves, found, strict=True)}
