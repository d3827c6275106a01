"""What `recurrence check` found: one row a property, and how to see a failure again."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from .case import Case, Gates
from .finding import Finding


class Verdict(Enum):
    HOLDS = "holds"
    FAILS = "fails"
    SKIPPED = "does not apply"


@dataclass(frozen=True, slots=True)
class Row:
    """One property's outcome. `units` and `absolute` are the worst error seen, `where` the tensor that had it."""

    name: str
    says: str
    verdict: Verdict
    cases: int
    units: float
    absolute: float
    where: str
    failure: Finding | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole attack on one spec; `path` is what the caller called it, `text` the spec where it has no path."""

    spec: str
    path: str
    rows: tuple[Row, ...]
    seed: int
    examples: int
    seconds: float
    backend: str = "torch"
    text: str = ""

    @property
    def passed(self) -> bool:
        return all(row.verdict is not Verdict.FAILS for row in self.rows)

    @property
    def failures(self) -> tuple[Finding, ...]:
        return tuple(row.failure for row in self.rows if row.failure is not None)

    def json(self) -> str:
        """Everything, as JSON; infinite errors are the string "inf"."""
        return json.dumps(_plain(asdict(self)) | {"passed": self.passed}, indent=2)


def replay_snippet(path: str, finding: Finding, text: str = "") -> str:
    """Python that raises a failing case's AssertionError again. A spec that has no path is loaded from its text."""
    return "\n".join(
        (
            "import recurrence_dsl as rd",
            "from recurrence_dsl.testing import Case, Gates, assert_holds, property_named",
            "",
            f"spec = rd.load({text or path!r})",
            f"case = {case_source(finding.case)}",
            f"assert_holds(property_named({finding.name!r}), spec, case)",
        )
    )


def replay_command(path: str, finding: Finding) -> str:
    """A command line that runs a failing case again."""
    words = ("recurrence", "check", path, "--property", finding.name, "--case", case_text(finding.case))
    return shlex.join(words)


def case_source(case: Case) -> str:
    """The case as a Python expression, without what has its default."""
    plain = Case()
    changed = {
        name: getattr(case, name) for name in Case.__dataclass_fields__ if getattr(case, name) != getattr(plain, name)
    }
    return f"Case({', '.join(f'{name}={_source(value)}' for name, value in changed.items())})"


def case_text(case: Case) -> str:
    """The case as one line of JSON, without what has its default."""
    plain = asdict(Case())
    return json.dumps({name: _plain(value) for name, value in asdict(case).items() if value != plain[name]})


def case_from_text(text: str) -> Case:
    """The inverse of `case_text`. Raises ValueError for a text that is none."""
    try:
        fields = json.loads(text)
        gates = Gates[fields.pop("gates", "TYPICAL")]
        pairs = {name: tuple((str(k), v) for k, v in fields.pop(name, ())) for name in ("sizes", "consts")}
        return Case(gates=gates, **pairs, **fields)
    except (KeyError, TypeError, AttributeError) as fault:
        raise ValueError(f"not a case: {fault}") from fault


def _source(value: object) -> str:
    return f"Gates.{value.name}" if isinstance(value, Gates) else repr(value)


def _plain(value: Any) -> Any:
    """Enumerations by name, numbers that JSON lacks as strings."""
    match value:
        case Gates():
            return value.name
        case Verdict():
            return value.value
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


def failure_text(report: Report) -> str:
    """Every failure with its case and how to see it again."""
    parts = [
        f"{finding.name}: {finding.where}, {finding.units:.3g} times the tolerance\n"
        f"{replay_snippet(report.path, finding, report.text)}"
        + ("" if report.text else f"\n\n{replay_command(report.path, finding)}")
        for finding in report.failures
    ]
    return f"{report.spec}: {len(parts)} properties do not hold\n\n" + "\n\n".join(parts)
