"""What people use today for the same recurrences: fla's and mamba-ssm's kernels, called on our inputs.

Their gates are computed before the clock starts, where ours are computed inside the kernels: the comparison leans
towards them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize, softplus

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Rival:
    """A function of a library and what it is called with: `tensors` take gradients, `others` do not."""

    library: str
    function: Callable[..., Any]
    tensors: dict[str, Tensor]
    others: dict[str, Any]

    def __call__(self, **tensors: Tensor) -> Tensor:
        found = self.function(**tensors, **self.others)
        return found[0] if isinstance(found, tuple) else found


def _retnet(x: Tensors, p: Tensors) -> dict[str, Any]:
    return {"q": x["q"], "k": x["k"], "v": x["v"]}


def _gla(x: Tensors, p: Tensors) -> dict[str, Any]:
    return {"q": x["q"], "k": x["k"], "v": x["v"], "g": logsigmoid(x["g"].float()).div(16).to(x["g"].dtype)}


def _decay(x: Tensor, p: Tensors) -> Tensor:
    """-exp(A_log) softplus(x + dt_bias), float32."""
    return -p["A_log"].exp().view(-1, *(1,) * (x.dim() - 3)) * softplus(x.float() + p["dt_bias"])


def _gated_delta(x: Tensors, p: Tensors) -> dict[str, Any]:
    return {"q": x["q"], "k": x["k"], "v": x["v"], "g": _decay(x["dt"], p), "beta": x["beta"]}


def _delta(x: Tensors, p: Tensors) -> dict[str, Any]:
    return {n: x[n] for n in ("q", "k", "v", "beta")}


def _kda(x: Tensors, p: Tensors) -> dict[str, Any]:
    return {"q": x["q"], "k": x["k"], "v": x["v"], "g": _decay(x["g"], p), "beta": x["beta"]}


def _rwkv6(x: Tensors, p: Tensors) -> dict[str, Any]:
    w = -x["d"].float().exp()
    return {"r": x["r"], "k": x["k"], "v": x["v"], "w": w, "u": p["u"].to(x["k"].dtype), "scale": 1.0}


def _rwkv7(x: Tensors, p: Tensors) -> dict[str, Any]:
    kind, rate = x["k"].dtype, x["a"].float().sigmoid()
    kappa = normalize(p["xi"] * x["k"].float(), dim=-1)
    new = x["k"].float() * (1 + (rate - 1) * p["alpha"])
    w = -torch.exp(torch.tensor(-0.5)).item() * x["d"].float().sigmoid()
    given = {"r": x["r"], "w": w, "k": new, "v": x["v"], "a": -kappa, "b": rate * kappa}
    return {n: t.to(kind) for n, t in given.items()}


def _mamba2(x: Tensors, p: Tensors) -> dict[str, Any]:
    given = {"x": x["x"], "dt": x["dt"], "A": -p["A_log"].exp(), "B": x["B"], "C": x["C"]}
    return given | {"chunk_size": 256, "D": p["D"], "dt_bias": p["dt_bias"], "dt_softplus": True}


_KNOWN: dict[str, tuple[str, str, str, Callable[[Tensors, Tensors], dict[str, Any]]]] = {
    "retnet": ("fla", "fla.ops.retention", "chunk_retention", _retnet),
    "gla": ("fla", "fla.ops.gla", "chunk_gla", _gla),
    "gated_delta_net": ("fla", "fla.ops.gated_delta_rule", "chunk_gated_delta_rule", _gated_delta),
    "delta_net": ("fla", "fla.ops.delta_rule", "chunk_delta_rule", _delta),
    "kda": ("fla", "fla.ops.kda", "chunk_kda", _kda),
    "rwkv6": ("fla", "fla.ops.rwkv6", "chunk_rwkv6", _rwkv6),
    "rwkv7": ("fla", "fla.ops.rwkv7", "chunk_rwkv7", _rwkv7),
    "mamba2": ("mamba-ssm", "mamba_ssm.ops.triton.ssd_combined", "mamba_chunk_scan_combined", _mamba2),
}

SPECS = tuple(_KNOWN)


def rival(spec: str, inputs: Tensors, params: Tensors) -> Rival | None:
    """The rival's function with its arguments from our inputs [B, T, H, *axes] and params; None where not installed."""
    library, path, name, prepare = _KNOWN[spec]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function = getattr(import_module(path), name)
        except ImportError:
            return None
    with torch.no_grad():
        given = prepare(inputs, params)
    tensors = {n: x.detach().contiguous() for n, x in given.items() if isinstance(x, Tensor)}
    return Rival(library, function, tensors, {n: x for n, x in given.items() if not isinstance(x, Tensor)})
