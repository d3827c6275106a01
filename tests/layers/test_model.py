"""The language model of layers: state, generation, shared params, sharding."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

import recurrence_dsl as rd
from recurrence_dsl.layers import LanguageModel


def model(spec: str = "gla", **options: Any) -> LanguageModel:
    torch.manual_seed(0)
    sizes = {"K": 4, "V": 8} if spec != "mamba2" else {"K": 4, "V": 8, "groups": 2}
    given = {"vocab": 23, "d_model": 16, "n_layers": 3, "heads": 2} | sizes | options
    return LanguageModel(spec, **given).double()


def prompt(length: int = 12) -> torch.Tensor:
    return torch.randint(23, (2, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("spec", ["gla", "mamba2", "rwkv6", "hgrn2"])
def test_stepping_gives_the_parallel_logits(spec: str) -> None:
    lm, tokens = model(spec), prompt()
    with torch.no_grad():
        want, after = lm(tokens, return_state=True)
        state, got = None, []
        for t in range(tokens.shape[1]):
            logits, state = lm.step(tokens[:, t], state)
            got.append(logits)
    assert state is not None
    assert torch.allclose(torch.stack(got, 1), want, atol=1e-11)
    assert all(torch.allclose(a[k], b[k], atol=1e-11) for a, b in zip(state, after, strict=True) for k in a)


def test_packed_rows_are_rows_by_themselves() -> None:
    lm, tokens = model("delta_net"), prompt()[:1]
    bounds = torch.tensor([0, 5, 12])
    with torch.no_grad():
        packed = lm(tokens, cu_seqlens=bounds)
        alone = torch.cat((lm(tokens[:, :5]), lm(tokens[:, 5:])), 1)
    assert torch.allclose(packed, alone, atol=1e-11)


def test_greedy_generation_is_what_the_parallel_form_would_choose() -> None:
    lm = model()
    whole = lm.generate(prompt(4), 10)
    with torch.no_grad():
        chosen = lm(whole[:, :-1])[:, 3:].argmax(-1)
    assert torch.equal(whole[:, 4:], chosen)


def test_a_stream_goes_on_as_long_as_it_is_read() -> None:
    lm = model()
    tokens = list(islice(lm.stream(prompt(4)), 10))
    assert torch.equal(torch.stack(tokens, 1), lm.generate(prompt(4), 10)[:, 4:])


def test_sampling_follows_its_generator() -> None:
    lm = model()
    drawn = [lm.generate(prompt(4), 8, temperature=1.0, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(rd.CallError, match="R0513"):
        model().generate(prompt(0), 1)


def test_params_across_layers_are_one_tensor() -> None:
    lm = model("hgrn2")
    first, *others = lm.layers
    assert first.bounds.shape == (3, 2, 4)
    assert all(layer.bounds is first.bounds for layer in others)
    assert sum(name.endswith("bounds") for name, _ in lm.named_parameters()) == 1
    with torch.no_grad():
        first.bounds.normal_()
    lm(prompt()).sum().backward()
    assert first.bounds.grad is not None
    assert first.bounds.grad.abs().sum() > 0


def test_layers_know_their_depth() -> None:
    lm = model("lightning")
    x = torch.randn(1, 9, 16, dtype=torch.float64)
    weights = lm.layers[0].state_dict()
    outputs = []
    for layer in lm.layers:
        layer.load_state_dict(weights)
        with torch.no_grad():
            outputs.append(layer(x))
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[1], outputs[2])


def test_a_tied_head_is_the_embedding() -> None:
    lm = model(tied=True)
    assert lm.head.weight is lm.embedding.weight


@pytest.mark.parametrize(("mlp", "width"), [(0, None), (2, 32)])
def test_width_of_the_mlp(mlp: float, width: int | None) -> None:
    block = model(mlp=mlp).blocks[0]
    assert (block.mlp is None) if width is None else (block.mlp.up.out_features == width)  # type: ignore[union-attr]


def test_sharded_over_processes_trains_like_one() -> None:
    """FSDP2 on the CPU, two processes by gloo; `sharded.py` compares the losses."""
    script = Path(__file__).with_name("sharded.py")
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
