"""The shipped specs at a glance."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..check import load_text
from ..maths.lift import lift
from ..resources import shipped_specs
from .transition import transition_class


def print_catalogue() -> None:
    """One row a shipped spec: name, transition classes of its states, first sentence of its docstring."""
    table = Table(box=None, pad_edge=False)
    for heading in ("spec", "class", "what it is"):
        table.add_column(heading, overflow="fold")
    for path in shipped_specs():
        table.add_row(*summary(path))
    Console().print(table)


def summary(path: Path) -> tuple[str, str, str]:
    """Name, class and first sentence of a shipped spec."""
    spec = load_text(path.read_text(encoding="utf-8"), str(path))
    recurrence, findings = lift(spec)
    if recurrence is None:
        raise AssertionError(f"{path.name} is shipped and does not lift: {findings}")
    classes = dict.fromkeys(transition_class(form) for form in recurrence.states)
    return spec.name, ", ".join(classes), first_sentence(spec.doc)


def first_sentence(doc: str) -> str:
    """A docstring up to its first full stop at the end of a word, in one line."""
    return " ".join(doc.split()).split(". ")[0].rstrip(".")
