"""What kernels are known to spill: a list that may only become shorter.

A file holds the spilled bytes of each such kernel, by what it is called in the report; null stands for a kernel that
is not compiled within the limits. A kernel that is worse than listed is a fault, and so is an entry that is no longer
true. Where spills are no fault, only a kernel that is not compiled has an entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..diagnostics import CallError
from .kernel_jobs import Job
from .resources import NO_SPILLS, Resources

Known = Mapping[str, int | None]


def read_known(path: Path | None) -> Known:
    """The file's entries; none without a file. Raises CallError for a file that cannot be read."""
    if path is None:
        return {}
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as fault:
        raise CallError("R0407", f"{path} lists no kernels: {fault}", 'give a JSON object: {"KERNEL": BYTES}') from None


def label(r: Resources | Job) -> str:
    """What a kernel is called in a list, in a record and in the report."""
    return f"{r.spec} ({r.sizes}), {r.kernel} on {r.target}"


def faults_of(found: Sequence[Resources], known: Known) -> list[str]:
    """A line for each fault that is not listed, and for each entry that what was found here disproves."""
    return [f"{label(r)}: {text}" for r in found for text in (*_others(r, known), *_spills(r, known))]


def _others(r: Resources, known: Known) -> Iterable[str]:
    """Faults that no list excuses."""
    return r.faults if label(r) not in known else r.hard_faults


def _spills(r: Resources, known: Known) -> Iterable[str]:
    key = label(r)
    if key not in known:
        return
    listed, now = known[key], r.spilled if r.compiled else None
    if r.compiled and r.target not in NO_SPILLS:
        yield "compiled, and free to spill there; take the entry out"
    elif now is None and listed is not None:
        yield f"is not compiled any more; listed with {listed} spilled bytes"
    elif now is not None and listed is not None and now > listed:
        yield f"{now} spilled bytes, more than the {listed} listed"
    elif now != listed:
        yield f"better than listed: {now} spilled bytes; " + ("list that" if now else "take the entry out")


__all__ = ["Known", "faults_of", "label", "read_known"]
