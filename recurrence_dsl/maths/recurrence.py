"""The canonical form: what a spec's recurrence is, found by algebra.

Per state, S_t = exp(log_decay) * S_{t-1} + sum_i a_i (b_i . S_{t-1}) + sum of writes, and every use of a state is a
read q . S_t or q . S_{t-1}; see docs/formalism.md. Where a state is used otherwise it is *materialised* token by token.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..check.spec import Spec
from ..expr import Expr
from .intervals import Interval


class When(Enum):
    NOW = "now"
    BEFORE = "before"


class Form(Enum):
    """How one state is evaluated over a chunk."""

    MATRIX = "matrix"  # as pairs of tokens: matrix products, the state only at chunk boundaries
    SCAN = "scan"  # elementwise: the state at every token of the chunk
    STEP = "step"  # token by token


@dataclass(frozen=True, slots=True)
class Read:
    """r = sum over `contracted` of query * S; `name` stands for r in the lifted expressions."""

    name: str
    state: str
    when: When
    contracted: tuple[str, ...]
    query: Expr
    axes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Erase:
    """A rank-one term a (b . S_{t-1}), contracted over the state's erase axes."""

    a: Expr
    b: Expr


@dataclass(frozen=True, slots=True)
class Write:
    """A product of factors over the state's axes; `whole` is their product as written."""

    factors: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class StateForm:
    """One state's lifted update.

    `decay` is the coefficient of S_{t-1}; `log_decay` its logarithm as addends, each with the axes it varies over (for
    MATRIX, and for SCAN with rank-one terms; else empty, as the writes are). `erase_axes` is what the rank-one terms
    contract; a STEP's may contract different axes, and then it is empty. `reason` says why the form was chosen.
    """

    name: str
    axes: tuple[str, ...]
    form: Form
    reason: str
    decay: Expr
    decay_range: Interval
    log_decay: tuple[Expr, ...]
    erase_axes: tuple[str, ...]
    erases: tuple[Erase, ...]
    writes: tuple[Write, ...]
    reads: tuple[Read, ...]
    input: Expr  # everything that does not contain the state itself

    @property
    def decay_axes(self) -> tuple[str, ...]:
        return tuple(a for a in self.axes if any(a in g.axes for g in self.log_decay) or a in self.decay.axes)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A whole spec in canonical form. `values` gives lets and outputs with every use of a state made a read.

    `chunked` tells whether every state has a chunk form; otherwise `reason` says what stands against it and only the
    step form exists.
    """

    spec: Spec
    consts: tuple[tuple[str, float], ...]
    states: tuple[StateForm, ...]
    values: tuple[tuple[str, Expr], ...]
    reads: tuple[Read, ...]
    chunked: bool
    reason: str

    def state(self, name: str) -> StateForm:
        return next(s for s in self.states if s.name == name)

    def value(self, name: str) -> Expr:
        return dict(self.values)[name]
