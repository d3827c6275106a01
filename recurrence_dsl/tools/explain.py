"""What `recurrence explain` prints of a spec: its summary, or one stage's result."""

from __future__ import annotations

from collections.abc import Mapping

from ..check.spec import Spec
from ..maths.lift import lift
from ..pipeline import Compiled, derive, emitted, emitted_triton, lifted, planned_triton
from ..program.lower import Known
from ..rendering import render_all
from ..runtime.choices import split_options
from ..schedule.cost import costs
from ..syntax import parse, print_ast
from .canonical import canonical_latex, canonical_text
from .plan_text import triton_cost_text, triton_plan_text
from .program_text import program_text
from .settings import with_usual_sizes
from .trace_text import trace_text
from .typed_spec import typed_spec_text

Settings = Mapping[str, float]


def explain_spec(spec: Spec, heads: int = 4, settings: Settings | None = None) -> str:
    """Class, proven decay range, canonical equations, the chosen form and why, and the cost of a token.

    `settings` gives axes their sizes (others have the spec's default or 64) and consts their values.
    """
    compiled, sizes = _compiled(spec, heads, settings or {})
    title = f"{spec.name}\n{spec.doc}" if spec.doc else spec.name
    parts = [title, canonical_text(compiled.recurrence), _form(compiled), _cost(compiled, sizes)]
    warnings = (*spec.warnings, *lift(spec, dict(compiled.recurrence.consts))[1])
    if warnings:
        parts.append(render_all(warnings))
    return "\n\n".join(parts)


def explain_latex(spec: Spec, settings: Settings | None = None) -> str:
    """The canonical equations as LaTeX."""
    return canonical_latex(_compiled(spec, 1, settings or {})[0].recurrence)


def explain_stage(
    spec: Spec, stage: str, heads: int = 4, settings: Settings | None = None, backend: str = "torch"
) -> str:
    """What one stage made of a spec: parse, check, lift, derive, schedule, emit or interpreter.

    `backend`, torch or triton, is whose plan and source the last two stages of the compiler print.
    """
    match stage:
        case "parse":
            tree, _ = parse(spec.source)
            assert tree is not None, "a checked spec has been parsed"
            return print_ast(tree).rstrip("\n")
        case "check":
            return typed_spec_text(spec)
        case "interpreter":
            return trace_text(spec)
    compiled, sizes = _compiled(spec, heads, settings or {})
    match stage:
        case "lift":
            return canonical_text(compiled.recurrence)
        case "derive":
            return _programs(compiled)
        case "schedule":
            if backend == "triton":
                plan = planned_triton(compiled, sizes)
                return f"{triton_plan_text(plan)}\n\n{triton_cost_text(spec, plan, sizes)}"
            return f"{_form(compiled)}\n\n{_cost(compiled, sizes)}"
        case "emit":
            emit = emitted_triton if backend == "triton" else emitted
            return emit(compiled, sizes, heads).rstrip("\n")
        case _:
            raise ValueError(f"no stage {stage!r}")


def _compiled(spec: Spec, heads: int, settings: Settings) -> tuple[Compiled, dict[str, int]]:
    """The programs and the plan that `compile` would make, with usual sizes where none are given."""
    sizes, consts = split_options(spec, with_usual_sizes(spec, settings))
    recurrence = lifted(spec, consts)
    form = "chunk" if recurrence.chunked else "recurrent"
    return derive(recurrence, Known(sizes, heads), form, None), sizes


def _form(compiled: Compiled) -> str:
    plan, reason = compiled.plan, compiled.recurrence.reason
    if plan.form == "recurrent":
        return f"form: recurrent, because {reason}; every {plan.stride}th state is kept for the backward"
    return f"form: chunk, {plan.block} tokens at a time, because {reason}"


def _programs(compiled: Compiled) -> str:
    programs = compiled.programs
    block = "one token" if programs.body is programs.step else "a chunk"
    texts = [
        program_text(programs.body, f"{block}, forward"),
        program_text(programs.backward, f"{block}, backward"),
    ]
    if programs.body is not programs.step:
        texts.append(program_text(programs.step, "one step"))
    return "\n\n".join(texts)


def _cost(compiled: Compiled, sizes: Mapping[str, int]) -> str:
    p = compiled.programs
    forward, backward = costs(compiled.recurrence.spec, p.body, p.backward, compiled.plan, sizes)
    shown = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    rows = [("", "FLOPs", "bytes", "least")]
    for name, cost in (("forward", forward), ("backward", backward)):
        rows.append((name, f"{cost.flops:,.0f}", f"{cost.moved:,.0f}", f"{cost.least:,.0f}"))
    table = [f"  {a:<8}  {b:>9}  {c:>7}  {d:>7}" for a, b, c, d in rows]
    title = f"cost of a token and head in float32 with {shown} (least: inputs and outputs once)"
    return "\n".join([title, *table])
