"""Checks and times the Triton kernels on a GPU, side by side with what people use today.

    python -m benchmarks.gpu                     # everything; writes out/gpu/results.json and .png
    python -m benchmarks.gpu --spec gla --no-agreement
    python -m benchmarks.gpu --dry               # tiny shapes on a CPU, in Triton's interpreter

No network is needed. fla and mamba-ssm are timed where they can be imported.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

SHAPES = {"S128": (8, 4096, 16, 128), "S64": (8, 4096, 32, 64), "small": (8, 1024, 8, 64)}
DRY_SHAPES = {"dry": (1, 20, 2, 4)}


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spec", action="append", help="time only these (repeat it); default: those with a rival")
    parser.add_argument("--check", action="append", help="check only these specs (repeat it); default: all shipped")
    parser.add_argument("--dtype", action="append", choices=("float32", "bfloat16", "float16"), help="check only these")
    parser.add_argument("--tune", action="store_true", help="measure candidates first: minutes for each spec and shape")
    parser.add_argument("--shape", action="append", choices=list(SHAPES), help="time only these shapes")
    parser.add_argument("--seconds", type=float, default=0.3, help="spent on one median")
    parser.add_argument("--no-agreement", action="store_true", help="time only")
    parser.add_argument("--no-speed", action="store_true", help="check only")
    parser.add_argument("--dry", action="store_true", help="on a CPU, in Triton's interpreter, with tiny shapes")
    parser.add_argument("--out", type=Path, default=Path("out/gpu"), help="folder for results.json and results.png")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Exit status 1 where a kernel is wrong or does not repeat itself."""
    chosen = arguments(sys.argv[1:] if given is None else given)
    if chosen.dry:
        os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported
    os.environ["RECURRENCE_TUNE"] = "1" if chosen.tune else "0"
    from .report import run

    return run(chosen, DRY_SHAPES if chosen.dry else SHAPES)


if __name__ == "__main__":
    sys.exit(main())
