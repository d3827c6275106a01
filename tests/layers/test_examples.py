"""Each example runs, at a small size, and does what it says."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> Any:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested


def test_language_model(capsys: Any) -> None:
    losses = example("language_model").main(steps=12, new_bytes=10)
    assert losses[-1] < losses[0] - 0.5
    assert "def " in capsys.readouterr().out


def test_load_checkpoint() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers, about kernels that are not installed
        assert example("load_checkpoint").main() < 1e-5


def test_new_variant(tmp_path: Path, capsys: Any) -> None:
    report = example("new_variant").main(steps=150, cases=2, out=tmp_path)
    assert report.accuracy > 0.9  # by chance an eighth
    printed = capsys.readouterr().out
    assert "all hold" in printed
    assert "key channel + rank-one" in printed
    assert (tmp_path / "loss.png").is_file()


def test_streaming() -> None:
    memory = example("streaming").main()
    assert len(set(memory)) == 1


def test_testing_a_spec(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "testing_a_spec.py")]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "5 passed" in run.stdout, run.stdout
