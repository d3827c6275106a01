"""Runs the checks and the timings, prints them as they come, and writes the JSON and the plot."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.table import Table

from recurrence_dsl.resources import shipped_specs

from .agreement import Agreement, Problem, agreements
from .plot import plot
from .rivals import SPECS
from .speed import Device, Shape, Timing, copy_rate, timings

Sizes = Mapping[str, tuple[int, int, int, int]]
Found = TypeVar("Found")
DTYPES = ("float32", "bfloat16", "float16")
DRY_DTYPES = ("float32",)
"""Triton's interpreter computes bfloat16 wrongly."""


def run(chosen: argparse.Namespace, shapes: Sizes) -> int:
    """Everything that was asked for. 1 where something failed or was wrong."""
    device = "cpu" if chosen.dry else "cuda"
    console, failures = Console(width=140), list[str]()
    if device == "cuda" and not torch.cuda.is_available():
        console.print("there is no GPU: --dry runs the same on a CPU, with tiny shapes")
        return 1
    found: dict[str, Any] = {"about": about(device, chosen.dry), "agreement": [], "timings": [], "failures": failures}
    chosen.out.mkdir(parents=True, exist_ok=True)
    for what, make in steps(chosen, shapes, device):
        rows = _tried(what, make, failures, console)
        for row in rows:
            found["agreement" if isinstance(row, Agreement) else "timings"].append(asdict(row))
            console.print(shown(row), highlight=False)
        (chosen.out / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    if found["timings"]:
        plot(found, chosen.out / "results.png")
    console.print(summary(found))
    console.print(f"written to {chosen.out}")
    wrong = [a for a in found["agreement"] if not a["repeats"] or max(a["values"], a["gradients"]) > 1]
    return 1 if wrong or failures else 0


def steps(
    chosen: argparse.Namespace, shapes: Sizes, device: str
) -> Iterator[tuple[str, Callable[[], list[Agreement] | list[Timing]]]]:
    """What is to be done, one step for each spec and dtype or shape."""
    problem = Problem(size=4, heads=2, groups=1, batch=1, length=20) if chosen.dry else Problem()
    names = chosen.check or [p.stem for p in shipped_specs()]
    for name in () if chosen.no_agreement else names:
        for dtype in DRY_DTYPES if chosen.dry else chosen.dtype or DTYPES:
            yield (
                f"checking {name} in {dtype}",
                lambda name=name, dtype=dtype: list(agreements(name, dtype, device, problem)),
            )
    if chosen.no_speed:
        return
    kind = torch.float32 if chosen.dry else torch.bfloat16
    where = Device(
        device, kind, 0.0 if chosen.dry else chosen.seconds, copy_rate(device, 1 << (16 if chosen.dry else 28))
    )
    for key in chosen.shape or shapes:
        for name in chosen.spec or SPECS:
            shape = Shape(*shapes[key])
            yield f"timing {name} at {shape}", lambda name=name, shape=shape: list(timings(name, shape, where))


def _tried(what: str, make: Callable[[], list[Found]], failures: list[str], console: Console) -> list[Found]:
    """A step's rows; a failure is written down, and the rest goes on."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - the next step may work, and the report says what did not
        failures.append(f"{what}: {type(error).__name__}: {error}")
        console.print(f"FAILED {what}\n{traceback.format_exc(limit=-4)}", highlight=False, markup=False)
        return []


def shown(row: Agreement | Timing) -> str:
    """One line."""
    if isinstance(row, Agreement):
        repeats = "repeats" if row.repeats else "DOES NOT REPEAT"
        return (
            f"{row.spec:<18} {row.dtype:<9} {row.plan:<12} values {row.values:6.3f} ({row.values_at}), "
            f"gradients {row.gradients:6.3f} ({row.gradients_at}) of the tolerance, {repeats}"
        )
    ms, share = row.milliseconds, row.share_of_copy
    rate = f", {row.gigabytes_per_second:.0f} GB/s by the model, {share:.0%} of a copy" if share is not None else ""
    same = f", outputs differ by {row.difference:.1e}" if row.difference is not None else ""
    spread = f"{ms.median:9.3f} ms ({ms.low:.3f} to {ms.high:.3f})"
    return f"{row.spec:<16} {row.subject:<15} {row.shape:<22} {row.direction:<16} {spread}{rate}{same}"


def summary(found: dict[str, Any]) -> Table:
    """Milliseconds of ours and the rival's."""
    table = Table(title="milliseconds, median; ratio: the rival's time over ours")
    for heading in ("spec", "shape", "direction", "ours", "rival", "ratio"):
        table.add_column(heading)
    rows: dict[tuple[str, str, str], dict[str, float]] = {}
    for t in found["timings"]:
        key = (t["spec"], t["shape"], t["direction"])
        rows.setdefault(key, {})["ours" if t["subject"] == "recurrence_dsl" else "rival"] = t["milliseconds"]["median"]
    for key, t in rows.items():
        ours, other = t.get("ours"), t.get("rival")
        ratio = f"{other / ours:.2f}" if ours and other else "-"
        table.add_row(*key, f"{ours:.3f}" if ours else "-", f"{other:.3f}" if other else "-", ratio)
    return table


def about(device: str, dry: bool) -> dict[str, Any]:
    """The machine, the versions and the commit."""
    gpu = torch.cuda.get_device_properties(0) if device == "cuda" else None
    return {
        "device": gpu.name if gpu else platform.machine(),
        "multiprocessors": gpu.multi_processor_count if gpu else None,
        "driver": _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") if gpu else None,
        "python": platform.python_version(),
        **{p: _version(p) for p in ("torch", "triton", "numpy", "fla-core", "mamba-ssm")},
        "cuda": torch.version.cuda,
        "commit": _output("git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"),
        "dry": dry,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _output(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
