"""fla's own layers on a machine without an accelerator: their kernels replaced by naive recurrences and plain torch.

What is compared is the layers' own code: projections, order of operations, options. The replaced parts are fla's
reference functions where it has them, in float64 (see `oracles.doubled`), and the textbook formula otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.oracles.doubled import doubled

Op = Callable[..., tuple[Tensor, Any]]


def fla(path: str) -> Any:
    """A module of fla; the test is skipped, saying so, where the packages are missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the missing accelerator, and the author's doubts about RWKV layers
        pytest.importorskip("fla.layers", reason="flash-linear-attention is not installed: `make setup` adds it")
        return import_module(f"fla.{path}")


def make(path: str, name: str, **options: Any) -> nn.Module:
    """A layer of fla with random weights everywhere, in float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = getattr(fla(path), name)(**options).double()
    generator = torch.Generator().manual_seed(1)
    for parameter in layer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3
    if hasattr(layer, "gate_fn"):
        layer.gate_fn = F.silu  # fla's own is a kernel
    return layer.eval()


def naive(path: str, name: str) -> Callable[..., Any]:
    return doubled(getattr(fla(f"ops.{path}"), name))


def heads_first(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.transpose(1, 2) for tensor in tensors)


def unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(-1, keepdim=True) + 1e-6).sqrt()


def gla(q: Tensor, k: Tensor, v: Tensor, gk: Tensor | None = None, g: Tensor | None = None, **_: Any) -> Any:
    decay = gk if gk is not None else g
    return naive("gla.naive", "naive_recurrent_gla")(q, k, v, decay)[0], None


def retention(q: Tensor, k: Tensor, v: Tensor, **_: Any) -> Any:
    return naive("retention.naive", "naive_retention")(*heads_first(q, k, v)).transpose(1, 2), None


def rwkv6(r: Tensor, k: Tensor, v: Tensor, w: Tensor, u: Tensor, scale: float, **_: Any) -> Any:
    run = naive("rwkv6.recurrent_naive", "naive_recurrent_rwkv6")
    return run(*heads_first(r, k, v, w), u, scale=scale)[0].transpose(1, 2), None


def delta_rule(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, use_qk_l2norm_in_kernel: bool, **_: Any) -> Any:
    assert use_qk_l2norm_in_kernel
    run = naive("delta_rule.naive", "delta_rule_recurrence")
    return run(*heads_first(unit(q), unit(k), v, beta))[0].transpose(1, 2), None


def kda(q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, A_log: Tensor, dt_bias: Tensor, **_: Any) -> Any:
    decay = -A_log.exp()[:, None] * F.softplus(g + dt_bias.view(g.shape[-2:]))
    run = naive("kda.naive", "naive_recurrent_kda")
    return run(unit(q), unit(k), v, decay, beta.sigmoid())[0], None


def gated_delta_rule(q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, **options: Any) -> Any:
    if options.get("use_gate_in_kernel"):
        g = -options["A_log"].exp() * F.softplus(g + options["dt_bias"])
    if options.get("use_beta_sigmoid_in_kernel"):
        beta = beta.sigmoid()
    run = naive("gated_delta_rule.naive", "naive_recurrent_gated_delta_rule")
    return run(unit(q), unit(k), v, beta, g)[0], None


def gsa(q: Tensor, k: Tensor, v: Tensor, s: Tensor, g: Tensor, scale: float | None, **_: Any) -> Any:
    return naive("gsa.naive", "naive_recurrent_gsa")(q, k, v, s, g, scale)[0], None


def hgrn(x: Tensor, g: Tensor, **_: Any) -> Any:
    return naive("hgrn.naive", "naive_recurrent_hgrn")(x, g)[0], None


def rwkv7(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, **_: Any) -> Any:
    run = naive("generalized_delta_rule.dplr.naive", "dplr_recurrence")
    return run(*heads_first(r * r.shape[-1] ** 0.5, k, v, a, b, w))[0].transpose(1, 2), None


def corrected(o: Tensor, r: Tensor, k: Tensor, r_k: Tensor, v: Tensor, g: Tensor) -> Tensor:
    return (o + ((r * k * r_k).sum(-1, keepdim=True) * v).view(o.shape)) * g


RWKV7: Mapping[str, Callable[..., Any]] = {
    "chunk_rwkv7": rwkv7,
    "fused_mul_recurrent_rwkv7": lambda r, w, k, v, kk, a, **_: rwkv7(r, w, k, v, -kk, kk * a),
    "fused_addcmul_rwkv7": lambda x, delta, *mixes: [x + delta * mix for mix in mixes],
    "fused_k_rwkv7": lambda k, a, amount: k * (1 + (a - 1) * amount),
    "gate_output_correction": corrected,
    "l2_norm": unit,
    "token_shift": lambda x, *_, **__: (shift(x), None),
}


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, activation: str | None, **_: Any) -> Any:
    y = F.conv1d(x.transpose(1, 2), weight[:, None], bias, padding=weight.shape[1] - 1, groups=weight.shape[0])
    y = y[..., : x.shape[1]].transpose(1, 2)
    return (F.silu(y) if activation else y), None


def short_convolution(self: Any, x: Tensor, *_: Any, **__: Any) -> Any:
    return convolution(x, self.weight.squeeze(1), self.bias, self.activation)


def rms(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return fla("modules.norm.layernorm").rms_norm_ref(x, weight, None, eps=eps)


def gated_norm(self: Any, x: Tensor, g: Tensor) -> Tensor:
    gate = g.sigmoid() if self.activation == "sigmoid" else F.silu(g)
    return rms(x, self.weight, self.eps) * gate


def norm(self: Any, x: Tensor, residual: Tensor | None = None, prenorm: bool = False) -> Any:
    """In a block of a model the norm also adds the residual, and gives the sum back."""
    total = x if residual is None else x + residual
    y = rms(total, self.weight, self.eps)
    return (y, total) if prenorm else y


def mlp(self: Any, x: Tensor, **_: Any) -> Tensor:
    return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


def group_norm(self: Any, x: Tensor) -> Tensor:
    return F.group_norm(x.flatten(0, 1), self.num_groups, self.weight, self.bias, self.eps).view(x.shape)


def norm_linear(x: Tensor, weight: Tensor, _: Any, linear: Tensor, bias: Tensor | None, eps: float = 1e-5) -> Tensor:
    return F.linear(rms(x, weight, eps), linear, bias)


def rotary(self: Any, q: Tensor, k: Tensor, **_: Any) -> tuple[Tensor, Tensor]:
    frequencies = 1 / self.base ** (torch.arange(0, self.dim, 2, dtype=torch.float64) / self.dim)
    angles = torch.outer(torch.arange(q.shape[1], dtype=torch.float64), frequencies)
    turn = fla("modules.rotary.ops").rotary_embedding_ref
    return turn(q, angles.cos(), angles.sin()), turn(k, angles.cos(), angles.sin())


def shift(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return fla("modules.token_shift").token_shift_ref(x)


MODULES: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("modules.causal_conv1d.ops", "ShortConvolution"): short_convolution,
    ("modules.norm.fused_norm_gate", "FusedRMSNormGated"): gated_norm,
    ("modules.norm.layernorm", "RMSNorm"): norm,
    ("modules.norm.layernorm", "GroupNorm"): group_norm,
    ("modules.rotary.ops", "RotaryEmbedding"): rotary,
    ("modules.mlp", "GatedMLP"): mlp,
}


@contextmanager
def on_cpu(path: str, functions: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Replaces functions that a layer's module calls, and the forward of the modules that need a kernel."""
    with ExitStack() as stack:
        for name, function in functions.items():
            stack.enter_context(mock.patch.object(fla(path), name, function))
        stack.enter_context(mock.patch.object(fla("modules.feature_map"), "swish", F.silu))
        for (where, name), forward in MODULES.items():
            stack.enter_context(mock.patch.object(getattr(fla(where), name), "forward", forward))
        yield
