"""Golden files of every shipped spec: its programs and its torch source, at small sizes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import recurrence_dsl as rd
from recurrence_dsl.pipeline import Compiled, derive, emitted, lifted
from recurrence_dsl.program.lower import Known
from recurrence_dsl.resources import shipped_specs, templates
from recurrence_dsl.tools.program_text import program_text

HEADS = 2
SIZES = {"K": 4, "J": 4, "V": 3, "N": 3, "M": 5}


def compiled(path: Path) -> tuple[Compiled, dict[str, int]]:
    spec = rd.load(path)
    recurrence = lifted(spec)
    sizes = {d.name: SIZES[d.name] for d in spec.dims}
    form = "chunk" if recurrence.chunked else "recurrent"
    return derive(recurrence, Known(sizes, HEADS), form, 8), sizes


def source(path: Path) -> str:
    """As it would be with the spec in the working folder."""
    return emitted(*compiled(path), HEADS).replace(str(path.parent), "specs")


def own_part(text: str) -> str:
    """The source without what it has word for word from the templates, and without its own digest."""
    folder = templates() / "torch"
    for file in sorted(folder.rglob("*.py")):
        text = text.replace(
            file.read_text(encoding="utf-8").rstrip(), f"# (templates/torch/{file.relative_to(folder)})"
        )
    return re.sub(r'(?<=_)[0-9a-f]{16}(?="$)', "0" * 16, text, flags=re.MULTILINE)


every_spec = pytest.mark.parametrize("path", shipped_specs(), ids=lambda p: p.stem)


@every_spec
def test_the_programs(path: Path, golden: Callable[[str, str], None]) -> None:
    programs = compiled(path)[0].programs
    parts = (("forward", programs.body), ("backward", programs.backward), ("step", programs.step))
    text = "\n\n".join(program_text(program, name) for name, program in parts)
    golden(f"derive/{path.stem}.txt", text + "\n")


@every_spec
def test_the_torch_source(path: Path, golden: Callable[[str, str], None]) -> None:
    golden(f"torch/{path.stem}.py.txt", own_part(source(path)))


def test_the_source_does_not_depend_on_the_process() -> None:
    """Byte for byte, with another seed of Python's hashes."""
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", "from tests.program.test_golden import digests; digests()"],
        capture_output=True,
        check=True,
        cwd=root,
        env={**os.environ, "PYTHONHASHSEED": "271828", "PYTHONPATH": str(root)},
        text=True,
    )
    assert json.loads(run.stdout) == {p.stem: digest(p) for p in shipped_specs()}


def digest(path: Path) -> str:
    return hashlib.sha256(source(path).encode()).hexdigest()


def digests() -> None:
    """Prints a digest of every spec's source."""
    print(json.dumps({p.stem: digest(p) for p in shipped_specs()}))
