"""Names and texts of a program's values in the torch back end: what is named, what is written where it is used."""

from __future__ import annotations

import math

from ..program.ops import BATCH, Op, Program, term_counts
from .names import Names
from .torch_contract import Operand
from .torch_narrow import Leaves, one_for_all_heads
from .torch_shapes import Sizes, aligned

_STATIC = frozenset((Op.PARAM, Op.NUMBER, Op.SIZE, Op.HEAD_INDEX, Op.HEAD_COUNT))


class TorchOperands:
    """The values of one program. `static` ones depend on parameters alone and are computed once a call."""

    def __init__(
        self,
        program: Program,
        sizes: Sizes,
        taken: frozenset[str] = frozenset(),
        in_place: bool = False,
        leaves: Leaves | None = None,
    ) -> None:
        self.in_place = in_place  # where no autograd watches, a value used up may hold the result
        leaves = leaves or Leaves()
        self.owned, self.narrow = leaves.owned, one_for_all_heads(program, leaves.narrow)
        self.program, self.sizes = program, sizes
        names = Names(program, taken)
        self.names, self.unique = names.of, names.fresh
        self._terms = term_counts(program)
        self.helpers: set[str] = set()
        self.static = self._static()
        self.uses = self._uses()
        self.fusions: dict[int, tuple[int, int]] = {}
        self.read_off: dict[int, tuple[int, str]] = {}
        self.factors: dict[tuple[int, str, int, bool], str] = {}
        self._text: dict[int, tuple[str, int]] = {}

    def _static(self) -> frozenset[int]:
        found: set[int] = set()
        for v in self.program.values:
            root = v.op in _STATIC or (v.op is Op.PAIR and not v.args)
            if BATCH not in v.dims and (root or (v.args and all(a in found for a in v.args))):
                found.add(v.index)
        return frozenset(found)

    def _uses(self) -> dict[int, int]:
        count = dict.fromkeys(range(len(self.program.values)), 0)
        for v in self.program.values:
            for a in v.args:
                # what crosses from the static part to the block's must have a name
                count[a] += 2 if a in self.static and v.index not in self.static else 1
        for _, i in self.program.outputs:
            count[i] += 2
        return count

    def text(self, index: int) -> str:
        return self._operand(index)[0]

    def _operand(self, index: int) -> tuple[str, int]:
        v = self.program.values[index]
        if v.op is Op.NUMBER:
            return number_text(v.attr)  # type: ignore[arg-type]
        return self._text.get(index, (self.names[index], 9))

    def atom(self, index: int) -> str:
        """The operand's text, bracketed unless it is a name or a call."""
        text, strength = self._operand(index)
        return text if strength >= 9 else f"({text})"

    def fit(self, index: int, want: tuple[str, ...]) -> tuple[str, int]:
        """The operand aligned to a result's dims."""
        have = self.program.values[index].dims
        if aligned("x", have, want) == "x":
            return self._operand(index)
        return aligned(self.atom(index), have, want), 9

    def operand(self, index: int) -> Operand:
        return Operand(self.atom(index), self.program.values[index].dims)

    def _bracketed(self, text: str, strength: int) -> str:
        return text if strength >= 9 else f"({text})"


def number_text(value: float | complex) -> tuple[str, int]:
    """A number as Python writes it, and how tightly its text binds."""
    if isinstance(value, complex):
        return repr(value), 9
    if math.isinf(value):
        return ("math.inf", 9) if value > 0 else ("-math.inf", 3)
    text = repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return text, 3 if value < 0 else 9
