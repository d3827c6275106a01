"""Small specs of unusual kinds, in `unusual/*.txt`: each with the form that every state of it must get."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from recurrence_dsl.check import load_text
from recurrence_dsl.check.spec import Spec

FOLDER = Path(__file__).parent / "unusual"


@dataclass(frozen=True, slots=True)
class Unusual:
    """A spec's text, with what its comments say: `form` has a word (matrix, scan, step) for each state in the order of
    declaration, `class` is that of the first state, `why` is part of the last state's reason."""

    text: str

    @property
    def name(self) -> str:
        return self.text.split()[1]

    @property
    def spec(self) -> Spec:
        return load_text(self.text)

    def expects(self, what: str) -> str:
        """What the comment `# what: ..` says; empty where there is none."""
        found = re.search(rf"^# {what}: (.*)$", self.text, re.MULTILINE)
        return found[1] if found else ""


EVERY = tuple(
    Unusual(text) for path in sorted(FOLDER.glob("*.txt")) for text in re.split(r"\n(?=mixer )", path.read_text())
)
