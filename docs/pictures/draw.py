"""Draws the README's pictures and writes its speed table: `make pictures`, or `draw.py loss`, or `draw.py speed`.

The loss curve comes from a training run like that of `make demo`, the speed from benchmarks/results/cpu.json, which
`make bench` writes.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "cpu.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- speed table: written by docs/pictures/draw.py -->", "<!-- end of speed table -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One subject's milliseconds at one length: forward, and forward with backward (None: not measured)."""

    subject: str
    kind: str
    length: int
    forward: float
    both: float | None


def rows() -> list[Row]:
    """The measured rows, in the order of measurement."""
    timings = json.loads(RESULTS.read_text())["timings"]
    return [
        Row(t["subject"], t["kind"], t["length"], t["forward"] * 1e3, t["both"] and t["both"] * 1e3) for t in timings
    ]


def speed_table() -> str:
    """Compiled mixers and what they are measured against, as Markdown."""
    found = rows()
    lengths = sorted({r.length for r in found})
    head = "| milliseconds | " + " | ".join(f"T = {n}, forward | with backward" for n in lengths) + " |"
    lines = [head, "|---" + "|---:" * (2 * len(lengths)) + "|"]
    for subject in dict.fromkeys(r.subject for r in found if r.kind in ("compiled", "(a)")):
        cells = [_cells(found, subject, n) for n in lengths]
        lines.append(f"| {_shown(subject)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cells(found: list[Row], subject: str, length: int) -> str:
    row = next((r for r in found if (r.subject, r.length) == (subject, length)), None)
    if row is None:
        return "- | -"
    return f"{row.forward:.0f} | {'-' if row.both is None else f'{row.both:.0f}'}"


def _shown(subject: str) -> str:
    return "causal attention (torch)" if subject == "causal attention" else f"`{subject}`"


def write_speed_table() -> None:
    """Puts the table between its marks in the README."""
    block = f"{BEGIN}\n\n{speed_table()}\n\n{END}"
    README.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: block, README.read_text(), flags=re.DOTALL))


def draw_speed(path: Path = HERE / "speed.png") -> None:
    """Forward and backward at the longest length, compiled mixers beside the alternatives."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    longest = max(r.length for r in rows())
    shown = sorted((r for r in rows() if r.length == longest), key=lambda r: -r.forward)
    figure = Figure(figsize=(7, 0.32 * len(shown) + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = ["#1f4e8c" if r.kind == "compiled" else "#b8bec7" for r in shown]
    axes.barh([r.subject for r in shown], [r.forward for r in shown], color=colours)
    for place, row in enumerate(shown):
        axes.annotate(f" {row.forward:,.0f}", (row.forward, place), va="center", fontsize=8)
    axes.set_xscale("log")
    axes.set(xlabel="milliseconds", title=f"Forward pass over {longest} tokens on two CPU cores (blue: compiled specs)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def draw_loss(path: Path = HERE / "loss.png") -> None:
    """Trains as `make demo` does and keeps the curve."""
    from recurrence_dsl.tools.train import TrainOptions, train

    report = train(TrainOptions(spec="gla", out=ROOT / "out" / "demo"))
    shutil.copy(report.picture, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", choices=("loss", "speed"), help="only these; default: both")
    chosen = parser.parse_args().which or ("loss", "speed")
    if "loss" in chosen:
        draw_loss()
    if "speed" in chosen:
        draw_speed()
        write_speed_table()


if __name__ == "__main__":
    main()
