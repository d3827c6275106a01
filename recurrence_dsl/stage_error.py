"""The error of a stage whose result does not hold together: a fault of the compiler, never of its user."""

from __future__ import annotations


class StageError(AssertionError):
    """`stage` is parse, check, lift, derive, schedule or emit; `what` is what is wrong with its result."""

    def __init__(self, stage: str, what: str) -> None:
        super().__init__(f"{stage}: {what}")
        self.stage, self.what = stage, what


def require(condition: object, stage: str, what: str) -> None:
    """Raises `StageError` unless the condition holds."""
    if not condition:
        raise StageError(stage, what)
