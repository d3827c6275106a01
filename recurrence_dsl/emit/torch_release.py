"""Frees what nothing needs any more as soon as that is so: the next result is then written where the cache is warm."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ASSIGNED = re.compile(r"^(\w+) = ")
_WORD = re.compile(r"[A-Za-z_]\w*")


def released(lines: Sequence[str], results: Sequence[str]) -> list[str]:
    """The statements, each followed by a `del` of what it used for the last time; `results` are still to be read."""
    own = {m[1] for line in lines if (m := _ASSIGNED.match(line))}
    words = [set(_WORD.findall(line.split("#")[0])) & own for line in lines]
    later = {w for line in results for w in _WORD.findall(line)}
    found: list[list[str]] = []
    for line, names in zip(reversed(lines), reversed(words), strict=True):
        gone = sorted(names - later)
        later |= names
        found.append([line, f"del {', '.join(gone)}"] if gone else [line])
    if found:
        found[0] = found[0][:1]  # nothing follows
    return [line for pair in reversed(found) for line in pair]
