"""Collects findings, so that no error hides the next one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..diagnostics import Diagnostic, Label, Severity
from ..source import Source, Span

MAX_FINDINGS = 50


@dataclass(slots=True)
class Report:
    """The findings about one source, in the order in which they were made."""

    source: Source
    findings: list[Diagnostic] = field(default_factory=list)

    def error(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        also: Iterable[Label] = (),
        notes: Iterable[str] = (),
        help: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Record a finding; `also` are the secondary labels. Past the limit findings are dropped."""
        if self.is_full:
            return
        finding = Diagnostic(code, message, Label(span, label), tuple(also), tuple(notes), help, severity, self.source)
        self.findings.append(finding)

    @property
    def is_full(self) -> bool:
        """Whether further findings would only repeat that the text is not a spec."""
        return len(self.findings) >= MAX_FINDINGS

    def nearest(self, name: str, candidates: Iterable[str]) -> str | None:
        """`nearest`, while the answer can still be shown."""
        return None if self.is_full else nearest(name, candidates)

    def warning(self, code: str, message: str, span: Span, label: str = "", *, help: str | None = None) -> None:
        self.error(code, message, span, label, help=help, severity=Severity.WARNING)

    @property
    def failed(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """All findings by their place in the text."""
        return tuple(sorted(self.findings, key=lambda finding: (finding.primary.span.start, finding.code)))


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` most likely misspells: the same letters in another case, else the most similar."""
    candidates = tuple(candidates)
    folded = next((candidate for candidate in candidates if candidate.lower() == name.lower()), None)
    if folded is not None:
        return folded
    similar = difflib.get_close_matches(name[:64], candidates, n=1)
    return similar[0] if similar else None
