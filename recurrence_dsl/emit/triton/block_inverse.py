"""Prints the inverse of a block triangular system: several rank-one terms a token."""

from __future__ import annotations

from collections.abc import Callable

from .rounds import loop_lines


def block_inverse_lines(name: str, a: list[str], side: int, upper: bool, number: Callable[[], int]) -> list[str]:
    """(I - A)^-1 for A in side x side tiles: the inverses of diagonal blocks of 2, 4, .. rows from those of half as
    many.

    `name` becomes a tuple of the tiles, row by row; `number` gives each product one of its own.
    """
    parts = [[f"{name}_{m}{n}" for n in range(side)] for m in range(side)]
    row, column = ("[:, None]", "[None, :]") if not upper else ("[None, :]", "[:, None]")
    lines = []
    for m in range(side):
        for n in range(side):
            start = "tl.where(i_t[:, None] == i_t[None, :], 1.0, 0.0)" if m == n else "tl.zeros((C, C), tl.float32)"
            lines.append(f"{parts[m][n]} = {start}")
    body = [f"corner = ((i_t{row} ^ i_t{column}) >> level == 1) & (i_t{row} > i_t{column})"]
    for m in range(side):
        for n in range(side):
            found = ""
            for k in range(side):
                corner = f"tl.where(corner, {a[k * side + n]}, 0.0)"
                found = f"_dot_exact({parts[m][k]}, {corner}, PRECISION, {number()}{found and f', {found}'})"
            body.append(f"{name}_by_{m}{n} = {found}")
    for m in range(side):
        for n in range(side):
            found = parts[m][n]
            for k in range(side):
                found = f"_dot_exact({name}_by_{m}{k}, {parts[k][n]}, PRECISION, {number()}, {found})"
            body.append(f"{name}_new_{m}{n} = {found}")
    for m in range(side):
        for n in range(side):
            body.append(f"{parts[m][n]} = {name}_new_{m}{n}")
    return [*lines, *loop_lines("level", "0, LEVELS", body), f"{name} = ({', '.join(p for r in parts for p in r)})"]
