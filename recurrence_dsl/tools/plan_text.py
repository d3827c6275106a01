"""Prints the Triton back end's plan: the kernels, how each is launched, and which of them make up a pass."""

from __future__ import annotations

from ..schedule.triton_plan import Launch, TritonPlan


def triton_plan_text(plan: TritonPlan) -> str:
    """One kernel a line, then the ways to go forward and backward."""
    rows = [("kernel", "walk", "chunk", "blocks", "warps", "stages", ""), *(_row(launch) for launch in plan.launches)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    table = [
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([f"form: {plan.form}", *table, _ways("forward", plan.forward), _ways("backward", plan.backward)])


def _row(launch: Launch) -> tuple[str, ...]:
    task, chosen = launch.task, launch.settings
    blocks = ", ".join(f"{axis} {size}" for axis, size in chosen.blocks) or "-"
    numbers = (str(chosen.chunk), blocks, str(chosen.warps), str(chosen.stages))
    return (task.name, task.walk.value, *numbers, task.doc)


def _ways(title: str, ways: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    return f"{title}: " + "; ".join(f"{name} ({', '.join(kernels)})" for name, kernels in ways)
