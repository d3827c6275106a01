"""What each message's code means: one Markdown file a code beside this module.

A file holds a title, an example that fails with the code (a `spec`, or `python` for mistakes in calls; none where that
takes an unusual machine), the explanation, and perhaps the example mended. To add a code, add its file.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..diagnostics import CallError

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A code's title, an example that fails with it and its language, and the example mended; empty where missing."""

    code: str
    title: str
    language: str
    example: str
    mended: str
    text: str


def codes() -> tuple[str, ...]:
    """All codes, sorted."""
    names = (path.name for path in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".md") for name in names if name.endswith(".md")))


@cache
def entry(code: str) -> Entry:
    """A code's entry. Raises CallError (R0902) for an unknown code."""
    if code not in codes():
        near = difflib.get_close_matches(code, codes(), n=1)
        raise CallError("R0902", f"there is no code `{code}`", f"did you mean `{near[0]}`?" if near else None)
    text = files(__name__).joinpath(f"{code}.md").read_text(encoding="utf-8")
    blocks = _BLOCK.findall(text)
    language, example = blocks[0] if blocks else ("", "")
    title = text.partition("\n")[0].removeprefix("# ")
    return Entry(code, title, language, example, blocks[1][1] if len(blocks) > 1 else "", text)


def explanation(code: str) -> str:
    """What a code means, with a failing example, as Markdown. Raises CallError (R0902) for an unknown code."""
    found = entry(code)
    return f"# {code}: {found.text.removeprefix('# ')}"
