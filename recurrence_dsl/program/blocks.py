"""Runs a block program over a whole sequence: chunk after chunk, and its adjoint chunk before chunk.

Arrays are in layout order: inputs and outputs [B, H, T, *axes], params [H, *axes] or [*axes], states [B, H, *axes]. A
step program, whose values have no rows, takes one token after the other (`block` 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .execute import execute
from .ops import ROW, Op, Program
from .pointwise import Array

Arrays = dict[str, Array]
TIME = 2
"""Where the tokens are in an input."""


@dataclass(frozen=True, slots=True)
class Operands:
    """What a program is run on; `sizes` has BATCH, HEAD and every axis."""

    inputs: Mapping[str, Array]
    params: Mapping[str, Array]
    state: Mapping[str, Array]
    sizes: Mapping[str, int]
    length: int


def run_blocks(program: Program, on: Operands, block: int) -> tuple[Arrays, Arrays]:
    """Outputs and final states."""
    outputs, states = _forward(program, on, block)
    return outputs, states[-1]


def run_blocks_backward(
    program: Program, backward: Program, on: Operands, cotangents: Mapping[str, Array], block: int
) -> Arrays:
    """Gradients `input:NAME`, `param:NAME`, `state:NAME`, given those of `output:NAME` and the final `state:NAME`."""
    _, states = _forward(program, on, block)
    given = {n: cotangents[f"output:{n}"] for n in _names(program, "output")}
    d_state = {n: cotangents[f"state:{n}"] for n in on.state}
    found = {f"input:{n}": np.zeros_like(x) for n, x in on.inputs.items()}
    totals = {f"param:{n}": np.zeros_like(p) for n, p in on.params.items()}
    for (start, stop), before in reversed(list(zip(_blocks(on, block), states, strict=False))):
        leaves = _leaves(program, on, before, start, stop)
        leaves |= {(Op.COTANGENT, f"output:{n}"): _tokens(program, d, start, stop) for n, d in given.items()}
        leaves |= {(Op.COTANGENT, f"state:{n}"): d for n, d in d_state.items()}
        results = execute(backward, leaves, {**on.sizes, ROW: stop - start})
        for n in on.inputs:
            _place(program, found[f"input:{n}"], results.get(f"input:{n}", 0.0), start, stop)
        for key in totals:
            totals[key] = totals[key] + results.get(key, 0.0)
        d_state = {n: results.get(f"state:{n}", np.zeros_like(d)) for n, d in d_state.items()}
    return found | totals | {f"state:{n}": d for n, d in d_state.items()}


def _forward(program: Program, on: Operands, block: int) -> tuple[Arrays, list[Arrays]]:
    """Outputs, and the states before each block and after the last."""
    assert block == 1 or has_rows(program), "a step takes one token"
    parts: dict[str, list[Array]] = {n: [] for n in _names(program, "output")}
    states = [dict(on.state)]
    for start, stop in _blocks(on, block):
        leaves = _leaves(program, on, states[-1], start, stop)
        results = execute(program, leaves, {**on.sizes, ROW: stop - start})
        for n, rows in parts.items():
            value = results[f"output:{n}"]
            rows.append(value if has_rows(program) else np.expand_dims(value, TIME))
        states.append({n: results[f"state:{n}"] for n in on.state})
    return {n: np.concatenate(rows, TIME) for n, rows in parts.items()}, states


def has_rows(program: Program) -> bool:
    """Is it a program of a chunk, rather than of a step?"""
    return any(ROW in v.dims for v in program.values)


def _blocks(on: Operands, block: int) -> list[tuple[int, int]]:
    return [(i, min(i + block, on.length)) for i in range(0, on.length, block)]


def _names(program: Program, kind: str) -> list[str]:
    return [key.removeprefix(f"{kind}:") for key, _ in program.outputs if key.startswith(f"{kind}:")]


def _leaves(program: Program, on: Operands, state: Arrays, start: int, stop: int) -> dict[tuple[Op, str], Array]:
    leaves = {(Op.INPUT, n): _tokens(program, x, start, stop) for n, x in on.inputs.items()}
    leaves |= {(Op.PARAM, n): p for n, p in on.params.items()}
    return leaves | {(Op.STATE, n): s for n, s in state.items()}


def _tokens(program: Program, x: Array, start: int, stop: int) -> Array:
    return x[:, :, start:stop] if has_rows(program) else x[:, :, start]


def _place(program: Program, target: Array, value: Array | float, start: int, stop: int) -> None:
    if has_rows(program):
        target[:, :, start:stop] = value
    else:
        target[:, :, start] = value
