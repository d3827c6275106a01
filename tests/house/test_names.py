"""No stage knows an architecture by name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = r"\b(gla|rwkv\d*|mamba\d*|retnet|hgrn\d*|delta_?net|deltanet|mlstm|xlstm|kda|gsa|griffin|min_?gru|rg_?lru)\b"
SOURCES = sorted(
    p
    for folder in ("recurrence_dsl", "templates")
    for p in (ROOT / folder).rglob("*")
    if p.suffix in (".py", ".j2", ".lark")
)


def test_there_are_sources_to_look_at():
    assert len(SOURCES) > 20


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_architecture_is_named(path):
    found = re.findall(NAMES, path.read_text(encoding="utf-8"), re.IGNORECASE)
    assert found == []
