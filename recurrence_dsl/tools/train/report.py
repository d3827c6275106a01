"""The figures of a training run, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

from .generation import Generation


@dataclass(frozen=True, slots=True)
class TrainReport:
    """The figures of a run: held-out losses in nats a token; `difference` and `accuracy` where the task has them."""

    mixer: str
    task: str
    parameters: int
    steps: int
    planned: int
    loss_before: float
    loss_after: float
    tokens_per_second: float
    seconds: float
    difference: float | None = None
    accuracy: float | None = None
    picture: str = ""


def show_figures(report: TrainReport, console: Console) -> None:
    console.print(
        f"held-out loss: {report.loss_before:.3f} before, {report.loss_after:.3f} after {report.steps} steps "
        f"(nats a token)"
    )
    if report.steps < report.planned:
        console.print(
            f"stopped after {report.steps} of {report.planned} steps, for the time was over: --minutes gives more"
        )
    console.print(f"training speed: {report.tokens_per_second:,.0f} tokens a second, {report.seconds:.0f} s")
    console.print(f"loss curve: {report.picture}")


def show_text(made: Generation, console: Console) -> None:
    console.rule("generated, token by token, after the dimmed prompt")
    console.print(_readable(made.prompt), style="dim", end="", markup=False, highlight=False)
    console.print(_readable(made.text), markup=False, highlight=False)
    console.rule()


def _readable(text: bytes) -> str:
    """Text for a terminal: control characters other than newlines and tabs shown as a dot."""
    decoded = text.decode("utf-8", errors="replace")
    return "".join(c if c.isprintable() or c in "\n\t" else "·" for c in decoded)
