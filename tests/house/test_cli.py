"""The command line: what people see, and that a mistake never shows a traceback."""

import json
import shlex
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner, Result

import recurrence_dsl as rd
from recurrence_dsl.cli import Stage, app
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.testing.finding import Property
from recurrence_dsl.testing.measure import Error
from recurrence_dsl.tools import check as recurrence_check

GOOD = """mixer running
dim    K
input  q, k : [K]
const  rate = 0.5
state  S : [K] = rate * S[t-1] + k
output o = sum[K](q * S)
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "good.spec").write_text(GOOD)
    return tmp_path


def recurrence(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(app, arguments, prog_name="recurrence")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result


def test_help_names_every_command():
    text = recurrence("--help").stdout
    for command in ("explain", "compile", "train", "list"):
        assert command in text


def test_without_a_command_it_prints_help():
    assert "Usage: recurrence" in recurrence(status=2).output


@pytest.mark.parametrize("path", shipped_specs(), ids=lambda p: p.stem)
def test_explain_says_what_was_found(path):
    text = recurrence("explain", path.stem).stdout
    for part in (path.stem, "class", "form", "FLOPs", "backward"):
        assert part in text


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_prints(stage):
    expected = {
        Stage.PARSE: "state S : [K] = rate * S[t-1] + k",
        Stage.CHECK: "# [B, T, H, K]",
        Stage.LIFT: "read1_S = sum[K](q * S)",
        Stage.DERIVE: "state:S = %",
        Stage.SCHEDULE: "64 tokens at a time",
        Stage.EMIT: "import torch",
        Stage.INTERPRETER: "\n  S ",
    }
    assert expected[stage] in recurrence("explain", "good.spec", "--stage", stage.value).stdout


def test_sizes_and_consts_can_be_set():
    lifted = ("explain", "good.spec", "--stage", "lift", "--set", "rate=0.25")
    assert "decay      0.25" in recurrence(*lifted).stdout
    small, large = (recurrence("explain", "good.spec", "--set", f"K={k}").stdout for k in (8, 16))
    assert "K = 8" in small
    assert small != large


def test_latex():
    text = recurrence("explain", "gla", "--latex").stdout
    assert text.startswith(r"\begin{align*}")
    assert r"\alpha \, {S}_{t-1}" in text


def test_explain_a_code():
    assert "R0201" in recurrence("explain", "r0201").stdout
    assert "there is no code" in recurrence("explain", "R9999", status=1).stderr


def test_list_has_every_shipped_spec():
    text = recurrence("list").stdout
    for path in shipped_specs():
        assert f"\n{path.stem} " in text


def test_compile_writes_a_file_that_needs_torch_alone(in_a_folder):
    written = recurrence("compile", "good.spec", "-o", "made", "--set", "K=4", "--heads", "2").stdout.strip()
    assert written == "made/running.py"
    program = (
        "import sys, importlib.util\n"
        "sys.modules['recurrence_dsl'] = None\n"
        "found = importlib.util.spec_from_file_location('running', 'made/running.py')\n"
        "module = importlib.util.module_from_spec(found); found.loader.exec_module(module)\n"
        "print(module.INPUTS[0][0])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=in_a_folder, capture_output=True, text=True, check=True)
    assert run.stdout == "q\n"


def test_train_learns_and_draws(in_a_folder):
    sizes = ("--d-model", "16", "--layers", "1", "--heads", "2", "--length", "32", "--batch", "4")
    text = recurrence("train", "--spec", "gla", "--steps", "3", "--out", "run", *sizes).stdout
    assert "held-out loss" in text
    assert (in_a_folder / "run/loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("explain", "retnat"), 1, "did you mean `retnet`?"),
        (("explain", "nowhere/x.spec"), 1, "there is no file nowhere/x.spec"),
        (("explain", "."), 1, "is a folder"),
        (("explain", "good.spec", "--stage", "nonsense"), 2, "nonsense"),
        (("explain", "good.spec", "--set", "K"), 2, "NAME=VALUE"),
        (("explain", "good.spec", "--set", "K=many"), 2, "must be a number"),
        (("explain", "good.spec", "--set", "W=3"), 1, "no dim or const `W`"),
        (("explain", "good.spec", "--set", "K=0"), 1, "at least 1"),
        (("compile", "good.spec", "-o", "made"), 1, "no size for dim `K`"),
        (("compile", "good.spec", "-o", "good.spec", "--set", "K=4"), 1, "is not a folder"),
        (("train", "--spec", "good.spec"), 1, "no layer block"),
        (("unknown",), 2, "No such command"),
    ],
)
def test_mistakes_get_a_message(arguments, status, message):
    result = recurrence(*arguments, status=status)
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_a_wrong_spec_gets_its_diagnostics(in_a_folder):
    (in_a_folder / "bad.spec").write_text(GOOD.replace("rate *", "rat *").replace("q * S", "q * T"))
    text = recurrence("explain", "bad.spec", status=1).stderr
    assert "bad.spec:5:" in text
    assert "did you mean `rate`?" in text
    assert "unknown name `T`" in text


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00binary\x00", b"mixer", b"\0" * 100, "mixer λ\n".encode()])
def test_a_file_that_is_no_spec(in_a_folder, content):
    (in_a_folder / "odd.spec").write_bytes(content)
    assert "error" in recurrence("explain", "odd.spec", status=1).stderr


def test_a_file_that_may_not_be_read(in_a_folder, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.read_text", refuse)
    assert "good.spec cannot be read: Permission denied" in recurrence("explain", "good.spec", status=1).stderr


def test_a_bug_is_not_hidden(monkeypatch):
    monkeypatch.setattr("recurrence_dsl.pipeline.load", lambda path: 1 / 0)
    assert isinstance(CliRunner().invoke(app, ["explain", "gla"]).exception, ZeroDivisionError)


def test_an_interrupt_is_quiet(monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("recurrence_dsl.pipeline.load", interrupted)
    result = CliRunner().invoke(app, ["explain", "gla"])
    assert result.exit_code == 130
    assert "Traceback" not in result.output


def test_the_module_runs_as_a_program():
    run = subprocess.run([sys.executable, "-m", "recurrence_dsl", "list"], capture_output=True, text=True, check=True)
    assert "gla" in run.stdout


def test_looking_for_help_does_not_load_torch():
    program = "import sys, recurrence_dsl.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert torch.__version__


def test_warnings_are_shown(in_a_folder):
    growing = GOOD.replace("const  rate = 0.5", "input  rate").replace("input  q, k : [K]", "input  q, k, idle : [K]")
    (in_a_folder / "growing.spec").write_text(growing)
    text = recurrence("explain", "growing.spec").stdout
    assert "warning[R0222]: the input `idle` is never used" in text
    assert "warning[R0302]: the coefficient of `S[t-1]` cannot be proven <= 1" in text
    assert "warning[R0222]" in recurrence("compile", "growing.spec", "-o", "made", "--set", "K=4").stderr


def test_a_spec_explains_itself_as_the_command_line_does():
    text = recurrence("explain", "gla", "--set", "K=16", "--heads", "2").stdout
    assert rd.load("gla").explain(heads=2, K=16) + "\n" == text


def test_check_attacks_and_reports(in_a_folder):
    attack = ("check", "good.spec", "--examples", "2", "--dtype", "float32", "--property", "step")
    result = recurrence(*attack, "--json", "report.json")
    assert "holds" in result.stdout
    assert "every property holds" in result.stdout
    report = json.loads((in_a_folder / "report.json").read_text())
    assert report["passed"] is True
    assert [row["name"] for row in report["rows"]] == ["step"]


def test_check_fails_with_a_case_that_can_be_run_again(monkeypatch):
    def broken(spec, case):
        return Error("output:o", 1.0, 100.0 if case.length > 2 else 0.0)

    monkeypatch.setattr("recurrence_dsl.tools.check.PROPERTIES", (Property("broken", "nothing is broken", broken),))
    monkeypatch.setattr("recurrence_dsl.tools.check.select", lambda names: recurrence_check.PROPERTIES)
    text = recurrence("check", "good.spec", "--examples", "20", status=1).stdout
    assert "1 of 1 properties fail" in text
    assert "from recurrence_dsl.testing import" in text
    command = next(line for line in text.splitlines() if line.startswith("recurrence check"))
    again = recurrence(*shlex.split(command)[1:], status=1).stdout
    assert again.startswith("broken: fails; output:o: worst error 1, 100 times the tolerance")
    assert '"length": 3' in command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--property", "nonsense"), "there is no property `nonsense`"),
        (("--dtype", "float31"), "there is no dtype `float31`"),
        (("--case", "{"), "paste the case"),
        (("--case", '{"colour": 1}'), "paste the case"),
    ],
)
def test_wrong_choices_of_a_check(arguments, message):
    assert message in " ".join(recurrence("check", "good.spec", *arguments, status=1).stderr.split())


def test_the_stages_of_the_triton_back_end_print():
    triton = ("explain", "good.spec", "--backend", "triton", "--stage")
    assert "forward: fused (forward)" in recurrence(*triton, "schedule").stdout
    assert "@triton.jit" in recurrence(*triton, "emit").stdout


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    for name in [m for m in sys.modules if m in ("recurrence_dsl.tools.check", "recurrence_dsl.testing.attack")]:
        monkeypatch.delitem(sys.modules, name)
    assert 'pip install "recurrence-dsl[testing]"' in recurrence("check", "good.spec", status=1).stderr
