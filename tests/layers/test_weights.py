"""Weights move between published checkpoints and compiled models, exactly, and what does not fit is said."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import recurrence_dsl as rd
from recurrence_dsl.cli import app
from recurrence_dsl.layers import LanguageModel

from . import transformers_on_cpu as hf


def published(folder: Path, *, tied: bool = True, groups: int = 2) -> Any:
    """A tiny random Mamba2 language model, saved by transformers."""
    from transformers import Mamba2Config

    config = Mamba2Config(
        vocab_size=61, hidden_size=32, num_hidden_layers=2, num_heads=8, head_dim=8, state_size=16, n_groups=groups,
        expand=2, chunk_size=16, tie_word_embeddings=tied,
    )  # fmt: skip
    torch.manual_seed(0)
    model = hf.modeling("mamba2").Mamba2ForCausalLM(config).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_mamba2_gives_the_same_logits_and_the_same_greedy_text(tmp_path: Path, tied: bool) -> None:
    theirs = published(tmp_path, tied=tied)
    ours = rd.weights.model_from(tmp_path)
    tokens = torch.randint(61, (2, 37), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        want = theirs(tokens).logits
        assert (ours(tokens) - want).abs().max() < 1e-5 * max(1.0, float(want.abs().max()))
        prompt = tokens[:1, :5]
        options = {"attention_mask": torch.ones_like(prompt), "do_sample": False, "eos_token_id": None}
        greedy = theirs.generate(prompt, max_new_tokens=24, **options)
    assert torch.equal(ours.generate(prompt, 24), greedy)


@pytest.mark.parametrize("tied", [True, False])
def test_there_and_back_is_exact(tmp_path: Path, tied: bool) -> None:
    published(tmp_path / "theirs", tied=tied)
    rd.weights.convert(tmp_path / "theirs", tmp_path / "ours")
    rd.weights.convert(tmp_path / "ours", tmp_path / "back", to="hf-mamba2")
    first = load_file(tmp_path / "theirs" / "model.safetensors")
    second = load_file(tmp_path / "back" / "model.safetensors")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    configs = [json.loads((tmp_path / place / "config.json").read_text()) for place in ("theirs", "back")]
    assert configs[0] == configs[1]


def test_transformers_reads_what_comes_back(tmp_path: Path) -> None:
    theirs = published(tmp_path / "theirs")
    rd.weights.convert(tmp_path / "theirs", tmp_path / "ours")
    rd.weights.convert(tmp_path / "ours", tmp_path / "back", to="hf-mamba2")
    again = hf.modeling("mamba2").Mamba2ForCausalLM.from_pretrained(tmp_path / "back")
    assert all(
        torch.equal(a, b) for a, b in zip(theirs.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_the_command_line_converts(tmp_path: Path) -> None:
    published(tmp_path / "theirs")
    command = [
        sys.executable,
        "-m",
        "recurrence_dsl",
        "convert",
        str(tmp_path / "theirs"),
        "-o",
        str(tmp_path / "ours"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "model.safetensors" in run.stdout
    assert (tmp_path / "ours" / "recurrence.json").is_file()


def test_the_command_line_converts_back_and_says_what_does_not_fit(tmp_path: Path) -> None:
    published(tmp_path / "theirs")
    rd.weights.convert(tmp_path / "theirs", tmp_path / "ours")
    back, other = (
        CliRunner().invoke(app, ["convert", str(tmp_path / "ours"), "-o", str(tmp_path / "back"), "--to", name])
        for name in ("hf-mamba2", "hf-mamba")
    )
    assert back.exit_code == 0
    assert "hf-mamba2" in back.output
    assert other.exit_code == 1
    assert "R0906" in other.output
    assert "is for the spec `selective_scan`" in " ".join(other.output.split())
    tensors = rd.weights.read_tensors(tmp_path / "theirs")
    tensors["strange"] = tensors.pop("backbone.norm_f.weight")
    save_file(tensors, tmp_path / "theirs" / "model.safetensors", {"format": "pt"})
    broken = CliRunner().invoke(app, ["convert", str(tmp_path / "theirs"), "-o", str(tmp_path / "no")])
    assert broken.exit_code == 1
    assert "missing: backbone.norm_f.weight" in broken.output
    assert "unmatched: strange" in broken.output
    assert not (tmp_path / "no").exists()


def test_half_precision_stays(tmp_path: Path) -> None:
    published(tmp_path)
    tensors = {name: tensor.bfloat16() for name, tensor in rd.weights.read_tensors(tmp_path).items()}
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    model = rd.weights.model_from(tmp_path)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_a_checkpoint_in_several_files(tmp_path: Path) -> None:
    published(tmp_path)
    whole = rd.weights.read_tensors(tmp_path)
    names = sorted(whole)
    for part, chosen in enumerate((names[:5], names[5:])):
        save_file({name: whole[name] for name in chosen}, tmp_path / f"part-{part}.safetensors", {"format": "pt"})
    places = {name: f"part-{int(index >= 5)}.safetensors" for index, name in enumerate(names)}
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    again = rd.weights.read_tensors(tmp_path)
    assert all(torch.equal(again[name], whole[name]) for name in names)


def layer_and_tensors() -> tuple[Any, dict[str, torch.Tensor]]:
    layer = rd.compile_layer("delta_net", d_model=16, heads=2, K=4, V=8)
    return layer, rd.weights.export(layer, "fla-delta_net")


def test_what_does_not_fit_is_reported_and_nothing_is_copied() -> None:
    layer, tensors = layer_and_tensors()
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    wrong = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    wrong["q_proj.weight"] = torch.zeros(16, 8)
    wrong["strange"] = torch.zeros(1)
    del wrong["b_proj.weight"]
    with pytest.raises(rd.CallError, match="R0907") as raised:
        rd.weights.load(layer, wrong, "fla-delta_net")
    text = str(raised.value)
    assert "missing: b_proj.weight" in text
    assert "unmatched: strange" in text
    assert "misshaped: q_proj.weight is [16, 8], wanted [8, 16]" in text
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())


def test_what_fits_is_copied_when_asked_for() -> None:
    layer, tensors = layer_and_tensors()
    report = rd.weights.load(layer, {"q_proj.weight": tensors["q_proj.weight"] + 1}, "fla-delta_net", strict=False)
    assert report.loaded == ("q_proj.weight",)
    assert "b_proj.weight" in report.missing
    assert torch.equal(layer.get_submodule("q.linear").weight, tensors["q_proj.weight"] + 1)


def test_a_tensor_of_ours_that_a_format_forgets_is_missing() -> None:
    layer, tensors = layer_and_tensors()
    whole = rd.weights.read_format("fla-delta_net")
    partial = type(whole)(whole.name, whole.spec, whole.about, "", "", (), whole.layer[1:])
    del tensors[whole.layer[0].theirs]
    report = rd.weights.load(layer, tensors, partial, strict=False)
    assert report.missing == ("(none for q.linear.weight)",)


@pytest.mark.parametrize("name", rd.weights.formats())
def test_every_format_covers_every_tensor_of_its_spec(name: str) -> None:
    format = rd.weights.read_format(name)
    sizes = {dim.name: 4 for dim in rd.load(format.spec).dims}
    if format.model:
        fixed = {key: value for key, value in format.fixed.items() if key == "mlp"}
        target: Any = LanguageModel(format.spec, vocab=11, d_model=8, n_layers=2, heads=2, **sizes, **fixed)
    else:
        target = rd.compile_layer(format.spec, d_model=8, heads=2, **sizes)
    exported = rd.weights.export(target, name)
    for parameter in target.parameters():
        parameter.data.zero_()
    assert rd.weights.load(target, exported, name).complete
    again = rd.weights.export(target, name)
    assert all(torch.equal(exported[key], again[key]) for key in exported)


def test_a_config_that_asks_for_another_variant_is_refused(tmp_path: Path) -> None:
    published(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"use_bias": True}))
    with pytest.raises(rd.CallError, match="use_bias"):
        rd.weights.model_from(tmp_path)


@pytest.mark.parametrize("broken", ["model_type", "num_heads"])
def test_a_config_that_says_too_little_is_refused(tmp_path: Path, broken: str) -> None:
    published(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config[broken]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(rd.CallError, match="R090"):
        rd.weights.model_from(tmp_path)


def test_a_model_of_ours_is_saved_and_opened(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = LanguageModel("hgrn2", vocab=17, d_model=16, n_layers=3, heads=2, K=4, V=8, tied=True)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.2)
    rd.weights.save(model, tmp_path)
    again = rd.weights.open_model(tmp_path)
    tokens = torch.arange(10)[None]
    with torch.no_grad():
        assert torch.equal(again(tokens), model(tokens))
    layers = [block.layer for block in again.blocks]  # type: ignore[union-attr]
    assert all(layer.bounds is layers[0].bounds for layer in layers)
