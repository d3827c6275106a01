"""Where a kernel's tiles lie in memory: pointers, strides, offsets and masks as texts.

Pointers are named by what they hold: `in_q` an input, `param_w`, `out_o`; `init_S` and `end_S` a state before the
first and after the last token, `kept_S` the state before each chunk; `made_solved0` what one kernel stores for
others; `grad_o` a cotangent that comes in, `d_q` a gradient that goes out. `held_S` has two copies of what a walk
carries in memory: one that a chunk reads, and one that it writes for the next one. Offsets of chunks and heads are
64-bit; those inside a tile are 32-bit unless rows lie too far apart for that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...check.spec import Spec
from ...program.ops import COL, ROW, SOLVED_BACK, TERM
from ...program.step import is_complex
from .shapes import Layout, aligned, index_name, mask_name
from .tiles import Dims


@dataclass(frozen=True, slots=True)
class Tensor:
    """What the kernels must know of one of the spec's tensors."""

    name: str
    axes: Dims  # as declared
    sizes: tuple[int, ...]
    per_group: bool = False
    shared: bool = False
    is_complex: bool = False

    @property
    def size(self) -> int:
        return math.prod(self.sizes) * (2 if self.is_complex else 1)

    def strides(self) -> dict[str, int]:
        """Of a contiguous tensor, by axis."""
        step, found = (2 if self.is_complex else 1), {}
        for axis, size in zip(reversed(self.axes), reversed(self.sizes), strict=True):
            found[axis] = step
            step *= size
        return found


def tensors(spec: Spec, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Every declared tensor of a spec, and every value that is read at [t-1], by name."""
    found = {}
    for d in (*spec.inputs, *spec.params, *spec.states, *spec.outputs, *spec.carried):
        found[d.name] = Tensor(
            d.name,
            d.axes,
            tuple(sizes[a] for a in d.axes),
            getattr(d, "per_group", False),
            getattr(d, "shared", False),
            is_complex(spec, d.name),
        )
    return found


_ROWS = "((b * T + first + t0) * H + h)"
_CHUNK = "(slot * H + h)"
_SEQUENCE = "(n * H + h)"
_BUFFER = "((n * H + h) * 2 + {})"
OFFSETS = {
    "out": _ROWS,
    "grad": _ROWS,
    "kept": _CHUNK,
    "kept_d": _CHUNK,
    "init": _SEQUENCE,
    "end": _SEQUENCE,
    "grad_end": _SEQUENCE,
    "d_init": _SEQUENCE,
    "begin": _BUFFER.format("0"),
    "held": _BUFFER.format("step % 2"),
    "next": _BUFFER.format("(step + 1) % 2"),
    "left": _BUFFER.format("tl.cdiv(length, C) % 2"),
}
ARGUMENTS: dict[str, str] = {"begin": "held", "next": "held", "left": "held"}
"""Kinds whose places lie in one tensor."""


@dataclass(slots=True)
class Memory:
    """Collects the pointers that a kernel uses while its statements are printed."""

    tensors: Mapping[str, Tensor]
    layout: Layout
    sequential: bool
    splits: Dims = ()
    partial: frozenset[str] = frozenset()  # gradients of which each split holds a share
    separate: frozenset[str] = frozenset()  # split axes of which no part adds to another's results
    used: dict[str, tuple[str, Tensor]] = field(default_factory=dict)

    def pointer(self, kind: str, name: str, part: int, dims: Dims) -> tuple[str, str]:
        """The pointer to a tile of a tensor, and the mask of its lanes."""
        tensor = self.tensors[name]
        base = f"{kind}_{name}"
        self.used[base] = (kind, tensor)
        if kind == "made" and ROW in tensor.axes:
            return self._pair_of_tokens(base, part, dims), ""
        strides = tensor.strides()
        rows = f"{base}_t" if kind == "in" else self.row_stride(kind, tensor)
        terms = []
        for d in dims:
            stride = rows if d == ROW else strides[d]
            at = aligned("r_t" if d == ROW else index_name(d), (d,), dims)
            terms.append(at if stride == 1 else f"{at} * {stride}")
        terms += [str(part * strides[TERM] if kind == "made" else part)] if part else []
        inside = " + ".join(terms)
        text = f"{ARGUMENTS.get(kind, kind)}_{name} + at_{base}" + (f" + ({inside})" if inside else "")
        return text, self.mask(dims, self.alone(kind, tensor))

    def pointers(self) -> tuple[str, ...]:
        """The tensors that the kernel is given."""
        return tuple(dict.fromkeys(f"{ARGUMENTS.get(kind, kind)}_{t.name}" for kind, t in self.used.values()))

    def _pair_of_tokens(self, base: str, part: int, dims: Dims) -> str:
        """The pointer to a tile [C, C]."""
        row, column = (aligned(index_name(d), (d,), dims) for d in (ROW, COL))
        return f"{base} + at_{base} + ({f'{part} * C * C + ' if part else ''}{row} * C + {column})"

    def row_stride(self, kind: str, tensor: Tensor) -> str:
        return f"(H * {tensor.size})"

    def mask(self, dims: Dims, alone: Dims = ()) -> str:
        guarded = [d for d in dims if d == ROW or d in self.layout.masked]
        tests = [aligned(mask_name(d), (d,), dims) for d in guarded]
        # a test for each lane, since Triton's interpreter takes no single one for all of them
        lane = f" + 0 * {aligned(index_name(dims[0]), dims[:1], dims)}" if dims else ""
        return " & ".join([*tests, *(f"(part_{a}{lane} == 0)" for a in alone)])

    def alone(self, kind: str, tensor: Tensor) -> Dims:
        """Split axes that a cotangent lacks: the first part alone passes it on, so that shares add up, if there are."""
        gradient = kind == "made" and f"@{tensor.name}".startswith(SOLVED_BACK)
        if kind not in ("grad", "kept_d", "grad_end") and not gradient:
            return ()
        return tuple(a for a in self.splits if a not in tensor.axes and a not in self.separate)

    def strides(self, *dims: str) -> tuple[str, ...]:
        """Stride arguments of the inputs that are used; their axes lie as in a contiguous tensor."""
        return tuple(f"{base}_{d}" for base, (kind, _) in self.used.items() if kind == "in" for d in dims)

    def offsets(self, per_chunk: bool) -> list[str]:
        """The statements that find each tensor's place: those of the whole sequence, or those of a chunk."""
        return [
            f"at_{base} = {self._offset(base, kind, tensor)}"
            for base, (kind, tensor) in self.used.items()
            if self._moves(kind, tensor) is per_chunk
        ]

    def _moves(self, kind: str, tensor: Tensor) -> bool:
        if kind == "d":
            return not self._is_param(tensor) or not self.sequential
        return kind in ("in", "out", "grad", "kept", "kept_d", "made", "held", "next")

    def _is_param(self, tensor: Tensor) -> bool:
        return f"param:{tensor.name}" in self.tensors

    def _offset(self, base: str, kind: str, tensor: Tensor) -> str:
        if kind == "in":
            head = "h // RATIO" if tensor.per_group else "h"
            return f"b * {base}_b + (first + t0) * {base}_t + ({head}) * {base}_h"
        if kind == "made" and ROW in tensor.axes:
            return f"{_CHUNK} * ({tensor.size} * C * C)"
        if kind == "made":
            return f"{_ROWS} * {tensor.size}"
        if kind == "param":
            return "0" if tensor.shared else f"h * {tensor.size}"
        if kind != "d":
            return f"{OFFSETS[kind]} * {tensor.size}"
        if self._is_param(tensor):
            unit = "n" if self.sequential else "slot"
            return f"((share * UNITS + {unit}) * H + h) * {tensor.size}"
        share = "share * ROWS + " if tensor.name in self.partial else ""
        return f"(({share}b * T + first + t0) * H + h) * {tensor.size}"
