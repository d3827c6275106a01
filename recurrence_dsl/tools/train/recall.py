"""Multi-query associative recall: a row states key-value pairs, then asks for the values of its keys.

Arora et al. 2023, "Zoology: Measuring and Improving Recall in Efficient Language Models", arXiv:2312.04927.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...diagnostics import CallError

IGNORED = -100
"""The target where nothing is asked."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Rows of `length` tokens with `pairs` pairs; keys are the lower half of the vocabulary, values the upper.

    The pairs come first, then each key once more; a query's distance follows a power law with exponent `power - 1`, so
    most are asked soon. The other tokens are random values, never keys, so that they state nothing.
    """

    vocab: int
    pairs: int
    length: int
    power: float = 0.01

    def __post_init__(self) -> None:
        if self.pairs * 4 > self.length or self.pairs > self.vocab // 2 - 1:
            raise CallError(
                "R0904",
                f"{self.pairs} pairs do not fit rows of {self.length} tokens and a vocabulary of {self.vocab}",
                "take rows of at least 4 tokens a pair, and a vocabulary of more than twice the pairs",
            )

    def rows(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Tokens and targets, both [batch, length]; the target of a query is its value, of all else `IGNORED`."""
        half, pairs = self.vocab // 2, self.pairs
        keys = 1 + _distinct(batch, half - 1, pairs, generator)
        values = half + torch.randint(self.vocab - half, (batch, pairs), generator=generator)
        tokens = half + torch.randint(self.vocab - half, (batch, self.length), generator=generator)
        targets = torch.full((batch, self.length), IGNORED)
        tokens[:, 0 : 2 * pairs : 2] = keys
        tokens[:, 1 : 2 * pairs : 2] = values
        places = 2 * pairs + 2 * self._gaps(batch, generator)
        return tokens.scatter(1, places, keys), targets.scatter(1, places, values)

    def _gaps(self, batch: int, generator: torch.Generator) -> Tensor:
        """Distinct places for the queries, in pairs of tokens after the statements, [batch, pairs]."""
        slots = self.length // 2 - self.pairs
        weights = torch.arange(1, slots + 1, dtype=torch.float64) ** (self.power - 1)
        return torch.multinomial(weights.expand(batch, slots), self.pairs, generator=generator)


def _distinct(batch: int, below: int, count: int, generator: torch.Generator) -> Tensor:
    """For each row `count` different numbers from 0 to `below - 1`."""
    return torch.rand(batch, below, generator=generator).argsort(1)[:, :count]


def accuracy(logits: Tensor, targets: Tensor) -> float:
    """The share of queries whose likeliest token is the asked value."""
    asked = targets != IGNORED
    return (logits.argmax(-1)[asked] == targets[asked]).double().mean().item()
