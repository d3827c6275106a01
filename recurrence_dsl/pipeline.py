"""The stages in order, on one screen: text -> Ast -> Spec -> Recurrence -> programs -> source -> module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .check import load_text
from .check.spec import Spec
from .diagnostics import CallError, SpecError
from .emit.torch_module import Programs, torch_source
from .emit.triton.module import triton_source
from .maths.lift import lift
from .maths.recurrence import Recurrence
from .program.adjoint import adjoint
from .program.chunk import chunk_program
from .program.factor import factored
from .program.lower import Known
from .program.step import step_program
from .resources import read_spec
from .schedule.plan import Plan, plan
from .schedule.triton_plan import TritonPlan, triton_plan
from .verify import checked


def load(path_or_text: str | Path) -> Spec:
    """parse and check: a spec from a file, a shipped spec's name, or the text itself. Raises SpecError, CallError."""
    if not isinstance(path_or_text, str | Path):
        raise CallError(
            "R0906",
            f"a spec is a path or a text, not a {type(path_or_text).__name__}",
            "pass a path or the text itself",
        )
    if isinstance(path_or_text, str) and ("\n" in path_or_text or "mixer " in path_or_text):
        return load_text(path_or_text)
    return load_text(*read_spec(path_or_text))


def lifted(spec: Spec, consts: dict[str, float] | None = None) -> Recurrence:
    """lift: the canonical form. Raises SpecError where the spec is no linear recurrence."""
    recurrence, findings = lift(spec, consts)
    if recurrence is None:
        raise SpecError(findings)
    return checked(recurrence)


@dataclass(frozen=True, slots=True)
class Compiled:
    """Everything between the spec and its source, for one choice of sizes and form."""

    recurrence: Recurrence
    programs: Programs
    plan: Plan
    chunk_size: int | None = None


def derive(recurrence: Recurrence, known: Known, form: str, chunk_size: int | None) -> Compiled:
    """derive and schedule: the programs of the chosen form, forward and backward, and their plan."""
    step = checked(step_program(recurrence.spec, known))
    body = checked(chunk_program(recurrence, known)) if form == "chunk" else step
    programs = Programs(body, checked(factored(checked(adjoint(body)))), step)
    planned = checked(plan(recurrence, body, known, form, chunk_size))
    return Compiled(recurrence, programs, planned, chunk_size)


def emitted(compiled: Compiled, sizes: dict[str, int], heads: int) -> str:
    """emit: the torch source."""
    p = compiled.plan
    about = {
        "form": p.form,
        "reason": compiled.recurrence.reason,
        "block": p.block,
        "stride": p.stride,
        "equations": tuple(compiled.recurrence.spec.source.text.splitlines()),
    }
    return checked(torch_source(compiled.recurrence.spec, compiled.programs, sizes, heads, about))


def emitted_triton(compiled: Compiled, sizes: dict[str, int], heads: int) -> str:
    """schedule and emit for Triton: the source of a module of kernels."""
    equations = tuple(compiled.recurrence.spec.source.text.splitlines())
    about: dict[str, object] = {"reason": compiled.recurrence.reason, "equations": equations}
    try:
        return triton_source(compiled.recurrence.spec, planned_triton(compiled, sizes), sizes, heads, about)
    except (AssertionError, LookupError, StopIteration) as fault:
        # programs of shapes that the lowering to tiles does not know yet: said as such, whoever meets them
        name = compiled.recurrence.spec.name
        raise CallError("R0412", f"no kernels can be made for `{name}` yet", "use backend='torch'") from fault


def planned_triton(compiled: Compiled, sizes: dict[str, int]) -> TritonPlan:
    """schedule for Triton."""
    programs = compiled.programs
    return triton_plan(
        compiled.recurrence, programs.body, programs.backward, programs.step, sizes, compiled.plan.form,
        compiled.chunk_size,
    )  # fmt: skip
