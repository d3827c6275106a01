"""What a language model is made of beside its layers: norms, MLPs, and the block that joins them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .flow import State
from .layer import Layer


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimension, computed in float32 at least."""

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        return self.weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype)


class GatedMLP(nn.Module):
    """down(silu(gate(x)) * up(x)), the feed-forward part of a block."""

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(d_model, width, bias=False)
        self.up = nn.Linear(d_model, width, bias=False)
        self.down = nn.Linear(width, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """x + layer(norm(x)), then x + mlp(norm(x)) where there is an MLP."""

    def __init__(self, layer: Layer, mlp_width: int, eps: float) -> None:
        super().__init__()
        self.norm = RMSNorm(layer.d_model, eps)
        self.layer = layer
        self.mlp_norm = RMSNorm(layer.d_model, eps) if mlp_width else None
        self.mlp = GatedMLP(layer.d_model, mlp_width) if mlp_width else None

    def forward(self, x: Tensor, state: State | None = None, cu_seqlens: Tensor | None = None) -> tuple[Tensor, State]:
        """x [B, T, D] -> (x, the layer's state)."""
        y, after = self.layer(self.norm(x), state, return_state=True, cu_seqlens=cu_seqlens)
        return self._feed(x + y), after

    def step(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """One token, x [B, D] -> (x, the layer's state)."""
        y, after = self.layer.step(self.norm(x), state)
        return self._feed(x + y), after

    def _feed(self, x: Tensor) -> Tensor:
        return x if self.mlp is None or self.mlp_norm is None else x + self.mlp(self.mlp_norm(x))
