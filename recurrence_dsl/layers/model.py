"""A language model made of one spec's layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..check.spec import Spec
from ..diagnostics import CallError
from ..pipeline import load
from .block import Block, RMSNorm
from .compile import compile_layer
from .flow import State
from .layer import Layer

LayerFactory = Callable[..., Layer]
"""Makes one layer: (spec, d_model=, heads=, layer_index=, layers=, **sizes)."""


class LanguageModel(nn.Module):
    """Tokens [B, T] -> logits [B, T, vocab]: embedding, blocks, norm, head.

    `mlp` is the MLP's width as a multiple of `d_model` (0: blocks without one), `mlp_width` the width itself; `tied`
    uses the embedding as the head. `sizes` are the spec's dims and consts and the mixer's options, as for
    `compile_layer`. `config` holds these arguments: `LanguageModel(**model.config)` is a model of the same shape.
    """

    def __init__(
        self,
        spec: Spec | str | Path,
        *,
        vocab: int,
        d_model: int,
        n_layers: int,
        heads: int,
        mlp: float = 8 / 3,
        mlp_width: int | None = None,
        tied: bool = False,
        eps: float = 1e-5,
        make_layer: LayerFactory | None = None,
        **sizes: Any,
    ) -> None:
        super().__init__()
        if make_layer is None:
            make_layer = compile_layer
        checked = spec if isinstance(spec, Spec) else load(spec)
        width = 8 * round(mlp * d_model / 8) if mlp_width is None else mlp_width
        self.config: dict[str, Any] = {
            "spec": checked.source.text,
            "vocab": vocab,
            "d_model": d_model,
            "n_layers": n_layers,
            "heads": heads,
            "mlp_width": width,
            "tied": tied,
            "eps": eps,
            **sizes,
        }
        layers = [
            make_layer(checked, d_model=d_model, heads=heads, layer_index=index, layers=n_layers, **sizes)
            for index in range(n_layers)
        ]
        self.embedding = nn.Embedding(vocab, d_model)
        self.blocks = nn.ModuleList(Block(layer, width, eps) for layer in layers)
        self.norm = RMSNorm(d_model, eps)
        self.head = nn.Linear(d_model, vocab, bias=False)
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.head.weight, std=0.02)
        if tied:
            self.head.weight = self.embedding.weight
        _share(layers)

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(block.layer for block in self._blocks())

    def forward(
        self,
        tokens: Tensor,
        state: tuple[State, ...] | None = None,
        return_state: bool = False,
        cu_seqlens: Tensor | None = None,
    ) -> Any:
        """tokens [B, T] -> logits [B, T, vocab], or (logits, state) when `return_state`; as in `Layer.forward`."""
        x, after = self.embedding(tokens), []
        for block, before in zip(self._blocks(), state or [None] * len(self.blocks), strict=True):
            x, kept = block(x, before, cu_seqlens)
            after.append(kept)
        logits = self.head(self.norm(x))
        return (logits, tuple(after)) if return_state else logits

    def step(self, token: Tensor, state: tuple[State, ...] | None = None) -> tuple[Tensor, tuple[State, ...]]:
        """One token for each row, [B] -> (logits [B, vocab], state)."""
        x, after = self.embedding(token), []
        for block, before in zip(self._blocks(), state or [None] * len(self.blocks), strict=True):
            x, kept = block.step(x, before)
            after.append(kept)
        return self.head(self.norm(x)), tuple(after)

    @torch.no_grad()
    def stream(
        self, prompt: Tensor, *, temperature: float = 0.0, generator: torch.Generator | None = None
    ) -> Iterator[Tensor]:
        """Tokens [B] without end after `prompt` [B, T], T >= 1: the prompt in parallel, then one token at a time.

        A temperature of 0 takes the most likely token.
        """
        if prompt.ndim != 2 or prompt.shape[1] == 0:
            raise CallError("R0513", f"a prompt is [B, T] with at least one token, not {list(prompt.shape)}")
        logits, state = self.forward(prompt, return_state=True)
        logits = logits[:, -1]
        while True:
            token = choose(logits, temperature, generator)
            yield token
            logits, state = self.step(token, state)

    def generate(
        self, prompt: Tensor, new_tokens: int, *, temperature: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """`prompt` [B, T] with `new_tokens` tokens after it, [B, T + new_tokens]."""
        tokens = self.stream(prompt, temperature=temperature, generator=generator)
        return torch.cat((prompt, *(next(tokens)[:, None] for _ in range(new_tokens))), 1)

    def _blocks(self) -> Iterator[Block]:
        for block in self.blocks:
            assert isinstance(block, Block)
            yield block


def choose(logits: Tensor, temperature: float, generator: torch.Generator | None = None) -> Tensor:
    """A token for each row of logits [B, vocab]: the likeliest, or drawn when `temperature` > 0."""
    if temperature <= 0:
        return logits.argmax(-1)
    weights = (logits / temperature).softmax(-1)
    return torch.multinomial(weights, 1, generator=generator).squeeze(1)


def _share(layers: list[Layer]) -> None:
    """Makes the params with the axis `layers` one tensor for the whole model."""
    for layer in layers[1:]:
        for name in layer.across_layers:
            layer.register_parameter(name, layers[0].get_parameter(name))


def state_bytes(state: tuple[Mapping[str, Tensor], ...]) -> int:
    """How much memory a decode state takes."""
    return sum(value.numel() * value.element_size() for layer in state for value in layer.values())
