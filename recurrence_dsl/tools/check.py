"""`recurrence check`: the attack with a progress bar, its table, and how to see a failure again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..check.spec import Spec
from ..diagnostics import CallError
from ..testing.attack import DEEP_SECONDS, Attack, check, replay, select
from ..testing.case import DTYPES
from ..testing.finding import Finding, Property
from ..testing.properties import PROPERTIES
from ..testing.report import Report, Row, Verdict, case_from_text, replay_command, replay_snippet

_COLOURS = {Verdict.HOLDS: "green", Verdict.FAILS: "bold red", Verdict.SKIPPED: "dim"}


def attack_from(
    backend: str, dtypes: Sequence[str], examples: int, seed: int, deep: bool, properties: Sequence[str]
) -> Attack:
    """The attack that the command line's options ask for. Raises CallError for an unknown property or dtype."""
    for dtype in dtypes:
        _known("dtype", dtype, tuple(DTYPES))
    return Attack(
        examples=examples,
        seed=seed,
        dtypes=tuple(dtypes) or tuple(DTYPES),
        backend=backend,
        seconds=DEEP_SECONDS if deep else None,
        properties=_properties(properties),
    )


def run_check(spec: Spec, file: str, attack: Attack, json: Path | None = None) -> bool:
    """Attacks a spec's compiled mixer, prints the table and what failed, and says whether everything held."""
    report = _with_progress(spec, file, attack)
    console = Console()
    console.print(_table(report))
    for failure in report.failures:
        console.print(_failure_text(report.path, failure), markup=False, highlight=False, soft_wrap=True)
    console.print(_summary(report))
    if json is not None:
        json.write_text(report.json() + "\n", encoding="utf-8")
    return report.passed


def run_case(spec: Spec, properties: Sequence[str], case_text: str) -> bool:
    """Runs properties on one case, as a failed check prints it. Raises CallError for a text that is no case."""
    try:
        case = case_from_text(case_text)
    except ValueError as error:
        raise CallError("R0907", f"--case: {error}", "paste the case as a failed check printed it") from None
    findings = [replay(spec, prop, case) for prop in _properties(properties)]
    for finding in findings:
        verdict = "holds" if finding.holds else "fails"
        print(f"{finding.name}: {verdict}; {_error_text(finding.units, finding.absolute, finding.where)}")
    return all(finding.holds for finding in findings)


def _properties(names: Sequence[str]) -> tuple[Property, ...]:
    for name in names:
        _known("property", name, tuple(p.name for p in PROPERTIES))
    return select(names)


def _known(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise CallError("R0907", f"there is no {what} `{name}`", f"it is one of: {', '.join(known)}")


def _with_progress(spec: Spec, file: str, attack: Attack) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(attack.properties))
        names = [p.name for p in attack.properties]

        def step(name: str, tried: int, planned: int) -> None:
            done = names.index(name) + (0.0 if attack.seconds is not None else min(tried / planned, 1.0))
            bar.update(task, description=f"{name}: case {tried}", completed=round(done, 2))

        return check(spec, attack, path=file, progress=step)


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("property", "cases", "worst / tolerance", "worst", "verdict"):
        table.add_column(heading, justify="left" if heading in ("property", "verdict") else "right")
    for row in report.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    colour = _COLOURS[row.verdict]
    verdict = f"[{colour}]{row.verdict.value}[/{colour}]"
    if row.verdict is Verdict.SKIPPED:
        return escape(row.says), "", "", "", verdict
    return escape(row.says), str(row.cases), f"{row.units:.2g}", f"{row.absolute:.1e}", verdict


def _failure_text(path: str, failure: Finding) -> str:
    return "\n".join(
        (
            f"\n{failure.name} fails on {_error_text(failure.units, failure.absolute, failure.where)}",
            "",
            replay_snippet(path, failure),
            "",
            "or",
            "",
            replay_command(path, failure),
            "",
        )
    )


def _error_text(units: float, absolute: float, where: str) -> str:
    return f"{where or 'nothing'}: worst error {absolute:.3g}, {units:.3g} times the tolerance"


def _summary(report: Report) -> str:
    cases = sum(row.cases for row in report.rows)
    failed = len(report.failures)
    told = f"{failed} of {len(report.rows)} properties fail" if failed else "every property holds"
    return f"{report.spec}: {told}; {cases:,} cases, seed {report.seed}, {report.seconds:.0f} s"
