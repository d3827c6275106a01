"""Error values: what is wrong, where, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .source import NOWHERE, Source, Span


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Label:
    """A span of the source with the words to print beside it."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `code` is listed, with a failing example and an explanation, in `codes.py`."""

    code: str
    message: str
    primary: Label = field(default_factory=lambda: Label(NOWHERE))
    secondary: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    severity: Severity = Severity.ERROR
    source: Source | None = None


class SpecError(Exception):
    """A spec that cannot be compiled; `.diagnostics` holds every finding, and the message shows them all."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        self.diagnostics = diagnostics
        super().__init__(diagnostics)

    def __str__(self) -> str:
        from .rendering import render_all

        return render_all(self.diagnostics)


class CallError(ValueError):
    """A compiled mixer was called, or a spec compiled, with arguments that do not fit; coded like a diagnostic."""

    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        self.code = code
        super().__init__(f"error[{code}]: {message}" + (f"\n  = help: {help}" if help else ""))
