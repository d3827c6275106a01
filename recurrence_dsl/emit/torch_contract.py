"""Prints a contraction of two values as a matrix product, or as a sum of products where it is none."""

from __future__ import annotations

from dataclasses import dataclass

from ..program.ops import BATCH, HEAD
from .torch_shapes import aligned

Dims = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operand:
    text: str
    dims: Dims


def contraction(x: Operand, y: Operand, over: Dims, out: Dims) -> str:
    """The product of `x` and `y` summed over `over`, with dims `out`."""
    only_x, only_y = _own(x, y, out), _own(y, x, out)
    if not only_x or not only_y:
        narrow, wide = (x, y) if not only_x else (y, x)
        return _vector(narrow, wide, over, out, only_x or only_y)
    found = factors(x, y, over, out)
    if not found:
        return _einsum(x, y, out)
    a, b = found
    plain = len(only_x) == len(only_y) == 1
    return f"{a} @ {b}" if plain else f"({a} @ {b}).reshape({', '.join(f'@{d}@' for d in out)})"


def factors(x: Operand, y: Operand, over: Dims, out: Dims) -> tuple[str, str] | None:
    """The two matrices whose product is the contraction, their rows and columns flattened; None where it is none."""
    only_x, only_y = _own(x, y, out), _own(y, x, out)
    if not only_x or not only_y:
        return None
    batch = tuple(d for d in out if d in (BATCH, HEAD) or (d in x.dims and d in y.dims))
    for left, right, rows, columns in ((x, y, only_x, only_y), (y, x, only_y, only_x)):
        if out == (*batch, *rows, *columns):
            a, b = _matrix(left, batch, rows, over), _matrix(right, batch, over, columns)
            if a and b:
                return a, b
    return None


def _own(x: Operand, y: Operand, out: Dims) -> Dims:
    """Dims of the result that `x` alone brings."""
    return tuple(d for d in out if d in x.dims and d not in y.dims and d not in (BATCH, HEAD))


def _vector(narrow: Operand, wide: Operand, over: Dims, out: Dims, rest: Dims) -> str:
    """One operand brings no dim of its own: a matrix times a vector, or products summed."""
    batch = tuple(d for d in out if d not in rest)
    whole = set(narrow.dims) <= set(wide.dims)
    if len(rest) == 1 and len(over) == 1 and batch and set(batch) <= {BATCH, HEAD} and narrow.dims == (*batch, *over):
        matrix = _matrix(wide, batch, rest, over)
        if matrix:
            return f"({matrix} @ {narrow.text}[..., None]).squeeze(-1)"
    if whole and wide.dims != over:
        axes = [wide.dims.index(d) - len(wide.dims) for d in over]
        where = str(axes[0]) if len(axes) == 1 else str(tuple(axes))
        return f"({wide.text} * {aligned(narrow.text, narrow.dims, wide.dims)}).sum({where})"
    return _einsum(narrow, wide, out)


def _matrix(x: Operand, batch: Dims, rows: Dims, columns: Dims) -> str:
    """The operand as [batch, rows, columns], transposed and flattened as needed; empty if its layout forbids it."""
    own = tuple(d for d in x.dims if d not in batch)
    have = tuple(d for d in x.dims if d in batch)
    if have != batch[len(batch) - len(have) :] or x.dims[: len(have)] != have:
        return ""
    if own == (*rows, *columns):
        return _flat(x.text, len(rows), len(columns))
    if own == (*columns, *rows):
        return f"{_flat(x.text, len(columns), len(rows))}.mT"
    return ""


def _flat(text: str, rows: int, columns: int) -> str:
    if columns > 1:
        text = f"{text}.flatten(-{columns})"
    if rows > 1:
        text = f"{text}.flatten(-{rows + 1}, -2)"
    return text


def _einsum(x: Operand, y: Operand, out: Dims) -> str:
    letters = {d: chr(ord("a") + i) for i, d in enumerate(dict.fromkeys((*x.dims, *y.dims)))}
    spell = lambda dims: "".join(letters[d] for d in dims)  # noqa: E731
    return f'torch.einsum("{spell(x.dims)},{spell(y.dims)}->{spell(out)}", {x.text}, {y.text})'
