"""fla's naive recurrences as functions of our inputs: [B, T, H, *axes] in, outputs and final state out.

Each takes (inputs, params, state) by name and returns results by name, as the properties name them. The traps are in
the adapters: layouts, scales, argument orders, natural-log decays.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from .doubled import doubled

Tensors = Mapping[str, Tensor]


def naive(path: str, name: str) -> Callable[..., Any]:
    """A function of fla-core in float64; the test is skipped, saying so, where the package is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the missing accelerator
        pytest.importorskip("fla", reason="fla-core is not installed: `make setup` adds it")
        return doubled(getattr(import_module(f"fla.ops.{path}"), name))


def heads_first(*tensors: Tensor) -> tuple[Tensor, ...]:
    """[B, T, H, ..] -> [B, H, T, ..]."""
    return tuple(tensor.transpose(1, 2) for tensor in tensors)


def gla(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    run = naive("gla.naive", "naive_recurrent_gla")
    o, s = run(x["q"], x["k"], x["v"], logsigmoid(x["g"]) / 16, state["S"], output_final_state=True)
    return {"output:o": o, "state:S": s}


def retention(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    """Has no initial state and gives no final one."""
    run = naive("retention.naive", "naive_retention")
    return {"output:o": run(*heads_first(x["q"], x["k"], x["v"])).transpose(1, 2)}


def rwkv6(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    run = naive("rwkv6.recurrent_naive", "naive_recurrent_rwkv6")
    r, k, v, w = heads_first(x["r"], x["k"], x["v"], -torch.exp(x["d"]))
    o, s = run(r, k, v, w, params["u"], scale=1.0, initial_state=state["S"], output_final_state=True)
    return {"output:o": o.transpose(1, 2), "state:S": s}


def hgrn2(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    """GLA with the key tied to the decay, and no scale."""
    run = naive("gla.naive", "naive_recurrent_gla")
    f = torch.sigmoid(x["g"])
    o, s = run(x["q"] * f.shape[-1] ** 0.5, 1 - f, x["v"], f.log(), state["S"], output_final_state=True)
    return {"output:o": o, "state:S": s}


def mamba2(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    """Simple GLA with grouped keys and queries, a step size on the values, and a skip."""
    run = naive("simple_gla.naive", "naive_recurrent_simple_gla")
    delta = torch.logaddexp(x["dt"] + params["dt_bias"], torch.zeros((), dtype=torch.float64))
    repeats = x["x"].shape[2] // x["B"].shape[2]
    B, C = (x[name].repeat_interleave(repeats, dim=2) for name in ("B", "C"))
    g = -params["A_log"].exp() * delta
    y, s = run(C, B, delta[..., None] * x["x"], g, scale=1.0, initial_state=state["S"])
    return {"output:y": y + params["D"][:, None] * x["x"], "state:S": s}


def delta_rule(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    run = naive("delta_rule.naive", "delta_rule_recurrence")
    q, k, v, beta = heads_first(x["q"], x["k"], x["v"], x["beta"])
    o, s = run(q, k, v, beta, initial_state=state["S"])
    return {"output:o": o.transpose(1, 2), "state:S": s}


def simple_gla(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    run = naive("simple_gla.naive", "naive_recurrent_simple_gla")
    o, s = run(x["q"], x["k"], x["v"], x["g"], initial_state=state["S"])
    return {"output:o": o, "state:S": s}


def hgrn(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    """A vector state; heads are folded into the batch."""
    run = naive("hgrn.naive", "naive_recurrent_hgrn")
    batch, _, heads, _ = x["x"].shape
    folded = [tensor.flatten(0, 1) for tensor in heads_first(x["x"], x["g"])]
    o, h = run(*folded, initial_state=state["h"].flatten(0, 1), output_final_state=True)
    return {"output:o": o.unflatten(0, (batch, heads)).transpose(1, 2), "state:h": h.unflatten(0, (batch, heads))}


def linear_attention(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    run = naive("linear_attn.naive", "naive_recurrent_linear_attn")
    given = (state["S"], state["z"][:, None])
    o, (s, z) = run(x["q"], x["k"], x["v"], scale=1.0, initial_state=given, output_final_state=True, normalize=True)
    return {"output:o": o, "state:S": s, "state:z": z[:, 0]}


def gated_delta_rule(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    run = naive("gated_delta_rule.naive", "naive_recurrent_gated_delta_rule")
    o, s = run(x["q"], x["k"], x["v"], x["beta"], x["g"], initial_state=state["S"], output_final_state=True)
    return {"output:o": o, "state:S": s}


def kda(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    run = naive("kda.naive", "naive_recurrent_kda")
    o, s = run(x["q"], x["k"], x["v"], x["g"], x["beta"], initial_state=state["S"], output_final_state=True)
    return {"output:o": o, "state:S": s}


def dplr(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    """fla's alpha is contracted with the state, its beta writes."""
    run = naive("generalized_delta_rule.dplr.naive", "dplr_recurrence")
    q, k, v, b, a, g = heads_first(x["q"], x["k"], x["v"], x["b"], x["a"], x["g"])
    o, s = run(q, k, v, b, a, g, initial_state=state["S"])
    return {"output:o": o.transpose(1, 2), "state:S": s}


def gated_slots(x: Tensors, params: Tensors, state: Tensors) -> dict[str, Tensor]:
    run = naive("gsa.naive", "naive_recurrent_gsa")
    given = (state["P"], state["R"])
    o, (p, r) = run(x["q"], x["k"], x["v"], x["s"], x["g"], initial_state=given, output_final_state=True)
    return {"output:o": o, "state:P": p, "state:R": r}
