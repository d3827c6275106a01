"""What the README and the docs show is run: Python, specs, commands with their output, and links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import recurrence_dsl as rd
from recurrence_dsl.cli import app
from tests.docs.blocks import ROOT, Block, blocks, documents


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("RECURRENCE_QUIET", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.parametrize("path", [p for p in documents() if "```python" in p.read_text()], ids=lambda p: p.name)
def test_python_runs(path):
    """The blocks of one document, in order, in one namespace."""
    namespace: dict[str, object] = {}
    for block in blocks("python"):
        if block.path == path:
            exec(compile("\n" * (block.line - 1) + block.text, str(path), "exec"), namespace)


@pytest.mark.parametrize("block", blocks("spec"), ids=str)
def test_specs_load(block):
    assert rd.load(block.text).outputs


def test_the_readme_begins_with_the_shipped_spec():
    shown = next(b for b in blocks("spec") if b.path.name == "README.md").text
    assert (ROOT / "specs/gla.spec").read_text().startswith(shown)


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_commands_print_what_is_shown(block, request):
    """`$ recurrence ..` and its output; `make golden` writes the output anew."""
    commands = re.findall(r"^\$ recurrence (.*)$", block.text, re.MULTILINE)
    assert commands
    now = "".join(f"$ recurrence {command}\n{_output(command)}" for command in commands)
    if request.config.getoption("--update-golden"):
        _rewrite(block, now)
    else:
        assert now == block.text


def _output(command: str) -> str:
    result = CliRunner().invoke(app, shlex.split(command), prog_name="recurrence")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return "".join(f"{line.rstrip()}\n" for line in result.output.splitlines())


def _rewrite(block: Block, text: str) -> None:
    old = block.path.read_text(encoding="utf-8")
    block.path.write_text(old.replace(f"```console\n{block.text}```", f"```console\n{text}```"), encoding="utf-8")


@pytest.mark.parametrize("path", [*documents(), ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("https://", "mailto:")):
            file, _, anchor = target.partition("#")
            page = path.parent / file if file else path
            assert page.exists(), f"{target} is not there"
            assert not anchor or anchor in _anchors(page), f"{target} has no such heading"


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
