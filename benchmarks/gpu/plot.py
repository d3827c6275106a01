"""Draws the timings: for each shape and direction, our bars beside the rival's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def plot(found: dict[str, Any], path: Path) -> None:
    """One panel a shape and direction; whiskers go from the fastest tenth of the runs to the slowest."""
    rows = found["timings"]
    panels = list(dict.fromkeys((t["shape"], t["direction"]) for t in rows))
    subjects = sorted({t["subject"] for t in rows}, key=lambda s: s != "recurrence_dsl")
    figure, axes = plt.subplots(len(panels), 1, figsize=(9, 2.6 * len(panels)), squeeze=False)
    for axis, (shape, direction) in zip(axes[:, 0], panels, strict=True):
        here = [t for t in rows if (t["shape"], t["direction"]) == (shape, direction)]
        specs = list(dict.fromkeys(t["spec"] for t in here))
        for at, subject in enumerate(subjects):
            mine = {t["spec"]: t["milliseconds"] for t in here if t["subject"] == subject}
            places = [
                i + (at - (len(subjects) - 1) / 2) * 0.8 / len(subjects) for i, s in enumerate(specs) if s in mine
            ]
            spreads = [mine[s] for s in specs if s in mine]
            whiskers = [[m["median"] - m["low"] for m in spreads], [m["high"] - m["median"] for m in spreads]]
            heights = [m["median"] for m in spreads]
            axis.bar(places, heights, 0.8 / len(subjects), yerr=whiskers, label=subject, error_kw={"lw": 0.8})
        axis.set_xticks(range(len(specs)), specs)
        axis.set_ylabel("ms")
        axis.set_title(f"{direction}, {shape}", fontsize="medium")
    axes[0, 0].legend()
    figure.suptitle(f"{found['about']['device']}, torch {found['about']['torch']}, triton {found['about']['triton']}")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
