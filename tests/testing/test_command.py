"""What a failed `recurrence check` prints can be run, and fails as long as the fault is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recurrence_dsl.cli import app
from recurrence_dsl.resources import find_spec
from recurrence_dsl.testing.report import Report, Row, Verdict, failure_text
from tests.mutation.__main__ import planted
from tests.mutation.faults import FAULTS


def recurrence(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="recurrence")


@pytest.fixture
def a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `my own.spec` in it; the path needs quoting."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    source = find_spec("retnet")
    assert source is not None
    (tmp_path / "my own.spec").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("a_folder")
def test_snippet_and_command_replay_the_minimal_case() -> None:
    fault = next(fault for fault in FAULTS if fault.name == "the block's writes are lost at its end")
    with planted(fault):
        result = recurrence("check", "my own.spec", "--property", "agreement", "--seed", "3")
        assert result.exit_code == 1
        assert re.search(r"^agreement +\d+ +\S+ +\S+ +fails *$", result.stdout, re.MULTILINE)
        snippet, command = _replays(result.stdout)
        with pytest.raises(AssertionError, match="not so for"):
            exec(snippet, {})
        again = recurrence(*shlex.split(command)[1:])
        assert again.exit_code == 1
        assert again.stdout.startswith("agreement: fails; ")
    assert "Case(length=1, sizes=(('K', 1), ('V', 1)))" in snippet
    exec(snippet, {})
    assert recurrence(*shlex.split(command)[1:]).exit_code == 0


def _replays(text: str) -> tuple[str, str]:
    snippet = text[text.index("import recurrence_dsl") : text.index("\nor\n")]
    return snippet, next(line for line in text.splitlines() if line.startswith("recurrence check"))


@pytest.mark.usefixtures("a_folder")
@pytest.mark.parametrize(
    ("case", "message"),
    [
        ('{"sizes": [["K", 2]]}', "`retnet` has the axes K, V"),
        ('{"sizes": [["K", 2], ["V", 2]], "dtype": "float31"}', "there is no dtype `float31`"),
        ('{"sizes": [["K", 2], ["V", 2]], "backend": "cuda"}', "there is no back end `cuda`"),
        ("[]", "paste the case"),
    ],
)
def test_a_case_that_does_not_fit_is_a_coded_error(case: str, message: str) -> None:
    result = recurrence("check", "my own.spec", "--case", case)
    assert result.exit_code == 1
    assert "R0909" in result.stderr
    assert message in " ".join(result.stderr.split())


@pytest.mark.usefixtures("a_folder")
def test_a_report_that_cannot_be_written_is_told_before_the_attack() -> None:
    result = recurrence("check", "my own.spec", "--json", "no/such/folder.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no/such/folder.json" in result.stderr


def test_a_spec_without_a_path_is_replayed_from_its_text() -> None:
    from recurrence_dsl.testing import Case, Finding

    found = Finding("agreement", Case(sizes=(("K", 1),)), 1.0, 2.0, "output:o")
    row = Row("agreement", "they agree", Verdict.FAILS, 1, 2.0, 1.0, "output:o", found)
    shown = failure_text(Report("m", "<spec>", (row,), 0, 1, 0.1, text="mixer m\ninput x\n"))
    assert r"rd.load('mixer m\ninput x\n')" in shown
    assert "recurrence check" not in shown
