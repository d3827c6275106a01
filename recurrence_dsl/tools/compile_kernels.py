"""Writes the kernels of specs and compiles them side by side, except for those whose result is recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from .kernel_jobs import Job, jobs_of
from .kernel_record import (
    Record,
    compiled_again,
    differences,
    read_record,
    recorded,
    with_found,
    without_others,
    write_record,
)
from .known_faults import label
from .resources import Resources, written

Case = tuple[str, Mapping[str, float]]
"""A file, and sizes and consts for it."""
Step = Callable[[str, int, int], None]
"""Called with what was done, and how many steps are done of how many that are known."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Every kernel of every case on every target, in that order; how many of them were read from the record, and a line
    for each that turned out to be another than it says."""

    found: tuple[Resources, ...]
    read: int = 0
    differences: tuple[str, ...] = ()


def compiled_all(
    cases: Sequence[Case],
    targets: Sequence[str],
    dtype: str,
    jobs: int,
    step: Step,
    path: Path | None = None,
    again: int = 0,
    only_taken: bool = False,
) -> Outcome:
    """What all kernels need, or those taken unmeasured, by `jobs` processes. With the path of a record only those are
    compiled whose result is not in it, and so many others, `again`; then it is brought up to date."""
    record = read_record(path)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            work = _all_written(pool, cases, targets, dtype, only_taken, step)
            repeated = compiled_again(work, record, again)
            due = [job for job in work if job in repeated or recorded(job, record) is None]
            fresh = _all_compiled(pool, due, record, path, _after(step, len(cases), len(due)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    found = tuple(r for job in work if (r := fresh.get(job) or recorded(job, record)))
    if path is not None:
        write_record(path, without_others(with_found(record, fresh), found))
    return Outcome(found, len(work) - len(due), tuple(differences(record, repeated, fresh)))


def _all_written(
    pool: ProcessPoolExecutor,
    cases: Sequence[Case],
    targets: Sequence[str],
    dtype: str,
    only_taken: bool,
    step: Step,
) -> list[Job]:
    """A job for each kernel and target, in the report's order."""
    writing = [pool.submit(_write, *case, targets, dtype, only_taken) for case in cases]
    places = dict(zip(writing, cases, strict=True))
    for done, future in enumerate(as_completed(writing), 1):
        future.result()
        step(f"{places[future][0]}: written", done, len(cases))
    return [job for future in writing for job in future.result()]


def _write(
    file: str, settings: Mapping[str, float], targets: Sequence[str], dtype: str, only_taken: bool
) -> tuple[Job, ...]:
    from ..pipeline import load

    return jobs_of(written(load(file), settings), targets, dtype, only_taken)


def _after(step: Step, done: int, more: int) -> Callable[[str, int], None]:
    """Tells of some more steps after those that are done."""
    return lambda what, k: step(what, done + k, done + more)


def _all_compiled(
    pool: ProcessPoolExecutor, due: Collection[Job], record: Record, path: Path | None, step: Callable[[str, int], None]
) -> dict[Job, Resources]:
    """What the jobs that are due find. The record is written after each, so that none is lost when the rest is
    interrupted."""
    compiling: dict[Future[Resources], Job] = {pool.submit(job.measured): job for job in due}
    found: dict[Job, Resources] = {}
    for future in as_completed(compiling):
        job = compiling[future]
        found[job] = future.result()
        step(label(job), len(found))
        if path is not None:
            write_record(path, with_found(record, found))
    return found


__all__ = ["Case", "Outcome", "Step", "compiled_all"]
