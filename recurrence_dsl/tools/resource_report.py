"""`recurrence resources`: compiles the kernels of specs side by side, and says what they need and what must not be."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..diagnostics import CallError
from .known_faults import faults_of, label, read_known
from .resources import TARGETS, Resources, Written, check_targets, measured_within, written
from .settings import with_usual_sizes

SIZES = (64, 128)
"""Sizes of an axis for which neither the spec nor the caller has one."""
DTYPES = ("bfloat16", "float16", "float32")
WIDTH = 120
"""Of the table where there is no terminal, so that nothing is cut."""
Step = Callable[[str, int, int], None]
"""Called with what was done, and how many jobs are done of how many that are known."""


def run_resources(
    files: Sequence[str],
    targets: Sequence[str],
    sizes: Sequence[int],
    settings: Mapping[str, float],
    dtype: str,
    jobs: int | None,
    as_json: bool,
    known_faults: Path | None = None,
) -> bool:
    """Prints all kernels, as a table or as JSON, and every fault (beside JSON on stderr); says whether there is
    none but the known ones of a file."""
    known = read_known(known_faults)
    wanted = tuple(targets) or TARGETS
    check_targets(wanted)
    if dtype not in DTYPES:
        raise CallError("R0407", f"dtype={dtype!r} is nothing that kernels take", ", ".join(DTYPES))
    cases = _cases(files, sizes or SIZES, settings)
    found = _with_progress(cases, wanted, dtype, jobs or os.cpu_count() or 1)
    faults = faults_of(found, known)
    if as_json:
        print(json.dumps([asdict(r) for r in found], indent=1))
    else:
        _print(_table(found))
    listed = sum(label(r) in known for r in found)
    beside = f" beside {listed} known ones" if listed else ""
    for text in (*faults, f"{len(found)} kernels: {len(faults) or 'no'} faults{beside}"):
        print(text, file=sys.stderr if as_json else sys.stdout)
    return not faults


Case = tuple[str, Mapping[str, float]]
"""A file, and sizes and consts for it."""


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


def _with_progress(cases: Sequence[Case], targets: Sequence[str], dtype: str, jobs: int) -> list[Resources]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(cases))

        def step(what: str, done: int, known: int) -> None:
            bar.update(task, description=what, completed=done, total=known)

        return compiled_all(cases, targets, dtype, jobs, step)


def compiled_all(cases: Sequence[Case], targets: Sequence[str], dtype: str, jobs: int, step: Step) -> list[Resources]:
    """Every kernel of every case on every target, in that order, compiled by `jobs` processes."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            return _gathered(pool, cases, targets, dtype, step)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _gathered(
    pool: ProcessPoolExecutor, cases: Sequence[Case], targets: Sequence[str], dtype: str, step: Step
) -> list[Resources]:
    writing: dict[Future[Any], int] = {pool.submit(_write, *case): at for at, case in enumerate(cases)}
    compiling: dict[Future[Any], tuple[int, int, int]] = {}
    waiting: set[Future[Any]] = set(writing)
    while waiting:
        finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for f in finished & writing.keys():
            for key, new in _submitted(pool, f.result(), targets, dtype):
                compiling[new] = (writing[f], *key)
                waiting.add(new)
        for f in finished & compiling.keys():
            r = f.result()
            step(
                f"{r.spec} ({r.sizes}) {r.kernel}",
                len(cases) + len(compiling) - len(waiting),
                len(cases) + len(compiling),
            )
    return [f.result() for f in sorted(compiling, key=compiling.__getitem__)]


def _submitted(
    pool: ProcessPoolExecutor, kernels: Written, targets: Sequence[str], dtype: str
) -> Iterable[tuple[tuple[int, int], Future[Resources]]]:
    """A job for each kernel and target, with its place in the report."""
    for k, name in enumerate(kernels.names):
        for t, target in enumerate(targets):
            yield (k, t), pool.submit(measured_within, kernels, name, target, dtype)


def _write(file: str, settings: Mapping[str, float]) -> Written:
    from ..pipeline import load

    return written(load(file), settings)


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
