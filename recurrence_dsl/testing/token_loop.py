"""The token-by-token evaluation on torch tensors: the oracle for gradients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..check.spec import Spec
from ..interpreter.binding import bind
from ..interpreter.loop import Call, run
from .torch_arrays import TorchArrays

Tensors = Mapping[str, Tensor]


def token_loop(
    spec: Spec,
    inputs: Tensors,
    params: Tensors | None = None,
    initial_state: Tensors | None = None,
    *,
    sizes: Mapping[str, int] | None = None,
    heads: int | None = None,
    groups: int | None = None,
    consts: Mapping[str, float] | None = None,
    arrays: TorchArrays | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """As `interpret`, but on tensors, in their own precision, and differentiable by autograd.

    `params` must be given where the spec has any. Returns (outputs, final state).
    """
    groups_of = (inputs, params or {}, initial_state or {})
    shapes = [{name: tuple(tensor.shape) for name, tensor in group.items()} for group in groups_of]
    binding = bind(spec, *shapes, sizes=sizes, heads=heads, groups=groups, consts=consts)
    tensor = next(tensor for group in groups_of for tensor in group.values())
    arrays = arrays or TorchArrays(tensor.real.dtype if tensor.is_complex() else tensor.dtype, tensor.device)
    return run(Call(spec, binding, arrays, *groups_of))


def gradients(
    spec: Spec,
    inputs: Tensors,
    params: Tensors,
    initial_state: Tensors,
    cotangents: Tensors,
    *,
    sizes: Mapping[str, int] | None = None,
    heads: int | None = None,
    groups: int | None = None,
    consts: Mapping[str, float] | None = None,
    arrays: TorchArrays | None = None,
) -> dict[str, Tensor]:
    """Gradient of sum(cotangent * result) by autograd through the token loop, in float64.

    `cotangents` maps `output:NAME` and `state:NAME` to tensors like the results; the gradients are named
    `input:NAME`, `param:NAME` and `state:NAME`.
    """
    named = {"input": inputs, "param": params, "state": initial_state}
    leaves = {
        f"{kind}:{name}": _double(tensor).requires_grad_()
        for kind, group in named.items()
        for name, tensor in group.items()
    }
    loop_inputs, loop_params, loop_state = (
        {name: leaves[f"{kind}:{name}"] for name in group} for kind, group in named.items()
    )
    outputs, state = token_loop(
        spec,
        loop_inputs,
        loop_params,
        loop_state,
        sizes=sizes,
        heads=heads,
        groups=groups,
        consts=consts,
        arrays=arrays,
    )
    results = {f"output:{n}": t for n, t in outputs.items()} | {f"state:{n}": t for n, t in state.items()}
    found = torch.autograd.grad(weighted(results, cotangents), tuple(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def weighted(results: Tensors, cotangents: Tensors) -> Tensor:
    """sum over everything of Re(conj(cotangent) * result), a real scalar."""
    total = sum((_inner(results[name], weight) for name, weight in cotangents.items()), start=torch.zeros(()))
    return torch.as_tensor(total)


def _inner(result: Tensor, weight: Tensor) -> Tensor:
    product = weight.to(result.dtype).conj() * result
    return (product.real if product.is_complex() else product).sum()


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.complex128 if tensor.is_complex() else torch.float64).clone()
