"""Which of our tensors each tensor of a published checkpoint holds: read from the TOML files in `specs/weights`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from ..check.report import nearest
from ..diagnostics import CallError
from ..resources import specs


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of theirs, made of several of ours.

    Ours are first flattened where `merge` says so (dimensions `merge` and `merge + 1` become one), then concatenated
    along `dim`, or stacked there when `stack`, and get `ones` leading dimensions of size 1. `{layer}` in a name stands
    for each layer's index.
    """

    theirs: str
    ours: tuple[str, ...]
    dim: int = 0
    stack: bool = False
    merge: int | None = None
    ones: int = 0

    def at(self, layer: int, their_prefix: str = "", our_prefix: str = "") -> Entry:
        """The entry of one layer."""
        put = str(layer)
        theirs = (their_prefix + self.theirs).replace("{layer}", put)
        ours = tuple((our_prefix + name).replace("{layer}", put) for name in self.ours)
        return replace(self, theirs=theirs, ours=ours)


@dataclass(frozen=True, slots=True)
class Format:
    """A published checkpoint format: its tensors, and what its config says of sizes.

    `config` gives a `LanguageModel`'s arguments as arithmetic on the entries of their `config.json`, or as
    `shape:NAME:DIM` for a size that only a tensor shows; `fixed` gives arguments that are always the same; `require`
    lists entries that must have one value, since the spec says so.
    """

    name: str
    spec: str
    about: str
    model_type: str
    prefix: str
    model: tuple[Entry, ...]
    layer: tuple[Entry, ...]
    config: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    require: Mapping[str, Any] = field(default_factory=dict)

    def layer_entries(self) -> tuple[Entry, ...]:
        """The tensors of one layer by itself, without prefixes."""
        return self.layer

    def model_entries(self, layers: int) -> tuple[Entry, ...]:
        """The tensors of a whole model."""
        whole = [entry for entry in self.model if "{layer}" not in entry.theirs]
        for index in range(layers):
            whole += [entry.at(index) for entry in self.model if "{layer}" in entry.theirs]
            whole += [entry.at(index, self.prefix, "blocks.{layer}.layer.") for entry in self.layer]
        return tuple(whole)


def formats() -> tuple[str, ...]:
    """The names of the known formats."""
    return tuple(sorted(path.stem for path in (specs() / "weights").glob("*.toml")))


@cache
def read_format(name: str) -> Format:
    """A format by name. Raises CallError for an unknown one."""
    path = specs() / "weights" / f"{name}.toml"
    if name not in formats():
        close = nearest(name, formats())
        advice = f"did you mean `{close}`?" if close else f"the formats are {', '.join(formats())}"
        raise CallError("R0906", f"unknown checkpoint format `{name}`", advice)
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return Format(
        name,
        table["spec"],
        table["about"],
        table.get("model_type", ""),
        table.get("prefix", ""),
        _entries(table.get("model", {})),
        _entries(table["layer"]),
        table.get("config", {}),
        table.get("fixed", {}),
        table.get("require", {}),
    )


def format_of(config: Mapping[str, Any]) -> Format:
    """The format whose model type a `config.json` names. Raises CallError where there is none."""
    kind = config.get("model_type", "")
    for name in formats():
        if (found := read_format(name)).model_type == kind and kind:
            return found
    raise CallError(
        "R0906", f"no checkpoint format has the model type `{kind}`", f"the formats are {', '.join(formats())}"
    )


def _entries(table: Mapping[str, Any]) -> tuple[Entry, ...]:
    return tuple(_entry(theirs, value) for theirs, value in table.items())


def _entry(theirs: str, value: Any) -> Entry:
    match value:
        case str():
            return Entry(theirs, (value,))
        case list():
            return Entry(theirs, tuple(value))
        case _:
            ours = value["ours"]
            names = (ours,) if isinstance(ours, str) else tuple(ours)
            return Entry(
                theirs, names, value.get("dim", 0), value.get("stack", False), value.get("merge"), value.get("ones", 0)
            )
