"""Shared by the tests of this folder: texts to trees, specs and findings."""

from __future__ import annotations

from recurrence_dsl.check import check
from recurrence_dsl.check.spec import Spec
from recurrence_dsl.diagnostics import Diagnostic
from recurrence_dsl.source import Source
from recurrence_dsl.syntax import parse

BASE = """\
mixer example
dim    K, V
input  q, k : [K]
input  v : [V]
state  S : [K, V] = S[t-1] + k * v
output o = sum[K](q * S)
"""


def read(text: str) -> tuple[Spec | None, tuple[Diagnostic, ...]]:
    """The checked spec of a text with all findings of the first stage that has any."""
    tree, findings = parse(Source(text))
    return check(tree) if tree is not None else (None, findings)


def spec(text: str) -> Spec:
    found, findings = read(text)
    assert found is not None, [finding.message for finding in findings]
    return found


def codes(text: str) -> list[str]:
    """The codes of all findings, by their place in the text."""
    return [finding.code for finding in read(text)[1]]


def marked(text: str, finding: Diagnostic) -> str:
    """The piece of the text below the primary carets."""
    return text[finding.primary.span.start : finding.primary.span.end]
