"""Plants faults in the compiler and shows that `check` catches each: `python -m tests.mutation`."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from rich.console import Console
from rich.table import Table

from recurrence_dsl import pipeline
from recurrence_dsl.program.ops import Program
from recurrence_dsl.runtime.choices import has_gpu
from recurrence_dsl.testing import subject
from recurrence_dsl.testing.attack import Attack, first_failure
from recurrence_dsl.testing.finding import Finding
from tests.mutation.faults import FAULTS
from tests.mutation.rewrites import Fault, NoPlace, Stage

_UNIQUE = re.compile(r'^NAME = "(\w+)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trial:
    """A planted fault and the finding that gave it away, if any."""

    fault: Fault
    caught: Finding | None


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """Inside, every newly compiled mixer has the fault."""
    target, wrapper = {
        Stage.FORWARD: ("chunk_program", _program_wrapper),
        Stage.BACKWARD: ("adjoint", _program_wrapper),
        Stage.STEP: ("step_program", _program_wrapper),
        Stage.SOURCE: ("torch_source", _source_wrapper),
        Stage.KERNEL: ("triton_source", _source_wrapper),
    }[fault.stage]
    subject.forget()
    try:
        with mock.patch.object(pipeline, target, wrapper(fault, getattr(pipeline, target))):
            yield
    finally:
        subject.forget()


def attempt(fault: Fault, attack: Attack) -> Trial:
    """Attack the fault's spec with the fault in place; one in a kernel on the triton back end."""
    spec = pipeline.load(fault.spec)
    if fault.stage is Stage.KERNEL:
        attack = replace(attack, backend="triton")
    with planted(fault):
        return Trial(fault, first_failure(spec, attack))


def table(trials: Sequence[Trial]) -> Table:
    """Each fault, and which property caught it on which case."""
    shown = Table(title="planted faults")
    for heading in ("fault", "spec", "stage", "caught by", "error, tolerances"):
        shown.add_column(heading)
    for trial in trials:
        caught = trial.caught
        verdict = ("[bold red]not caught", "") if caught is None else (caught.name, f"{caught.units:.3g}")
        shown.add_row(trial.fault.name, trial.fault.spec, trial.fault.stage.value, *verdict)
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=12, help="cases a property")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", default="", help="only faults whose name contains this")
    chosen = parser.parse_args()
    attack, trials, console = Attack(examples=chosen.examples, seed=chosen.seed), list[Trial](), Console()
    faults = [fault for fault in FAULTS if chosen.fault in fault.name]
    if not has_gpu():
        os.environ["TRITON_INTERPRET"] = "1"  # read when triton is first imported, by the first kernel
    with console.status("planting faults") as status:
        for fault in faults:
            status.update(f"{len(trials) + 1} of {len(faults)}: {fault.name}")
            trials.append(attempt(fault, attack))
    console.print(table(trials))
    missed = [trial for trial in trials if trial.caught is None]
    console.print(f"{len(trials) - len(missed)} of {len(trials)} faults caught")
    return 1 if missed else 0


def _program_wrapper(fault: Fault, original: Callable[..., Any]) -> Callable[..., Any]:
    """Of the backward programs only a chunk's has the fault; a step's has other terms."""

    def wrapped(*args: Any, **options: Any) -> Program:
        program = original(*args, **options)
        spared = fault.stage is Stage.BACKWARD and "chunk" not in program.name
        return program if spared else _where_it_fits(fault.in_program, program)

    return wrapped


def _source_wrapper(fault: Fault, original: Callable[..., Any]) -> Callable[..., Any]:
    """The faulty text under a name of its own: an operation's name is never registered twice with different code."""

    def wrapped(*args: Any, **options: Any) -> str:
        before = original(*args, **options)
        after, label = _where_it_fits(fault.in_source, before), re.sub(r"\W", "_", fault.name)
        return after if after == before else _UNIQUE.sub(rf'NAME = "\1_{label}"', after)

    return wrapped


def _where_it_fits(plant: Callable[[Any], Any], before: Any) -> Any:
    """With the fault; as it was where this size's variant has no place for it. `test_faults` sees that others have."""
    try:
        return plant(before)
    except NoPlace:
        return before


if __name__ == "__main__":
    raise SystemExit(main())
