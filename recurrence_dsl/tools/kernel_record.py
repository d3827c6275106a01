"""What kernels were found to need before, so that only those are compiled that have changed since.

A file holds an entry a line, by what the kernel is called in the report: its figures, and the digest of all that
determines them. An entry whose digest is another one now is not read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..diagnostics import CallError
from .kernel_jobs import Job
from .known_faults import label
from .resources import Resources

_LABEL = re.compile(r"(?P<spec>\w+) \((?P<sizes>[^()]*)\), (?P<kernel>\w+) on (?P<target>\w+)")
_WORDS = {
    "warps": "warps",
    "registers": "registers",
    "spilled": "spilled bytes",
    "shared": "bytes of shared memory",
    "products": "matrix instructions",
    "missed": "products of matrices without any",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What a kernel was found to need when it had this digest."""

    digest: str
    found: Resources

    @property
    def figures(self) -> dict[str, Any]:
        """What compiling found: all fields but those of which the kernel's label is made."""
        return {f.name: getattr(self.found, f.name) for f in fields(Resources) if f.name not in _LABEL.groupindex}


Record = Mapping[str, Entry]


def read_record(path: Path | None) -> Record:
    """The file's entries; none without a file, or with one that is yet to be made. Raises CallError for a file that
    cannot be read, and for one in a folder that is not there."""
    if path is None or (path.parent.is_dir() and not path.exists()):
        return {}
    try:
        return {name: _entry(name, row) for name, row in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as fault:
        way_out = "correct the file, or delete it: then every kernel is compiled, and it is made again"
        raise CallError("R0407", f"{path} records no kernels: {fault}", way_out) from None


def _entry(name: str, row: Mapping[str, Any]) -> Entry:
    place = _LABEL.fullmatch(name)
    if place is None:
        raise ValueError(f"{name!r} names no kernel")
    figures = {k: v for k, v in row.items() if k != "digest"}
    return Entry(row["digest"], Resources(**place.groupdict(), **figures))


def write_record(path: Path, record: Record) -> None:
    """Writes the file, which is there whole at every time. Raises CallError where that fails."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(_text(record))
        os.replace(part, path)
    except OSError as fault:
        raise CallError("R0407", f"the record {path} cannot be written: {fault}", "name a file that can be") from None


def _text(record: Record) -> str:
    rows = ((json.dumps(name), json.dumps({"digest": e.digest, **e.figures})) for name, e in sorted(record.items()))
    return "{\n" + ",\n".join(f"{name}: {row}" for name, row in rows) + "\n}\n"


def recorded(job: Job, record: Record) -> Resources | None:
    """What a kernel needs according to the record; None if it must be compiled to know."""
    entry = record.get(label(job))
    return entry.found if entry and entry.digest == job.digest else None


def with_found(record: Record, found: Mapping[Job, Resources]) -> Record:
    """The record with what was found now in place of what was found before."""
    return {**record, **{label(job): Entry(job.digest, r) for job, r in found.items()}}


def without_others(record: Record, found: Iterable[Resources]) -> Record:
    """The record without kernels that there are no more: those of the same specs, sizes and targets that are not
    among all that were found."""
    found = tuple(found)
    names, covered = {label(r) for r in found}, {_family(r) for r in found}
    return {name: e for name, e in record.items() if name in names or _family(e.found) not in covered}


def _family(r: Resources) -> tuple[str, str, str]:
    return r.spec, r.sizes, r.target


def compiled_again(jobs: Iterable[Job], record: Record, count: int) -> frozenset[Job]:
    """So many of the jobs whose result is recorded: others as soon as anything in the record changes, else the same.

    Those that are not compiled within the limits are not among them, since each takes minutes.
    """
    whole = _hash(_text(record))

    def lot(job: Job) -> str:
        return _hash(f"{job.digest} {whole}")

    read = ((job, recorded(job, record)) for job in jobs)
    return frozenset(sorted((job for job, r in read if r and r.compiled), key=lot)[:count])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def differences(record: Record, again: Iterable[Job], found: Mapping[Job, Resources]) -> list[str]:
    """A line for each kernel that was compiled again and needs something else than is recorded."""
    pairs = ((recorded(job, record), found[job]) for job in again)
    return sorted(f"{label(now)}: recorded with {_changes(then, now)}" for then, now in pairs if then and then != now)


def _changes(then: Resources, now: Resources) -> str:
    if not now.compiled:
        return f"{then.registers} registers, now not compiled within the limits"
    pairs = ((k, getattr(then, k), getattr(now, k)) for k in (*_WORDS, "changed"))
    return "; ".join(_change(k, old, new) for k, old, new in pairs if old != new)


def _change(figure: str, old: object, new: object) -> str:
    if figure == "changed":
        return f"{old or 'nothing'} changed, now {new or 'nothing'}"
    return f"{old} {_WORDS[figure]}, now {new}"


__all__ = [
    "Record",
    "compiled_again",
    "differences",
    "read_record",
    "recorded",
    "with_found",
    "without_others",
    "write_record",
]
