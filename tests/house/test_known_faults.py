"""A list of kernels that are known to spill may only become shorter, and no compilation goes on for ever."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recurrence_dsl.cli import app
from recurrence_dsl.diagnostics import CallError
from recurrence_dsl.tools import resource_report
from recurrence_dsl.tools.compile_kernels import Outcome
from recurrence_dsl.tools.known_faults import faults_of, label, read_known
from recurrence_dsl.tools.limited import OverLimit, limited
from recurrence_dsl.tools.resources import Resources

FINE = Resources("x", "K=64", "forward", "sm_90", 4, 128, 0, 1024, 8, 0)
SPILLS = replace(FINE, spilled=24)
GIVEN_UP = replace(FINE, compiled=False)
NAME = "x (K=64), forward on sm_90"


@pytest.mark.parametrize(
    ("found", "listed", "fault"),
    [
        (FINE, {}, None),
        (SPILLS, {NAME: 24}, None),
        (GIVEN_UP, {NAME: None}, None),
        (SPILLS, {}, "24 bytes of each thread's registers are spilled"),
        (SPILLS, {NAME: 16}, "24 spilled bytes, more than the 16 listed"),
        (SPILLS, {NAME: 32}, "better than listed: 24 spilled bytes; list that"),
        (SPILLS, {NAME: None}, "better than listed: 24 spilled bytes; list that"),
        (FINE, {NAME: 8}, "better than listed: 0 spilled bytes; take the entry out"),
        (FINE, {NAME: None}, "better than listed: 0 spilled bytes; take the entry out"),
        (GIVEN_UP, {}, "not compiled within"),
        (GIVEN_UP, {NAME: 24}, "is not compiled any more; listed with 24 spilled bytes"),
        (replace(SPILLS, missed=2), {NAME: 24}, "2 products of matrices miss the tensor cores"),
        (replace(SPILLS, shared=300_000), {NAME: 24}, "300000 bytes of shared memory"),
    ],
)
def test_a_kernel_is_held_to_what_is_listed(found: Resources, listed: dict[str, int | None], fault: str | None) -> None:
    assert label(found) == NAME
    lines = faults_of([found], listed)
    assert len(lines) == (0 if fault is None else 1)
    assert fault is None or lines[0].startswith(f"{NAME}: {fault}")


@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
def test_where_spills_are_no_fault_only_what_is_not_compiled_is_listed(target: str) -> None:
    name = f"x (K=64), forward on {target}"
    assert faults_of([replace(GIVEN_UP, target=target)], {name: None}) == []
    for listed in (None, 24):
        lines = faults_of([replace(SPILLS, target=target)], {name: listed})
        assert lines == [f"{name}: compiled, and free to spill there; take the entry out"]


def test_what_was_not_compiled_here_is_not_judged() -> None:
    assert faults_of([FINE], {"x (K=128), forward on sm_90": 24}) == []


@pytest.mark.parametrize(("listed", "status"), [(24, 0), (16, 1)])
def test_the_command_reads_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: int, status: int) -> None:
    monkeypatch.setattr(resource_report, "compiled_all", lambda *_: Outcome((FINE, replace(SPILLS, kernel="carry"))))
    file = tmp_path / "known.json"
    file.write_text(json.dumps({"x (K=64), carry on sm_90": listed}))
    result = CliRunner().invoke(app, ("resources", "gla", "--known", str(file)), prog_name="recurrence")
    assert result.exit_code == status
    assert f"2 kernels: {'no' if not status else 1} faults beside 1 known ones" in result.stdout


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text("kernels")
    with pytest.raises(CallError, match="lists no kernels"):
        read_known(tmp_path / "known.json")


def _double(x: int) -> int:
    return 2 * x


def _fail() -> None:
    raise LookupError("what went wrong")


def _work_on() -> None:
    while True:
        pass


def _hoard() -> int:
    return len(bytearray(1 << 30))


def test_a_result_and_a_mistake_come_back() -> None:
    assert limited(_double, 21) == 42
    with pytest.raises(LookupError, match="what went wrong"):
        limited(_fail)


def test_what_takes_too_much_is_ended() -> None:
    with pytest.raises(OverLimit):
        limited(_work_on, seconds=1)
    with pytest.raises(OverLimit):
        limited(_hoard, size=1 << 29)
