"""Environment variables are read in one place, and documented there and in docs/options.md."""

import re
from pathlib import Path

import pytest

from recurrence_dsl import options
from recurrence_dsl.diagnostics import CallError

ROOT = Path(__file__).parents[2]


def test_the_docs_list_every_variable_with_its_meaning():
    rows = dict(
        re.findall(r"^\| `([A-Z_]+)` \| (\S.* \| .*) \|$", (ROOT / "docs/options.md").read_text(), re.MULTILINE)
    )
    assert rows == {v.name: f"{v.default} | {v.meaning}" for v in options.VARIABLES}


def test_no_other_module_reads_the_environment():
    readers = {
        path.name
        for path in (ROOT / "recurrence_dsl").rglob("*.py")
        if re.search(r"\benviron\b|\bgetenv\b", path.read_text())
    }
    assert readers == {"options.py"}


@pytest.mark.parametrize(("text", "value"), [("1", True), ("yes", True), ("OFF", False), ("0", False), ("", False)])
def test_flags(monkeypatch, text, value):
    monkeypatch.setenv("RECURRENCE_DEBUG", text)
    assert options.DEBUG.flag() is value


def test_a_flag_that_is_neither_on_nor_off(monkeypatch):
    monkeypatch.setenv("RECURRENCE_DEBUG", "maybe")
    with pytest.raises(CallError, match="RECURRENCE_DEBUG='maybe' is neither on nor off"):
        options.DEBUG.flag()


def test_the_cache_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("RECURRENCE_CACHE_DIR", str(tmp_path))
    assert options.cache_dir() == tmp_path
    monkeypatch.delenv("RECURRENCE_CACHE_DIR")
    assert options.cache_dir().name == "recurrence_dsl"
