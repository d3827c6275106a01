"""The loss curve as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def draw_losses(losses: Sequence[float], before: float, after: float, title: str, path: Path) -> None:
    """Draws each step's loss, a running mean, and the held-out loss before and after."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    steps = range(1, len(losses) + 1)
    axes.plot(steps, losses, color="#9db7d5", linewidth=0.8, label="each step")
    axes.plot(steps, running_mean(losses), color="#1f4e8c", linewidth=1.8, label="running mean")
    axes.plot([1, max(len(losses), 1)], [before, after], "o", color="#c2410c", label="held out, before and after")
    axes.set(xlabel="step", ylabel="cross entropy (nats a token)", title=title)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def running_mean(values: Sequence[float], keep: float = 0.9) -> list[float]:
    """An exponential mean without the pull of its start."""
    means, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = keep * total + (1 - keep) * value, keep * weight + (1 - keep)
        means.append(total / weight)
    return means
