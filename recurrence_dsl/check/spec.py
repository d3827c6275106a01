"""The checked spec: every name resolved, every expression typed with its axes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..diagnostics import Diagnostic
from ..expr import Expr, Prev, walk
from ..source import NOWHERE, Source, Span
from ..syntax.ast import LayerStatement


@dataclass(frozen=True, slots=True)
class Declared:
    name: str
    axes: tuple[str, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Dim(Declared):
    """A named axis; `default` is its size when none is given. (`axes` is always empty.)"""

    default: int | None = None


@dataclass(frozen=True, slots=True)
class Input(Declared):
    """A tensor per token and head, [B, T, H, *axes]; `per_group` ones are [B, T, G, *axes]."""

    per_group: bool = False
    is_complex: bool = False
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = True
    high_open: bool = True


@dataclass(frozen=True, slots=True)
class Param(Declared):
    """Learned, [H, *axes], or [*axes] when `shared`; `init` is the initialiser as written (`None`: zeros)."""

    shared: bool = False
    is_complex: bool = False
    init: Initialiser | None = None


@dataclass(frozen=True, slots=True)
class Initialiser:
    """A draw and the pointwise functions around it, as a tree of calls over numbers and names.

    `function` is `normal(mean, std)`, `uniform(a, b)`, `loguniform(a, b)`, a pointwise function of the language,
    `inv_softplus`, an arithmetic operator (`neg`, `+`, ..), or one of these without arguments: `number` (in `value`),
    `const`, `size` (of an axis), `index` (position along an axis; these three with their `name`), `head`, `heads`.
    """

    function: str
    arguments: tuple[Initialiser, ...] = ()
    value: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Const(Declared):
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Let(Declared):
    """A named sub-expression; `decay` marks the promise |value| <= 1 (0 <= value where it is real)."""

    value: Expr = field(kw_only=True)
    decay: bool = False

    @property
    def is_complex(self) -> bool:
        return self.value.is_complex


@dataclass(frozen=True, slots=True)
class State(Declared):
    """[B, H, *axes]; `update` is its value at time t."""

    update: Expr = field(kw_only=True)
    is_complex: bool = False


@dataclass(frozen=True, slots=True)
class Output(Declared):
    """[B, T, H, *axes], its axes in the order in which the dims are declared."""

    value: Expr = field(kw_only=True)

    @property
    def is_complex(self) -> bool:
        return self.value.is_complex


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole checked mixer. `order` lists lets, states and outputs so that each follows what it reads at time t."""

    name: str
    doc: str
    dims: tuple[Dim, ...]
    inputs: tuple[Input, ...]
    params: tuple[Param, ...]
    consts: tuple[Const, ...]
    lets: tuple[Let, ...]
    states: tuple[State, ...]
    outputs: tuple[Output, ...]
    order: tuple[str, ...]
    layer: LayerStatement | None = None
    source: Source = field(default=Source(""), compare=False, repr=False)

    warnings: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)

    @property
    def definitions(self) -> tuple[Let | State | Output, ...]:
        """Lets, states and outputs in the order of evaluation within a time step."""
        found = {declared.name: declared for declared in (*self.lets, *self.states, *self.outputs)}
        return tuple(found[name] for name in self.order)

    @property
    def carried(self) -> tuple[Declared, ...]:
        """Names other than states that are read at `[t-1]`: the state dict holds their last value too."""
        past = {node.name for d in self.definitions for node in walk(expression(d)) if isinstance(node, Prev)}
        return tuple(d for d in (*self.inputs, *self.lets, *self.outputs) if d.name in past)

    def find(self, name: str) -> Declared:
        """The declaration of a name; KeyError where there is none."""
        groups = (self.dims, self.inputs, self.params, self.consts, self.lets, self.states, self.outputs)
        found = {declared.name: declared for group in groups for declared in group}
        return found[name]

    def explain(self, heads: int = 4, **settings: float) -> str:
        """What `recurrence explain` prints: class, decay range, equations, form, cost; `settings` as in `compile`."""
        from ..tools.explain import explain_spec

        return explain_spec(self, heads, settings)


def expression(d: Let | State | Output) -> Expr:
    """What a definition computes at time t."""
    return d.update if isinstance(d, State) else d.value
