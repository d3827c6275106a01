"""Checks what a stage made: `verify(x)` for a tree, a spec, a recurrence, a program, a plan or a source.

Stages are checked in debug mode, and so in all tests. What is found is a fault of the compiler: StageError.
"""

from __future__ import annotations

from typing import TypeVar, assert_never

from .check.spec import Spec
from .check.verify import verify_spec
from .emit.verify import verify_source
from .maths.recurrence import Recurrence
from .maths.verify import verify_recurrence
from .options import DEBUG
from .program.ops import Program
from .program.verify import verify_program
from .schedule.plan import Plan
from .schedule.verify import verify_plan
from .stage_error import StageError
from .syntax.ast import Ast
from .syntax.verify import verify_ast

__all__ = ["StageError", "checked", "verify"]

Result = Ast | Spec | Recurrence | Program | Plan | str
R = TypeVar("R", Ast, Spec, Recurrence, Program, Plan, str)


def verify(x: Result) -> None:
    """Raises StageError where a stage's result does not hold together; a text is an emitted torch source."""
    match x:
        case Ast():
            verify_ast(x)
        case Spec():
            verify_spec(x)
        case Recurrence():
            verify_recurrence(x)
        case Program():
            verify_program(x)
        case Plan():
            verify_plan(x)
        case str():
            verify_source(x)
        case _:
            assert_never(x)


def checked(x: R) -> R:
    """`x`, verified in debug mode."""
    if DEBUG.flag():
        verify(x)
    return x
