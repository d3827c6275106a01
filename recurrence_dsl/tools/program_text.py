"""Prints a block program: one operation a line, with its dims."""

from __future__ import annotations

from enum import Enum

from ..program.ops import BATCH, COL, HEAD, ROW, TERM, TERM2, Op, Prim, Program, Value
from .expressions import number_text

_DIMS = {BATCH: "B", HEAD: "H", ROW: "t", COL: "s", TERM: "m", TERM2: "n"}


def program_text(program: Program, title: str) -> str:
    """The operations in order, then the results. Dims: batch B, head H, token t and s, rank-one term m and n, axes."""
    names = {v.index: f"%{v.index}{f' {v.hint}' if v.hint else ''}" for v in program.values}
    dims = {v.index: f"[{' '.join(_DIMS.get(d, d) for d in v.dims)}]" for v in program.values}
    widths = max(map(len, names.values()), default=0), max(map(len, dims.values()), default=0)
    lines = [
        f"  {names[v.index]:<{widths[0]}}  {dims[v.index]:<{widths[1]}}  {operation_text(v)}" for v in program.values
    ]
    results = [f"  {key} = %{index}" for key, index in program.outputs]
    return "\n".join([f"{title} ({len(lines)} operations)", *lines, "results", *results])


def operation_text(v: Value) -> str:
    """`contract[K](%3, %7)`, `exp(%4)`; ends with `complex` where it is."""
    name = v.attr.value if v.op is Op.MAP and isinstance(v.attr, Prim) else v.op.value
    attribute = "" if v.op is Op.MAP or v.attr is None else f"[{_attribute(v)}]"
    arguments = f"({', '.join(f'%{i}' for i in v.args)})" if v.args else ""
    return f"{name}{attribute}{arguments}{' complex' if v.is_complex else ''}"


def _attribute(v: Value) -> str:
    match v.attr:
        case tuple():
            return ", ".join(_DIMS.get(str(part), str(part)) for part in v.attr)
        case Enum():
            return str(v.attr.value)
        case float() | int() | complex():
            return number_text(v.attr)
        case _:
            return str(v.attr)
