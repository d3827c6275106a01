"""What `recurrence explain` prints: the summary of a spec, one stage's result, or a code's meaning."""

from __future__ import annotations

from pathlib import Path

from ..check.spec import Spec


def load(path: Path) -> Spec:
    """The checked spec of a file. Raises `SpecError`."""
    from ..pipeline import load as load_spec

    return load_spec(path)
