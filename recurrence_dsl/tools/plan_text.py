"""Prints the Triton back end's plan: the kernels, how each is launched, and which of them make up a pass."""

from __future__ import annotations

from collections.abc import Mapping

from ..check.spec import Spec
from ..schedule.traffic import Traffic, plan_traffic
from ..schedule.triton_plan import Launch, TritonPlan


def triton_plan_text(plan: TritonPlan) -> str:
    """One kernel a line, then the ways to go forward and backward."""
    rows = [("kernel", "walk", "chunk", "blocks", "warps", "stages", ""), *(_row(launch) for launch in plan.launches)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    table = [
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    ways = _ways("forward", plan.forward), _ways("backward", plan.backward)
    return "\n".join([f"form: {plan.form}", *table, *ways, f"unmeasured: {_unmeasured(plan)}"])


def _row(launch: Launch) -> tuple[str, ...]:
    task, chosen = launch.task, launch.settings
    blocks = ", ".join(f"{axis} {size}" for axis, size in chosen.blocks) or "-"
    numbers = (str(chosen.chunk), blocks, str(chosen.warps), str(chosen.stages))
    return (task.name, task.walk.value, *numbers, task.doc)


def _ways(title: str, ways: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    return f"{title}: " + "; ".join(f"{name} ({', '.join(kernels)})" for name, kernels in ways)


def _unmeasured(plan: TritonPlan) -> str:
    """The plans that are taken without a measurement."""
    busy, idle, back, back_idle = plan.preferred
    one = lambda busy, idle: busy if busy == idle else f"{busy} ({idle} with few sequences and heads)"  # noqa: E731
    return f"forward {one(busy, idle)}, backward {one(back, back_idle)}"


def triton_cost_text(spec: Spec, plan: TritonPlan, sizes: Mapping[str, int], dtype: str = "bfloat16") -> str:
    """FLOPs and bytes of a token and head by each plan, beside the least that any kernel must move."""
    forward, backward = plan_traffic(spec, plan, sizes, dtype)
    rows = [("", "FLOPs", "bytes", "least"), *_costs("forward", forward), *_costs("backward", backward)]
    width = max(len(row[0]) for row in rows)
    table = [f"  {a:<{width}}  {b:>9}  {c:>7}  {d:>7}" for a, b, c, d in rows]
    shown = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    title = f"cost of a token and head in {dtype} with {shown} (least: inputs, outputs and their gradients once)"
    return "\n".join([title, *table])


def _costs(direction: str, ways: tuple[Traffic, ...]) -> list[tuple[str, str, str, str]]:
    return [(f"{direction}, {t.name}", f"{t.flops:,.0f}", f"{t.moved:,.0f}", f"{t.least:,.0f}") for t in ways]
