"""Streaming generation: a conversation whose memory does not grow.

    python examples/streaming.py

A recurrence keeps all that it knows of the past in a state of fixed size. Text that arrives is read in parallel, from
the state that the conversation has reached; answers are written token by token; the state can be kept, copied and gone
back to.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch

from recurrence_dsl.layers import LanguageModel
from recurrence_dsl.layers.flow import State
from recurrence_dsl.layers.model import choose, state_bytes


class Conversation:
    """A model and the state that it has reached."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.state: tuple[State, ...] | None = None
        self.logits = torch.zeros(1, model.head.out_features)

    @torch.no_grad()
    def read(self, text: bytes) -> None:
        """Reads text in parallel, from where the conversation is."""
        logits, self.state = self.model(torch.tensor([list(text)]), state=self.state, return_state=True)
        self.logits = logits[:, -1]

    @torch.no_grad()
    def write(self) -> Iterator[int]:
        """Bytes without end, one at a time."""
        while True:
            token = choose(self.logits, 0.0)
            self.logits, self.state = self.model.step(token, self.state)
            yield int(token)


def main(turns: int = 3) -> list[int]:
    """Returns the bytes of memory that the state takes after each turn."""
    torch.manual_seed(0)
    model = LanguageModel("mamba2", vocab=256, d_model=64, n_layers=2, heads=4, K=16, V=32).eval()
    conversation, memory = Conversation(model), []
    for turn in range(turns):
        conversation.read(b"A question of some length. " * (turn + 1))
        answer = bytes(islice(conversation.write(), 20))
        memory.append(state_bytes(conversation.state or ()))
        print(f"turn {turn + 1}: wrote {len(answer)} bytes, the state takes {memory[-1]:,} bytes")
    # A state is a value: keeping it is a bookmark, and going on from it twice gives the same answer twice.
    bookmark, logits = conversation.state, conversation.logits
    first = bytes(islice(conversation.write(), 10))
    conversation.state, conversation.logits = bookmark, logits
    assert bytes(islice(conversation.write(), 10)) == first
    return memory


if __name__ == "__main__":
    main()
