"""How a fault is planted: programs and sources rewritten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from recurrence_dsl.program.ops import LEAVES, Mask, Op, Prim, Program, Value, only


class Stage(Enum):
    """Where a fault is planted."""

    FORWARD = "forward program"  # the backward is derived from it and has the fault too
    BACKWARD = "backward program"
    STEP = "step program"
    SOURCE = "emitted torch source"
    KERNEL = "emitted kernels"


class NoPlace(Exception):
    """A fault's place is no longer there: the fault has to be written anew."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A named fault, the shipped spec that shows it, and how a program or a source is rewritten."""

    name: str
    spec: str
    stage: Stage
    program: Callable[[Program], Program] | None = None
    source: tuple[str, str] | None = None

    def in_program(self, before: Program) -> Program:
        """The program with the fault. Raises NoPlace."""
        return before if self.program is None else only(self.program(before), lambda _: True)

    def in_source(self, before: str) -> str:
        """The source with the fault. Raises NoPlace."""
        if self.source is None:
            return before
        old, new = self.source
        if old not in before:
            raise NoPlace(f"{self.name}: the source has no `{old}`")
        return before.replace(old, new)


Rewrite = Callable[[Program], Program]


def operation(old: Op, new: Op) -> Rewrite:
    """Every value of one operation computed by another."""
    return _each(lambda v: v.op is old, lambda v: replace(v, op=new))


def mask(old: Mask, new: Mask) -> Rewrite:
    """Pairs of tokens under the other mask."""
    return _each(lambda v: v.op is Op.PAIR and v.attr is old, lambda v: replace(v, attr=new))


def primitive(old: Prim, new: Prim) -> Rewrite:
    """Every pointwise primitive of one kind replaced by another."""
    return _each(lambda v: v.op is Op.MAP and v.attr is old, lambda v: replace(v, attr=new))


def swapped(op: Op) -> Rewrite:
    """The first two operands of an operation exchanged."""
    return _each(lambda v: v.op is op, lambda v: replace(v, args=(v.args[1], v.args[0], *v.args[2:])))


def bypassed(op: Op, operand: int) -> Rewrite:
    """The operation left out: one of its operands takes its place."""

    def rewrite(program: Program) -> Program:
        moved = {v.index: v.args[operand] for v in program.values if v.op is op}
        if not moved:
            raise NoPlace(f"no `{op.value}` in {program.name}")
        return _redirected(program, moved)

    return rewrite


def addend_dropped(key: str, operand: int) -> Rewrite:
    """A result without one of the terms of its last sum."""

    def rewrite(program: Program) -> Program:
        value = program.values[program.output(key)]
        if value.op is not Op.MAP or value.attr not in (Prim.ADD, Prim.SUB):
            raise NoPlace(f"`{key}` of {program.name} is no sum")
        kept = value.args[1 - operand]
        outputs = tuple((name, kept if name == key else index) for name, index in program.outputs)
        return replace(program, outputs=outputs)

    return rewrite


def decay_dropped(key: str) -> Rewrite:
    """A carried state that does not decay over the block."""

    def rewrite(program: Program) -> Program:
        total = program.values[program.output(key)]
        for index in total.args:
            product = program.values[index]
            state = [a for a in product.args if program.values[a].op in LEAVES]
            if product.attr is Prim.MUL and state:
                return _redirected(program, {index: state[0]})
        raise NoPlace(f"`{key}` of {program.name} has no decayed state")

    return rewrite


def _each(chosen: Callable[[Value], bool], change: Callable[[Value], Value]) -> Rewrite:
    def rewrite(program: Program) -> Program:
        values = tuple(change(v) if chosen(v) else v for v in program.values)
        if values == program.values:
            raise NoPlace(f"nothing to change in {program.name}")
        return replace(program, values=values)

    return rewrite


def _redirected(program: Program, moved: dict[int, int]) -> Program:
    values = tuple(replace(v, args=tuple(moved.get(a, a) for a in v.args)) for v in program.values)
    outputs = tuple((key, moved.get(index, index)) for key, index in program.outputs)
    return replace(program, values=values, outputs=outputs)
