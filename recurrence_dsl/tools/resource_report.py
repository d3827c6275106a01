"""`recurrence resources`: says what the kernels of specs need, and what must not be."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..diagnostics import CallError
from .compile_kernels import Case, Outcome, compiled_all
from .known_faults import Known, faults_of, label, read_known
from .resources import TARGETS, Resources, check_targets
from .settings import with_usual_sizes

SIZES = (64, 128)
"""Sizes of an axis for which neither the spec nor the caller has one."""
DTYPES = ("bfloat16", "float16", "float32")
WIDTH = 120
"""Of the table where there is no terminal, so that nothing is cut."""


def run_resources(
    files: Sequence[str],
    targets: Sequence[str],
    sizes: Sequence[int],
    settings: Mapping[str, float],
    dtype: str,
    jobs: int | None,
    as_json: bool,
    known_faults: Path | None = None,
    record: Path | None = None,
    again: int = 0,
    only_taken: bool = False,
) -> bool:
    """Prints all kernels, or those taken unmeasured, as a table or as JSON, and every fault (beside JSON on stderr);
    says whether there is none but the known ones of a file. Kernels whose result is recorded are not compiled, but for
    so many, `again`."""
    known = read_known(known_faults)
    wanted = tuple(targets) or TARGETS
    check_targets(wanted)
    if dtype not in DTYPES:
        raise CallError("R0407", f"dtype={dtype!r} is nothing that kernels take", ", ".join(DTYPES))
    if again and record is None:
        raise CallError("R0407", f"without a record, no kernels can be compiled again (again={again})", "name its file")
    cases = _cases(files, sizes or SIZES, settings)
    outcome = _with_progress(cases, wanted, dtype, jobs or os.cpu_count() or 1, record, again, only_taken)
    faults = [*faults_of(outcome.found, known), *outcome.differences]
    if as_json:
        print(json.dumps([asdict(r) for r in outcome.found], indent=1))
    else:
        _print(_table(outcome.found))
    for text in (*faults, _summary(outcome, len(faults), known)):
        print(text, file=sys.stderr if as_json else sys.stdout)
    return not faults


def _summary(outcome: Outcome, faults: int, known: Known) -> str:
    kernels, listed = len(outcome.found), sum(label(r) in known for r in outcome.found)
    how = f", {kernels - outcome.read:,} compiled and {outcome.read:,} as recorded" if outcome.read else ""
    return f"{kernels:,} kernels{how}: {faults or 'no'} faults" + (f" beside {listed} known ones" if listed else "")


def _cases(files: Sequence[str], sizes: Sequence[int], settings: Mapping[str, float]) -> list[Case]:
    """Every file with every size, once where sizes make no difference. Raises what loading a file does."""
    from ..pipeline import load

    found: list[Case] = []
    for file in files:
        spec = load(file)
        for size in sizes:
            case = file, with_usual_sizes(spec, settings, size)
            if case not in found:
                found.append(case)
    return found


def _with_progress(
    cases: Sequence[Case],
    targets: Sequence[str],
    dtype: str,
    jobs: int,
    record: Path | None,
    again: int,
    only_taken: bool,
) -> Outcome:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(cases))

        def step(what: str, done: int, known: int) -> None:
            bar.update(task, description=what, completed=done, total=known)

        return compiled_all(cases, targets, dtype, jobs, step, record, again, only_taken)


def _print(table: Table) -> None:
    """Where there is no terminal, rows are as wide as they must be."""
    console = Console(emoji=False)
    (console if console.is_terminal else Console(emoji=False, width=WIDTH)).print(table)


def _table(found: Sequence[Resources]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("spec", "sizes", "kernel", "target"):
        table.add_column(heading, no_wrap=True)
    for heading in ("warps", "registers", "spilled", "shared", "matrix instructions"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("changed", no_wrap=True)
    for r in found:
        numbers = (str(n) for n in (r.warps, r.registers, r.spilled, r.shared, r.products))
        table.add_row(r.spec, r.sizes, r.kernel, r.target, *numbers, r.changed, style="bold red" if r.faults else None)
    return table
