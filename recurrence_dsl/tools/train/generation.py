"""Generates text token by token, and compares its logits with those of the parallel form on the same text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...layers import LanguageModel
from ...layers.model import choose


@dataclass(frozen=True, slots=True)
class Generation:
    """Generated tokens, how fast they came, and the largest difference of a logit from the parallel form's."""

    prompt: bytes
    text: bytes
    difference: float
    largest_logit: float


@torch.no_grad()
def generate(model: LanguageModel, prompt: Tensor, new_tokens: int, seed: int) -> Generation:
    """Reads `prompt` [T] and writes on, all by the recurrent form."""
    generator = torch.Generator().manual_seed(seed)
    tokens, state, logits = prompt.tolist(), None, []
    for place in range(len(tokens) + new_tokens - 1):
        if place >= len(tokens):
            tokens.append(int(choose(logits[-1], 0.7, generator)))
        step, state = model.step(torch.tensor(tokens[place : place + 1]), state)
        logits.append(step)
    recurrent = torch.cat(logits)
    parallel = model(torch.tensor(tokens)[None])[0]
    tokens.append(int(choose(recurrent[-1:], 0.7, generator)))
    return Generation(
        bytes(tokens[: len(prompt)]),
        bytes(tokens[len(prompt) :]),
        (recurrent - parallel).abs().max().item(),
        parallel.abs().max().item(),
    )
