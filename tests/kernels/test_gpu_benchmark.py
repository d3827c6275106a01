"""The benchmark for GPUs, run dry: everything but the device, so that the first run on one works."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.__main__ import SHAPES, main
from benchmarks.gpu.rivals import SPECS, rival
from benchmarks.gpu.speed import Device, Shape, subject


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark sets these for its own process: they are put back."""
    for name, value in (("RECURRENCE_TUNE", "0"), ("TRITON_INTERPRET", os.environ.get("TRITON_INTERPRET", "0"))):
        monkeypatch.setenv(name, value)


def test_a_dry_run_writes_the_report_and_the_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry", "--check", "retnet", "--spec", "retnet", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "results.json").read_text())
    plans = [a["plan"].split("/") for a in found["agreement"]]
    assert {"fused", "split"} <= {forward for forward, _ in plans}
    assert {"fused", "split"} <= {backward for _, backward in plans}
    assert all(a["repeats"] and 0 < a["values"] <= 1 and 0 < a["gradients"] <= 1 for a in found["agreement"])
    assert [t["direction"] for t in found["timings"]] == ["forward", "forward+backward"]
    for t in found["timings"]:
        ms = t["milliseconds"]
        assert 0 < ms["low"] <= ms["median"] <= ms["high"]
        assert t["model_bytes"] >= t["least_bytes"] > 0
        assert t["share_of_copy"] > 0
    assert found["failures"] == []
    assert {"device", "driver", "torch", "triton", "commit", "fla-core"} <= found["about"].keys()
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
    assert "milliseconds" in capsys.readouterr().out


def test_what_goes_wrong_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    given = ["--dry", "--check", "no_such_spec", "--check", "retnet", "--no-speed", "--out", str(tmp_path)]
    assert main(given) == 1
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["failures"][0].startswith("checking no_such_spec in float32: CallError: error[R0906]")
    assert {a["spec"] for a in found["agreement"]} == {"retnet"}


def test_without_a_gpu_the_benchmark_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert main(["--out", str(tmp_path)]) == 1
    assert "--dry" in capsys.readouterr().out


@pytest.mark.parametrize("spec", SPECS)
def test_a_rival_takes_what_it_is_given(spec: str) -> None:
    """Names and layouts of a rival's arguments; its kernels need a device."""
    mixer, inputs = subject(spec, Shape(2, 20, 2, 4), Device("cpu", torch.float32, 0.0, 1.0))
    found = rival(spec, inputs, dict(mixer.named_parameters()))
    if found is None:
        pytest.skip("not installed")
    inspect.signature(found.function).bind(**found.tensors, **found.others)
    for name, x in found.tensors.items():
        assert x.isfinite().all(), name
        assert x.shape[:3] == (2, 20, 2) or x.shape[0] == 2, name


def test_the_shapes_are_those_of_the_published_figures() -> None:
    assert {k: b * t for k, (b, t, _, _) in SHAPES.items()} == {"S128": 32_768, "S64": 32_768, "small": 8_192}
