"""Ast -> Spec: the checked mixer, and one call from a text to it."""

from ..diagnostics import SpecError
from ..source import Source
from ..syntax import parse
from .checker import check
from .spec import Spec

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
    return spec
