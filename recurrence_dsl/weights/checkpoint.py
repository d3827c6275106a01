"""Checkpoints on disk: `safetensors` files with a config beside them, theirs and ours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..diagnostics import CallError
from ..layers import LanguageModel
from .arithmetic import evaluate
from .mapping import Format, format_of, read_format
from .transfer import export, load

CONFIG = "config.json"
OUR_CONFIG = "recurrence.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def read_tensors(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file, or of all such files of a checkpoint folder."""
    from safetensors.torch import load_file

    path = Path(path)
    if path.is_file():
        return load_file(path)
    files = _files(path)
    if not files:
        raise CallError(
            "R0908", f"{path} holds no safetensors checkpoint", "give a folder with model.safetensors in it"
        )
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def _files(folder: Path) -> list[Path]:
    if (folder / INDEX).is_file():
        names = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()
        return [folder / name for name in dict.fromkeys(names)]
    return [folder / WEIGHTS] if (folder / WEIGHTS).is_file() else []


def model_from(folder: Path | str, format: str | None = None, **options: Any) -> LanguageModel:
    """A `LanguageModel` with the weights of a published checkpoint: a folder with `config.json` and safetensors.

    The format is found by the config's model type where none is given. `options` go to `LanguageModel` and replace what
    the config says. Raises CallError for a checkpoint that does not fit the format.
    """
    folder = Path(folder)
    config = _read_json(folder / CONFIG)
    chosen = read_format(format) if format else format_of(config)
    tensors = read_tensors(folder)
    model = LanguageModel(chosen.spec, **(arguments(chosen, config, tensors) | options))
    first = next(iter(tensors.values()))
    model = model.to(first.dtype)
    load(model, tensors, chosen)
    return model.eval()


def arguments(format: Format, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The `LanguageModel` arguments that a config states."""
    for name, value in format.require.items():
        if name in config and config[name] != value:
            raise CallError(
                "R0908",
                f"`{name}` is {config[name]!r} in the checkpoint's config, but `{format.spec}` has {value!r}",
                "write a spec with that, and a mapping for it",
            )
    return {name: _argument(text, config, tensors) for name, text in format.config.items()} | dict(format.fixed)


def _argument(text: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    if not text.startswith("shape:"):
        return evaluate(text, config)
    _, name, dim = text.split(":")
    if name not in tensors:
        raise CallError("R0907", f"the checkpoint has no tensor `{name}`")
    return tensors[name].shape[int(dim)]


def save_as(model: LanguageModel, folder: Path | str, format: str, config: Mapping[str, Any] | None = None) -> None:
    """Writes a model in a published format; `config` becomes the `config.json`."""
    _write(Path(folder), export(model, format))
    if config is not None:
        (Path(folder) / CONFIG).write_text(json.dumps(dict(config), indent=2) + "\n", encoding="utf-8")


def save(model: LanguageModel, folder: Path | str) -> None:
    """Writes a model under our own names, with its spec and sizes, for `open_model`."""
    shared = _first_names(model)
    _write(Path(folder), {name: tensor for name, tensor in model.state_dict().items() if name in shared})
    (Path(folder) / OUR_CONFIG).write_text(json.dumps(model.config, indent=2) + "\n", encoding="utf-8")


def open_model(folder: Path | str) -> LanguageModel:
    """The model that `save` wrote."""
    folder = Path(folder)
    config = _read_json(folder / OUR_CONFIG)
    tensors = read_tensors(folder)
    model = LanguageModel(**config).to(next(iter(tensors.values())).dtype)
    own = dict(model.named_parameters())
    wrong = sorted(set(own) ^ set(tensors)) + [n for n in own if n in tensors and own[n].shape != tensors[n].shape]
    if wrong:
        raise CallError("R0907", f"{folder} does not fit its own config: {', '.join(wrong[:5])}")
    model.load_state_dict(tensors, strict=False)
    return model.eval()


def _first_names(model: LanguageModel) -> set[str]:
    """The names of the parameters, each tensor once."""
    return {name for name, _ in model.named_parameters()}


def _write(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS, {"format": "pt"})


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CallError("R0908", f"{path} is missing")
    return json.loads(path.read_text(encoding="utf-8"))


def convert(source: Path | str, out: Path | str, to: str | None = None) -> str:
    """What `recurrence convert` does: a published checkpoint into ours, or, with `to`, ours into a published format.

    The published config is kept beside our weights, and comes back with them.
    Returns one line that says what was written. Raises CallError, with a report, for a checkpoint that does not fit.
    """
    source = Path(source)
    if to is None:
        model = model_from(source)
        save(model, out)
        shutil.copyfile(source / CONFIG, Path(out) / CONFIG)
    else:
        model = open_model(source)
        config = _read_json(source / CONFIG) if (source / CONFIG).is_file() else None
        save_as(model, out, to, config)
    count = sum(parameter.numel() for parameter in model.parameters())
    return f"{Path(out) / WEIGHTS}: {count:,} parameters, {'our own names' if to is None else to}"
