"""Checks a plan."""

from __future__ import annotations

from ..stage_error import require
from .plan import Plan

STAGE = "schedule"


def verify_plan(plan: Plan) -> None:
    """Raises StageError where the plan cannot be carried out."""
    require(plan.form in ("chunk", "recurrent"), STAGE, f"no form is called {plan.form!r}")
    require(plan.block >= 1 and plan.stride >= 1, STAGE, f"blocks of {plan.block} tokens, {plan.stride} apart")
    require(plan.form == "chunk" or plan.block == 1, STAGE, "the recurrent form takes one token at a time")
