"""Faults to plant in the lowering and in the emitted source: each must make `check` fail."""

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
    SOURCE = "emitted source"


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


_START, _FORGET = "_inside(state, heads, call.dtype), [", "_inside([0 * s for s in state], heads, call.dtype), ["
_WRITE = "target[:, start:stop] = value.transpose(1, 2)"
_SPANS = "room[last - chunks : last].transpose(0, 1)"

F, B, S, T = Stage.FORWARD, Stage.BACKWARD, Stage.STEP, Stage.SOURCE

FAULTS = (
    Fault("a token does not see itself", "gla", F, mask(Mask.NOW, Mask.BEFORE)),
    Fault("a read before the write sees the token itself", "rwkv6", F, mask(Mask.BEFORE, Mask.NOW)),
    Fault("exclusive sum for the inclusive one", "gla", F, operation(Op.CUMSUM, Op.CUMSUM_BEFORE)),
    Fault("inclusive sum for the exclusive one", "rwkv6", F, operation(Op.CUMSUM_BEFORE, Op.CUMSUM)),
    Fault("a write decays by the tokens before it", "gla", F, operation(Op.CUMSUM_AFTER, Op.CUMSUM_BEFORE)),
    Fault("missing bonus term", "rwkv6", F, addend_dropped("output:o", 0)),
    Fault("missing skip term", "mamba2", F, addend_dropped("output:y", 1)),
    Fault("triangular system not solved", "delta_net", F, bypassed(Op.SOLVE, 1)),
    Fault("queries and keys exchanged in the scores", "gla", F, swapped(Op.SCORES)),
    Fault("the carried state does not decay", "gla", F, decay_dropped("state:S")),
    Fault("the block's writes are lost at its end", "retnet", F, addend_dropped("state:S", 1)),
    Fault("the carried state is lost at a block's end", "retnet", F, addend_dropped("state:S", 0)),
    Fault("normaliser multiplied instead of divided", "linear_attention", F, primitive(Prim.DIV, Prim.MUL)),
    Fault("sign of the erase", "delta_net", F, primitive(Prim.NEG, Prim.ABS)),
    Fault("dropped term in a key's gradient", "gla", B, addend_dropped("input:k", 0)),
    Fault("dropped term in a query's gradient", "rwkv6", B, addend_dropped("input:r", 1)),
    Fault("dropped term in the state's gradient", "gla", B, addend_dropped("state:S", 1)),
    Fault("the state's gradient does not decay", "gla", B, decay_dropped("state:S")),
    Fault("transposed product in the backward", "gla", B, operation(Op.APPLY_T, Op.APPLY)),
    Fault("transposed system in the backward", "gated_delta_net", B, operation(Op.SOLVE_T, Op.SOLVE)),
    Fault("a decay's gradient summed from the wrong end", "gla", B, operation(Op.REVCUMSUM, Op.CUMSUM)),
    Fault("sign in a decay's gradient", "hgrn2", B, primitive(Prim.SUB, Prim.ADD)),
    Fault("a step does not carry its write", "gla", S, addend_dropped("state:S", 1)),
    Fault("a step's state does not decay", "retnet", S, addend_dropped("state:S", 0)),
    Fault(
        "a block's last token is not written",
        "hgrn",
        T,
        source=(_WRITE, _WRITE.replace("stop]", "stop][:, :-1]") + "[:, :-1]"),
    ),
    Fault(
        "a last single token is left out", "gla", T, source=("while at < call.length:", "while at < call.length - 1:")
    ),
    Fault(
        "one block too few",
        "hgrn",
        T,
        source=("range(0, call.length, call.block)", "range(0, call.length - 1, call.block)"),
    ),
    Fault(
        "accumulation in bfloat16",
        "gla",
        T,
        source=("torch.float64 if wide else torch.float32", "torch.float64 if wide else torch.bfloat16"),
    ),
    Fault("the backward has the chunks' states in another order", "delta_net", T, source=(_SPANS, _SPANS + ".flip(1)")),
    Fault(
        "a state kept for the backward one block late",
        "hgrn",
        T,
        source=("room[n // stride] = s", "room[(n + 1) // stride % len(room)] = s"),
    ),
    Fault(
        "heads of a group in the wrong order",
        "mamba2",
        T,
        source=("*x.shape[2:]).flatten(1, 2)", "*x.shape[2:]).transpose(1, 2).flatten(1, 2)"),
    ),
    Fault("the initial state is ignored", "rwkv6", T, source=(_START, _FORGET)),
    Fault("a param's gradient from one block only", "rwkv6", T, source=("total += part", "total.copy_(part)")),
    Fault("results that do not repeat", "hgrn", T, source=(_WRITE, _WRITE + " * (1 + 1e-3 * torch.rand(()))")),
)
