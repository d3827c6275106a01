"""Every environment variable that the project reads. docs/options.md is checked against this table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .diagnostics import CallError

_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable: its name, what stands in for it when it is unset, and what it does."""

    name: str
    default: str
    meaning: str

    def text(self) -> str:
        """The value set now, or the default; an empty value counts as unset."""
        return os.environ.get(self.name) or self.default

    def flag(self) -> bool:
        """The value as a truth value. Raises `CallError` for anything but 1/0, true/false, yes/no, on/off."""
        text = self.text().strip().lower()
        if text not in _FLAGS:
            raise CallError("R0901", f"{self.name}={self.text()!r} is neither on nor off", "set it to 1 or 0")
        return _FLAGS[text]


CACHE_DIR = Variable(
    "RECURRENCE_CACHE_DIR",
    "the user's cache folder",
    "folder of the generated sources and tuning results",
)
DEBUG = Variable(
    "RECURRENCE_DEBUG",
    "0",
    "1: every stage verifies its result; a call checks its inputs' promised ranges, and `cu_seqlens` on any device",
)
QUIET = Variable(
    "RECURRENCE_QUIET",
    "0",
    '1: `"auto"` does not say which back end and form it chose',
)
TRITON_INTERPRET = Variable(
    "TRITON_INTERPRET",
    "0",
    "Triton's own. 1: its kernels run in Python on the CPU's tensors, slowly",
)

TUNE = Variable(
    "RECURRENCE_TUNE",
    "1",
    "1: kernels are measured once for each kind and size of call on a GPU, the fastest are kept; 0: the plan's rule",
)
TUNED = Variable(
    "RECURRENCE_TUNED",
    "none",
    "JSON files with tuning results, written by `recurrence tune`; several are separated as in `PATH`",
)

VARIABLES = (CACHE_DIR, DEBUG, QUIET, TRITON_INTERPRET, TUNE, TUNED)


def cache_dir() -> Path:
    """Where generated sources are kept; not created here."""
    if CACHE_DIR.text() != CACHE_DIR.default:
        return Path(CACHE_DIR.text()).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("recurrence_dsl")
