"""Load a Hugging Face checkpoint of Mamba-2 into a model that is compiled from a spec.

    python examples/load_checkpoint.py [FOLDER]

FOLDER holds `config.json` and `model.safetensors`, as `save_pretrained` writes them or the hub serves them. Without
one, a tiny model with random weights is made by transformers first, and its logits are compared.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import recurrence_dsl as rd


def tiny_checkpoint(folder: Path) -> Any:
    """A random Mamba-2 of transformers, saved to a folder."""
    from transformers import Mamba2Config, Mamba2ForCausalLM

    torch.manual_seed(0)
    heads = {"num_heads": 8, "head_dim": 8, "n_groups": 2, "state_size": 16}
    config = Mamba2Config(vocab_size=100, hidden_size=32, num_hidden_layers=2, expand=2, **heads)
    model = Mamba2ForCausalLM(config).eval()
    model.save_pretrained(folder)
    return model


def main(folder: str | None = None) -> float | None:
    """Returns the largest difference of a logit from transformers', where there is a model to compare with."""
    with tempfile.TemporaryDirectory() as made:
        theirs = tiny_checkpoint(Path(made)) if folder is None else None
        # The mapping between the two sets of names is data: specs/weights/hf-mamba2.toml.
        model = rd.weights.model_from(folder or made)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters in {len(model.layers)} layers")
    tokens = torch.tensor([[5, 17, 42, 8]])
    print("greedy:", model.generate(tokens, 12)[0].tolist())
    if theirs is None:
        return None
    with torch.no_grad():
        difference = (theirs(tokens).logits - model(tokens)).abs().max().item()
    print(f"logits differ from transformers' by at most {difference:.1e}")
    # And back: these tensors have transformers' names again.
    back = rd.weights.export(model, "hf-mamba2")
    print("first tensors on the way back:", ", ".join(sorted(back)[:2]))
    return difference


if __name__ == "__main__":
    main(*sys.argv[1:])
