"""Measured choices on disk: one JSON file for each emitted module in the cache, and files that were shipped.

    {"recurrence_dsl": "tuning 1", "kernels": {NAME: {KEY: "split finish.num_warps=8", ..}, ..}}

NAME is the emitted module's, which a digest of its text ends: a measurement never outlives the kernels that it is of.
KEY is the module's `tuning_key`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...diagnostics import CallError
from ...options import TUNED, cache_dir

FORMAT = "tuning 1"
Found = dict[str, str]


def folder() -> Path:
    """Where measurements are kept; not created here."""
    return cache_dir() / "tuning"


def known(name: str) -> Found:
    """What is known of a module's kernels: the shipped files', then the cache's, which was measured here.

    Raises CallError where a shipped file cannot be read.
    """
    found: Found = {}
    shipped = "" if TUNED.text() == TUNED.default else TUNED.text()
    for path in filter(None, shipped.split(os.pathsep)):
        found |= read(Path(path).expanduser()).get(name, {})
    own = folder() / f"{name}.json"
    try:
        return found | (read(own).get(name, {}) if own.is_file() else {})
    except CallError:  # half a file of an earlier crash is measured again
        return found


def read(path: Path) -> dict[str, Found]:
    """Every module's choices in a file. Raises CallError where it is none of ours."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kernels = content["kernels"]
        fits = content["recurrence_dsl"] == FORMAT and all(
            isinstance(choice, str) for found in kernels.values() for choice in found.values()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        fits, kernels = False, {}
    if not fits:
        raise CallError(
            "R0910", f"{path} holds no tuning results", "write one with `recurrence tune`, or unset the path"
        )
    return kernels


def remember(name: str, key: str, choice: str) -> None:
    """Adds one measurement to the cache; a cache that cannot be written is left alone."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        path = folder() / f"{name}.json"
        write(path, {name: {**_own(path).get(name, {}), key: choice}})
    except OSError:
        return


def _own(path: Path) -> dict[str, Found]:
    try:
        return read(path)
    except CallError:
        return {}


def write(path: Path, kernels: Mapping[str, Mapping[str, str]]) -> None:
    """Writes a file that appears whole or not at all."""
    text = json.dumps({"recurrence_dsl": FORMAT, "kernels": kernels}, indent=1, sort_keys=True) + "\n"
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as part:
        part.write(text)
    os.replace(part.name, path)


def save(path: str | Path, names: Iterable[str] | None = None) -> Path:
    """Writes everything measured on this machine (or for the modules named) into one file, to be shipped."""
    target, found = Path(path), dict[str, Found]()
    for file in sorted(folder().glob("*.json")) if folder().is_dir() else ():
        found |= _own(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    write(target, found if names is None else {n: found[n] for n in names if n in found})
    return target
