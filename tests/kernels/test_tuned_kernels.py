"""The tuner on real kernels: they prove themselves on a small problem, liars among them are found out, results last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import recurrence_dsl as rd
from recurrence_dsl.cli import app
from recurrence_dsl.diagnostics import CallError
from recurrence_dsl.runtime.tuning import store, tuner

from .compare import Case, random_inputs

CASE = Case("retnet", length=18, batch=1, heads=1, sizes={"K": 4, "V": 4})
CHANGES = {"forward": ({"num_warps": 8}, {"num_stages": 2}), "finish": ({"num_warps": 8},)}


@pytest.fixture
def lines(monkeypatch, tmp_path: Path) -> list[str]:
    """The tuner at work on a CPU, with a clock that finds more warps and more stages faster; what it says."""
    said: list[str] = []
    monkeypatch.setenv("RECURRENCE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("RECURRENCE_QUIET", "0")
    monkeypatch.setenv("RECURRENCE_TUNE", "1")
    monkeypatch.setattr(tuner, "alternatives", lambda *_: CHANGES)
    monkeypatch.setattr(tuner, "_failed", {})
    monkeypatch.setattr(tuner, "TUNER", tuner.Tuner(wanted=lambda x: True, bench=Clocked, say=said.append))
    return said


class Clocked(tuner.CallBench):
    """Real kernels and made-up times."""

    def seconds(self, choice: str) -> float:
        return 3.0 - ("fused" in choice) - 0.5 * ("num_warps=8" in choice) - 0.7 * ("num_stages=2" in choice)


def made() -> tuple[Any, dict[str, Tensor]]:
    """A mixer with kernels of its own: nothing is left in their tables from the test before."""
    mixer = rd.compile(CASE.spec, heads=1, K=4, V=4, backend="triton", chunk_size=16)
    mixer.kernels.TUNED.clear()
    mixer.kernels.PREFERRED.clear()
    return mixer, random_inputs(mixer.spec, CASE)


def tampered(monkeypatch, module: Any, where: str, change: Callable[[Tensor], Tensor]) -> None:
    """The forward kernels give something else for choices that contain `where`."""
    honest = module._run_op

    def run(inputs, params, state, cu, heads, plan, keep):
        first, *others = honest(inputs, params, state, cu, heads, plan, keep)
        return [change(first) if where in plan else first, *others]

    monkeypatch.setattr(module, "_run_op", run)


def test_honest_kernels_are_chosen_by_their_time_and_remembered(lines) -> None:
    mixer, inputs = made()
    mixer(**inputs)
    (key,) = mixer.kernels.TUNED
    assert mixer.kernels.TUNED[key] == "fused forward.num_stages=2"
    assert key.startswith("FORWARD float32 heads=1 sequences<=1 tokens<=32 on cpu, triton ")
    assert len(lines) == 1
    assert "measuring kernels for FORWARD" in lines[0]
    assert store.known(mixer.kernels.NAME) == {key: "fused forward.num_stages=2"}
    mixer(**{n: x[:, :17] for n, x in inputs.items()})  # another length of the same bucket
    assert len(mixer.kernels.TUNED) == len(lines) == 1


def test_a_backward_pass_is_proven_too(lines) -> None:
    mixer, inputs = made()
    mixer(**{n: x.requires_grad_() for n, x in inputs.items()}).sum().backward()
    assert sorted(key.split()[0] for key in mixer.kernels.TUNED) == ["BACKWARD", "FORWARD"]
    assert not [line for line in lines if "dropped" in line]


def unsteady() -> Callable[[Tensor], Tensor]:
    g = torch.Generator().manual_seed(0)
    return lambda o: o + 1e-7 * torch.randn(o.shape, generator=g)


def broken(_: Tensor) -> Tensor:
    raise RuntimeError("out of resource: shared memory, Required: 262144")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda o: 1.01 * o, "`output o` is off by"),
        (
            lambda o: torch.where(torch.arange(o.shape[1]).view(1, -1, 1, 1) == 16, torch.nan, o),
            "`output o: not finite`",
        ),
        (unsteady(), "two runs differ in `output o`"),
        (broken, "RuntimeError: out of resource: shared memory, Required: 262144"),
    ],
    ids=["wrong", "unwritten", "unsteady", "failing"],
)
def test_a_dishonest_candidate_is_dropped_with_one_line(lines, monkeypatch, change, complaint: str) -> None:
    mixer, inputs = made()
    tampered(monkeypatch, mixer.kernels, "num_stages=2", change)
    mixer(**inputs)
    assert list(mixer.kernels.TUNED.values()) == ["fused forward.num_warps=8"]
    dropped = [line for line in lines if "dropped" in line]
    assert len(dropped) == 1
    assert dropped[0].startswith("recurrence_dsl: retnet: dropped fused forward.num_stages=2: ")
    assert complaint in dropped[0]


def test_where_every_kernel_is_wrong_none_is_used(lines, monkeypatch) -> None:
    mixer, inputs = made()
    tampered(monkeypatch, mixer.kernels, "", lambda o: 2 * o)
    for _ in range(2):
        with pytest.raises(CallError, match=r"R0411.*no kernel of `retnet` gives the reference's result"):
            mixer(**inputs)
    assert len([line for line in lines if "measuring" in line]) == 1
    assert not store.known(mixer.kernels.NAME)


def test_where_every_kernel_is_wrong_auto_turns_to_torch_and_says_so(lines, monkeypatch, capsys) -> None:
    mixer, inputs = made()
    wanted = mixer.kernels_of("torch").run(inputs, {}, mixer.initial_state(1))[0]["o"]
    tampered(monkeypatch, mixer.kernels, "", lambda o: 2 * o)
    mixer.choices = replace(mixer.choices, fallback=True)
    assert torch.equal(mixer(**inputs), wanted)
    assert "back end torch from here on: error[R0411]" in capsys.readouterr().err
    said = len(lines)
    assert torch.equal(mixer(**inputs), wanted)
    assert len(lines) == said


def test_a_trace_follows_what_was_measured_for_its_sizes(lines) -> None:
    mixer, inputs = made()
    module, tensors = mixer.kernels, list(inputs.values())
    traced = lambda keep: module._settled("FORWARD", "fused traced", tensors, None, 1, keep)  # noqa: E731
    assert traced(keep=False) == "fused"
    module.TUNED[module.tuning_key("FORWARD", tensors, None, 1)] = "split finish.num_warps=8"
    assert traced(keep=False) == "split finish.num_warps=8"
    assert module._settled("FORWARD", "fused", tensors, None, 1) == "fused"


def test_nothing_is_measured_where_tuning_is_off_or_a_trace_is_made(lines, monkeypatch) -> None:
    mixer, inputs = made()
    monkeypatch.setenv("RECURRENCE_TUNE", "0")
    mixer(**inputs)
    assert list(mixer.kernels.TUNED.values()) == ["fused"]
    mixer.kernels.TUNED.clear()
    monkeypatch.delenv("RECURRENCE_TUNE")
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert mixer(**inputs).isfinite().all()
    assert not mixer.kernels.TUNED
    assert not lines


def test_a_shipped_choice_is_used_and_one_that_does_not_fit_is_not(lines, monkeypatch, tmp_path: Path) -> None:
    mixer, inputs = made()
    module = mixer.kernels
    key = module.tuning_key("FORWARD", list(inputs.values()), None, 1)
    store.write(
        tmp_path / "shipped.json", {module.NAME: {key: "split finish.num_warps=8", "FORWARD x": "split finish.z=1"}}
    )
    monkeypatch.setenv("RECURRENCE_TUNED", str(tmp_path / "shipped.json"))
    mixer._kernels.clear()
    mixer(**inputs)
    found = mixer.kernels.TUNED
    assert found == dict.fromkeys([key], "split finish.num_warps=8")
    assert not lines


def test_a_packed_row_has_a_key_of_its_own(lines) -> None:
    mixer, inputs = made()
    mixer(**inputs, cu_seqlens=torch.tensor([0, 3, 3, 18]))
    (key,) = mixer.kernels.TUNED
    assert "sequences<=4 tokens<=32 packed" in key
    assert not [line for line in lines if "dropped" in line]


def test_the_command_measures_and_writes_a_file_to_be_shipped(lines, tmp_path: Path) -> None:
    shape = ["--heads", "1", "--set", "K=4", "--set", "V=4", "--batch", "1", "--length", "70", "--dtype", "float32"]
    result = CliRunner().invoke(app, ["tune", CASE.spec, *shape, "--json", str(tmp_path / "shipped.json")])
    assert result.exit_code == 0, result.output
    (found,) = store.read(tmp_path / "shipped.json").values()
    assert {key.split()[0]: choice.split()[0] for key, choice in found.items()} == {
        "FORWARD": "fused",
        "BACKWARD": "fused",
    }
    assert "tokens<=128 on cpu" in result.output
