"""`make help` is the Makefile's table of contents."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_help_lists_every_target():
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    listed = re.findall(r"^  make (\S+) +\S", make("help"), re.MULTILINE)
    assert len(targets) > 5
    assert listed == targets


def test_help_is_what_make_alone_prints():
    assert make() == make("help")


@pytest.mark.parametrize("target", ["demo", "test", "lint", "format", "types", "golden", "bench", "wheel"])
def test_targets_set_up_what_they_need(target, tmp_path):
    planned = make("--dry-run", f"VENV={tmp_path}/venv", target)
    assert planned.index("-m venv") < planned.index("pip install") < planned.rindex(f"{tmp_path}/venv/bin/")


def test_torch_is_the_cpu_build_where_no_gpu_is(tmp_path):
    (tmp_path / "uname").write_text("#!/bin/sh\necho Linux\n")
    (tmp_path / "uname").chmod(0o755)
    for tool in ("bash", "sed", "getconf", "make", "sh"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    command = ["make", "--dry-run", f"VENV={tmp_path}/venv", "setup"]
    without = subprocess.run(command, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert re.search(r"torch==[\d.]+\+cpu", without.stdout)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    with_gpu = subprocess.run(
        command, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert "torch==" in with_gpu.stdout
    assert "+cpu" not in with_gpu.stdout
