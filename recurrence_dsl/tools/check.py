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
from ..testing.backends import dtypes_for, resolved
from ..testing.case import Case
from ..testing.finding import Finding, Property
from ..testing.properties import PROPERTIES
from ..testing.report import Report, Row, Verdict, case_from_text, replay_command, replay_snippet

_COLOURS = {Verdict.HOLDS: "green", Verdict.FAILS: "bold red", Verdict.SKIPPED: "dim"}


def attack_from(
    backend: str, dtypes: Sequence[str], examples: int, seed: int, deep: bool, properties: Sequence[str]
) -> Attack:
    """The attack that the command line's options ask for. Raises CallError for an unknown property."""
    return Attack(
        examples=examples,
        seed=seed,
        dtypes=tuple(dtypes),
        backend=backend,
        seconds=DEEP_SECONDS if deep else None,
        properties=_properties(properties),
    )


def run_check(spec: Spec, file: str, attack: Attack, json: Path | None = None) -> bool:
    """Attacks a spec's compiled mixer, prints the table and what failed, and says whether everything held."""
    if json is not None:
        json.touch()  # a path that cannot be written is told before the attack, not after it
    report = _with_progress(spec, file, attack.ready(spec))
    console = Console(emoji=False)
    console.print(_table(report))
    for failure in report.failures:
        console.print(_failure_text(report, failure), markup=False, highlight=False, soft_wrap=True)
    console.print(_summary(report))
    if json is not None:
        json.write_text(report.json() + "\n", encoding="utf-8")
    return report.passed


def run_case(spec: Spec, properties: Sequence[str], case_text: str) -> bool:
    """Runs properties on one case, as a failed check prints it. Raises CallError for a text that is no case."""
    try:
        case = case_from_text(case_text)
    except ValueError as error:
        raise CallError("R0909", f"--case: {error}", "paste the case as a failed check printed it") from None
    _fits(spec, case)
    findings = [replay(spec, prop, case) for prop in _properties(properties) if prop.applies(spec)]
    for finding in findings:
        verdict = "holds" if finding.holds else "fails"
        print(f"{finding.name}: {verdict}; {_error_text(finding.units, finding.absolute, finding.where)}")
    return all(finding.holds for finding in findings)


def _fits(spec: Spec, case: Case) -> None:
    """Raises CallError for a case of another spec, or one that cannot run here."""
    dims, given = [dim.name for dim in spec.dims], [name for name, _ in case.sizes]
    if sorted(dims) != sorted(given):
        wanted, found = (", ".join(names) or "none" for names in (dims, given))
        raise CallError("R0909", f"--case: sizes of {found}", f"`{spec.name}` has the axes {wanted}")
    dtypes_for(resolved(case.backend), (case.dtype,))


def _properties(names: Sequence[str]) -> tuple[Property, ...]:
    known = tuple(p.name for p in PROPERTIES)
    for name in names:
        if name not in known:
            raise CallError("R0909", f"there is no property `{name}`", f"it is one of: {'; '.join(known)}")
    return select(names)


def _with_progress(spec: Spec, file: str, attack: Attack) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(attack.properties))
        names = [p.name for p in attack.properties]

        def step(name: str, tried: int, done: float) -> None:
            bar.update(task, description=f"{name}: case {tried}", completed=names.index(name) + round(done, 2))

        return check(spec, attack, path=file, progress=step)


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("property", "cases", "worst / tolerance", "worst", "verdict"):
        table.add_column(heading, justify="left" if heading in ("property", "verdict") else "right", no_wrap=True)
    for row in report.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    colour = _COLOURS[row.verdict]
    verdict = f"[{colour}]{row.verdict.value}[/{colour}]"
    if row.verdict is Verdict.SKIPPED:
        return escape(row.name), "", "", "", verdict
    return escape(row.name), str(row.cases), f"{row.units:.2g}", f"{row.absolute:.1e}", verdict


def _failure_text(report: Report, failure: Finding) -> str:
    says = next(row.says for row in report.rows if row.name == failure.name)
    error = _error_text(failure.units, failure.absolute, failure.where)
    commands = ("or", "", replay_command(report.path, failure), "") if not report.text else ()
    return "\n".join(
        (
            f"\n{failure.name} fails: {says}.",
            f"Minimal case: {error}.",
            "",
            replay_snippet(report.path, failure, report.text),
            "",
            *commands,
        )
    )


def _error_text(units: float, absolute: float, where: str) -> str:
    return f"{where or 'nothing'}: worst error {absolute:.3g}, {units:.3g} times the tolerance"


def _summary(report: Report) -> str:
    cases = sum(row.cases for row in report.rows)
    failed = len(report.failures)
    told = f"{failed} of {len(report.rows)} properties fail" if failed else "every property holds"
    how = f"back end {report.backend}, seed {report.seed}, {report.seconds:.0f} s"
    return f"{report.spec}: {told}; {cases:,} cases, {how}"
