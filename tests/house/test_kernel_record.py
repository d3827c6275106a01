"""Kernels whose result is recorded are not compiled again, and nothing is read of the record that is no longer true."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import recurrence_dsl as rd
from recurrence_dsl.cli import app
from recurrence_dsl.diagnostics import CallError
from recurrence_dsl.tools import compile_kernels, kernel_jobs
from recurrence_dsl.tools.kernel_jobs import Job, jobs_of
from recurrence_dsl.tools.kernel_record import (
    Record,
    compiled_again,
    read_record,
    recorded,
    with_found,
    without_others,
    write_record,
)
from recurrence_dsl.tools.known_faults import label
from recurrence_dsl.tools.resources import Resources, Written, written

COMMAND = ("resources", "--target", "sm_90", "--size", "64", "--record")
FORWARD = "min_gru (V=64), forward on sm_90"
TARGETS = ("sm_80", "sm_90", "gfx942")


@pytest.fixture(scope="module")
def kernels() -> Written:
    return written(rd.load("min_gru"), {"V": 64})


def found_for(kernels: Written, name: str, target: str, dtype: str = "bfloat16") -> Resources:
    """In place of a compilation."""
    return Resources(kernels.spec, kernels.sizes, name, target, 4, 128, 0, 1024, 8, 0)


class Command:
    """`recurrence resources` with a record, in this process; `compiled` are the kernels that its last run compiled."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.compiled: list[str] = []
        self.found: Callable[..., Resources] = found_for

    def __call__(self, *arguments: str, status: int = 0) -> str:
        self.compiled = []
        result = CliRunner().invoke(app, (*COMMAND, str(self.file), *arguments), prog_name="recurrence")
        assert result.exit_code == status, result.output
        return result.stdout.splitlines()[-1] if status == 0 else result.stdout

    def measured(self, kernels: Written, name: str, target: str, dtype: str) -> Resources:
        self.compiled.append(name)
        return self.found(kernels, name, target, dtype)

    def entries(self) -> dict[str, dict[str, Any]]:
        return json.loads(self.file.read_text())

    def write(self, entries: dict[str, Any]) -> None:
        self.file.write_text(json.dumps(entries))


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernels: Written) -> Command:
    """The command with threads for processes, a count for a compiler, and kernels that are written once."""
    run = Command(tmp_path / "kernels.json")
    monkeypatch.setattr(compile_kernels, "ProcessPoolExecutor", lambda jobs, mp_context: ThreadPoolExecutor(1))
    monkeypatch.setattr(compile_kernels, "written", lambda spec, settings: kernels)
    monkeypatch.setattr(kernel_jobs, "measured_within", run.measured)
    return run


def changed(kernels: Written, old: str, new: str) -> set[str]:
    """The kernels whose digest is another one with `new` in place of `old`."""
    assert old in kernels.text
    other = replace(kernels, text=kernels.text.replace(old, new))
    pairs = zip(jobs_of(kernels, ("sm_90",)), jobs_of(other, ("sm_90",)), strict=True)
    return {job.kernel for job, now in pairs if job.digest != now.digest}


def recorded_all(kernels: Written) -> tuple[tuple[Job, ...], Record]:
    jobs = jobs_of(kernels, ("sm_90",))
    return jobs, with_found({}, {job: job_found(job) for job in jobs})


def job_found(job: Job) -> Resources:
    return found_for(job.kernels, job.kernel, job.target)


def test_a_second_run_compiles_nothing(command: Command, kernels: Written) -> None:
    assert command("min_gru") == f"{len(kernels.names)} kernels: no faults"
    assert sorted(command.compiled) == sorted(kernels.names)
    first = command.file.read_bytes()
    assert (
        command("min_gru")
        == f"{len(kernels.names)} kernels, 0 compiled and {len(kernels.names)} as recorded: no faults"
    )
    assert command.compiled == []
    assert command.file.read_bytes() == first


def test_the_file_has_an_entry_a_line_in_order(command: Command, kernels: Written) -> None:
    command("min_gru")
    lines = command.file.read_text().splitlines()
    assert len(lines) == len(kernels.names) + 2
    assert list(command.entries()) == sorted(f"min_gru (V=64), {name} on sm_90" for name in kernels.names)
    assert set(command.entries()[FORWARD]) == {
        "digest", "warps", "registers", "spilled", "shared", "products", "missed", "changed", "compiled",
    }  # fmt: skip
    assert [p.name for p in command.file.parent.iterdir()] == [command.file.name]


def test_what_is_read_is_reported_as_what_is_compiled(command: Command) -> None:
    compiled = CliRunner().invoke(app, (*COMMAND, str(command.file), "min_gru", "--json"))
    read = CliRunner().invoke(app, (*COMMAND, str(command.file), "min_gru", "--json"))
    assert json.loads(read.stdout) == json.loads(compiled.stdout) != []


def test_only_a_changed_kernel_is_compiled(command: Command, monkeypatch: pytest.MonkeyPatch, kernels: Written) -> None:
    command("min_gru")
    before = command.entries()
    other = replace(kernels, text=kernels.text.replace('"""Outputs and the last states."""', '"""Outputs."""'))
    monkeypatch.setattr(compile_kernels, "written", lambda spec, settings: other)
    assert f", 1 compiled and {len(kernels.names) - 1} as recorded" in command("min_gru")
    assert command.compiled == ["forward"]
    after = command.entries()
    assert {name for name in after if before[name] != after[name]} == {FORWARD}


def test_a_digest_has_all_that_determines_a_kernel(kernels: Written) -> None:
    assert changed(kernels, "\"forward\": {'C': 64", "\"forward\": {'C': 32") == {"forward"}
    assert changed(kernels, "\"forward\": ({'maxnreg': 255}", "\"forward\": ({'maxnreg': 128}") == {"forward"}
    assert changed(kernels, "BLOCK = 64", "BLOCK = 128") == set(kernels.names)
    assert changed(kernels, '"""Two steps S -> a S + w as one."""', '"""As one."""') == set(kernels.names), "a helper"
    low, high = (jobs_of(kernels, TARGETS, dtype) for dtype in ("bfloat16", "float32"))
    assert len({job.digest for job in (*low, *high)}) == 2 * len(TARGETS) * len(kernels.names)


def test_a_kernel_at_another_place_of_the_file_is_the_same(kernels: Written) -> None:
    assert changed(kernels, "\nimport torch\n", "\nimport torch\n\nUNUSED = 1\n\n") == set()
    assert changed(kernels, "def say(line):", "def unused():\n    return\n\n\ndef say(line):") == set()


def test_a_record_of_another_triton_is_not_read(monkeypatch: pytest.MonkeyPatch, kernels: Written) -> None:
    _, record = recorded_all(kernels)
    monkeypatch.setattr("triton.__version__", "1000.0")
    assert not any(recorded(job, record) for job in jobs_of(kernels, ("sm_90",)))


def test_entries_of_kernels_that_are_no_more_go_and_others_stay(command: Command) -> None:
    command("min_gru")
    entries = command.entries()
    stale = "min_gru (V=64), forward_prepared on sm_90"
    others = {
        "min_gru (V=64), forward_prepared on sm_80",
        "min_gru (V=128), forward_prepared on sm_90",
        "gla (K=64, V=64), forward on sm_90",
    }
    command.write({**entries, **dict.fromkeys((stale, *others), entries[FORWARD])})
    command("min_gru")
    assert command.compiled == []
    assert set(command.entries()) == {*entries, *others}


def test_what_is_compiled_again_is_held_to_the_record(command: Command, kernels: Written) -> None:
    command("min_gru")
    entries = command.entries()
    command.write({**entries, FORWARD: {**entries[FORWARD], "spilled": 24, "changed": "num_warps=4"}})
    everything = str(len(kernels.names))
    known = command.file.with_name("known.json")
    known.write_text(json.dumps({FORWARD: 24}))
    assert "no faults beside 1 known ones" in command("min_gru", "--known", str(known)), "what is recorded is believed"
    text = command("min_gru", "--again", everything, status=1)
    assert sorted(command.compiled) == sorted(kernels.names)
    line = f"{FORWARD}: recorded with 24 spilled bytes, now 0; num_warps=4 changed, now nothing"
    assert line in text
    assert text.endswith("kernels: 1 faults\n")
    assert command.entries() == entries, "the record has what was found now"
    assert command("min_gru", "--again", "1").endswith(
        f", 1 compiled and {len(kernels.names) - 1} as recorded: no faults"
    )


def test_a_kernel_that_is_not_compiled_any_more_is_told(command: Command) -> None:
    command("min_gru")
    command.found = lambda *given: replace(found_for(*given), compiled=False)
    assert f"{FORWARD}: recorded with 128 registers, now not compiled" in command("min_gru", "--again", "99", status=1)


def test_an_entry_of_the_list_that_the_record_disproves_is_a_fault(command: Command) -> None:
    command("min_gru")
    known = command.file.with_name("known.json")
    known.write_text(json.dumps({FORWARD: 8}))
    text = command("min_gru", "--known", str(known), status=1)
    assert command.compiled == []
    assert f"{FORWARD}: better than listed: 0 spilled bytes; take the entry out" in text


def test_others_are_compiled_again_when_the_record_changes(kernels: Written) -> None:
    jobs, record = recorded_all(kernels)
    first = compiled_again(jobs, record, 3)
    assert len(first) == 3
    assert compiled_again(tuple(reversed(jobs)), record, 3) == first
    chosen = set(first)
    for registers in range(20):
        other = with_found(record, {jobs[0]: replace(job_found(jobs[0]), registers=registers)})
        chosen |= compiled_again(jobs, other, 3)
    assert chosen == set(jobs)


def test_what_takes_minutes_is_not_compiled_again(kernels: Written) -> None:
    jobs, record = recorded_all(kernels)
    record = with_found(record, {jobs[0]: replace(job_found(jobs[0]), compiled=False)})
    assert compiled_again(jobs, record, len(jobs)) == frozenset(jobs[1:])
    assert compiled_again(jobs, {}, len(jobs)) == frozenset()


def test_an_interrupted_run_keeps_what_it_compiled(command: Command) -> None:
    def interrupted(*given: Any) -> Resources:
        if len(command.compiled) == 4:
            raise KeyboardInterrupt
        return found_for(*given)

    command.found = interrupted
    command("min_gru", status=130)
    assert len(command.entries()) == 3
    command.found = found_for
    assert "and 3 as recorded" in command("min_gru")


def test_a_record_is_read_as_it_was_written(tmp_path: Path, kernels: Written) -> None:
    jobs, record = recorded_all(kernels)
    write_record(tmp_path / "kernels.json", record)
    assert read_record(tmp_path / "kernels.json") == record
    assert [recorded(job, record) for job in jobs] == [job_found(job) for job in jobs]
    assert {label(job) for job in jobs} == set(record)
    assert without_others(record, [job_found(jobs[0])]) == {label(jobs[0]): record[label(jobs[0])]}


@pytest.mark.parametrize(
    "text", ["kernels", "[]", '{"forward": {}}', f'{{"{FORWARD}": {{"warps": 4}}}}', f'{{"{FORWARD}": 4}}']
)
def test_a_record_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "kernels.json").write_text(text)
    with pytest.raises(CallError, match="records no kernels") as refused:
        read_record(tmp_path / "kernels.json")
    assert refused.value.code == "R0407"


def test_a_record_has_a_place_where_it_can_be_made(tmp_path: Path) -> None:
    assert read_record(None) == read_record(tmp_path / "kernels.json") == {}
    with pytest.raises(CallError, match="records no kernels"):
        read_record(tmp_path / "nowhere" / "kernels.json")
    with pytest.raises(CallError, match="cannot be written"):
        write_record(tmp_path / "nowhere" / "kernels.json", {})


def test_nothing_is_compiled_again_without_a_record() -> None:
    result = CliRunner().invoke(app, ("resources", "min_gru", "--again", "2"), prog_name="recurrence")
    assert result.exit_code == 1
    assert "without a record" in " ".join(result.stderr.split())
