"""What a layer function is: its brackets, its options, and how its torch module is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from torch import nn

from ...diagnostics import CallError
from ...syntax.ast import Expression
from ..graph import Option
from ..static import evaluate


class Brackets(Enum):
    """What stands between a layer function's brackets."""

    RESULT = "the axes of the result"
    OVER = "the axes of its argument that it works over"
    WIDTH = "a number"


class OptionKind(Enum):
    """What may stand on the right of an option's `=`."""

    NUMBER = "a number"
    FLAG = "true or false"
    WORD = "a word"
    INITIALISER = "an initialiser"
    FLAG_OR_INITIALISER = "true, false or an initialiser"
    VECTOR = "an expression of `index`"


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """`default` is shown in the documentation; an option that is absent is not in a call's options."""

    name: str
    kind: OptionKind
    default: str
    meaning: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """One use of a layer function, with every size known."""

    path: str
    arg_axes: tuple[str, ...]
    result_axes: tuple[str, ...]
    brackets: tuple[str, ...]
    options: Mapping[str, Option]
    sizes: Mapping[str, int]
    values: Mapping[str, float]

    def shape(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(self.sizes[axis] for axis in axes)

    def width(self, axes: tuple[str, ...]) -> int:
        """How many features the axes hold together."""
        return math.prod(self.shape(axes))

    def flag(self, name: str, default: bool) -> bool:
        option = self.options.get(name, default)
        return option if isinstance(option, bool) else True

    def word(self, name: str, default: str = "") -> str:
        option = self.options.get(name, default)
        return option if isinstance(option, str) else default

    def expression(self, name: str) -> Expression | None:
        """The option as written, where it is an initialiser or an expression."""
        option = self.options.get(name)
        return None if option is None or isinstance(option, bool | str) else option

    def bracket(self) -> int:
        """The number in brackets, written out or as a const's name."""
        written = self.brackets[0]
        return whole(float(written) if written.isdigit() else self.values[written], f"the width of `{self.path}`")

    def number(self, name: str, default: float) -> float:
        written = self.expression(name)
        return default if written is None else float(evaluate(written, self.values))

    def count(self, name: str) -> int:
        """A whole number of at least 1."""
        return whole(self.number(name, math.nan), f"`{name}` of `{self.path}`")


def whole(number: float, what: str) -> int:
    """A number that must be a count."""
    if not number >= 1 or number != int(number):
        raise CallError("R0515", f"{what} must be a whole number from 1, not {number:g}")
    return int(number)


Builder = Callable[[Site], nn.Module]


@dataclass(frozen=True, slots=True)
class LayerFunction:
    """A function of the layer block that owns a torch module; `summary` and the options' meanings make its page."""

    name: str
    brackets: Brackets
    options: tuple[OptionSpec, ...]
    summary: str
    keys: str
    build: Builder

    def option(self, name: str) -> OptionSpec | None:
        return next((option for option in self.options if option.name == name), None)
