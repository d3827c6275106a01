"""Ast -> Spec: the checked mixer, and one call from a text to it."""

from dataclasses import replace

from ..diagnostics import Severity, SpecError
from ..options import DEBUG
from ..source import Source
from ..syntax import parse
from ..syntax.verify import verify_ast
from .checker import check
from .spec import Spec
from .verify import verify_spec

__all__ = ["check", "load_text"]


def load_text(text: str, name: str = "<spec>") -> Spec:
    """The checked spec of a text; `name` is what messages call it.

    Raises SpecError with every finding where the text has an error. Warnings are in the spec's `warnings`.
    """
    tree, findings = parse(Source(text, name))
    if tree is None:
        raise SpecError(findings)
    spec, findings = check(tree)
    if spec is None:
        raise SpecError(findings)
    if DEBUG.flag():
        verify_ast(tree)
        verify_spec(spec)
    return spec if spec.layer is None else _with_checked_layer(spec)


def _with_checked_layer(spec: Spec) -> Spec:
    """The spec with the warnings about its layer block. Raises SpecError for an error in the block."""
    from ..layers.check import check_layer  # torch comes in only where a layer block is

    findings = check_layer(spec)[1]
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise SpecError((*spec.warnings, *findings))
    return replace(spec, warnings=(*spec.warnings, *findings))
