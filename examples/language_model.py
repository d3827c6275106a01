"""A language model from a spec: train it on text for a moment, then let it write.

python examples/language_model.py
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from recurrence_dsl.layers import LanguageModel
from recurrence_dsl.tools.train.corpus import BYTES, Corpus, standard_library


def train(model: LanguageModel, corpus: Corpus, steps: int, length: int = 128, batch: int = 8) -> list[float]:
    """Plain training on random rows of the corpus; returns each step's loss in nats a byte."""
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3)
    losses = []
    for _ in range(steps):
        tokens, targets = corpus.rows(batch, length, generator)
        loss = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    return losses


def main(steps: int = 200, new_bytes: int = 200) -> list[float]:
    torch.manual_seed(0)
    corpus = standard_library()
    # Any spec with a layer block will do: "mamba2", "rwkv6", "delta_net", or the path of your own.
    model = LanguageModel("gla", vocab=BYTES, d_model=96, n_layers=2, heads=3, K=16, V=32)
    losses = train(model, corpus, steps)
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f} nats a byte after {steps} steps")
    prompt = torch.tensor([list(b"def ")])
    # The prompt is read in parallel; what follows is written token by token, from a state of fixed size.
    written = model.generate(prompt, new_bytes, temperature=0.7, generator=torch.Generator().manual_seed(0))
    print(bytes(written[0].tolist()).decode("utf-8", errors="replace"))
    return losses


if __name__ == "__main__":
    main()
