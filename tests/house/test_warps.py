"""How warps share a product of matrices: each computes a part of its own, and the branches that see to it are gone in
the end (see `_product` in templates/triton/support/dot.py).
"""

from __future__ import annotations

import re
from typing import Any

import pytest

import recurrence_dsl as rd
from recurrence_dsl.runtime.load import load_source
from recurrence_dsl.tools.resources import compile_kernel, written

ROWS, COLUMNS = 16, 8
"""Of the smallest part of a product that a warp computes."""
LAYOUT = re.compile(r"#(mma\d*) = .*warpsPerCTA = \[(\d+), (\d+)\], instrShape = \[(\d+), (\d+)")
RESULT = re.compile(r"(?:tt\.dot|warp_group_dot) .*tensor<(\d+)x(\d+)xf32, #(mma\d*)>")


def compiled(spec: str, kernel: str, changed: tuple[tuple[str, str], ...] = ()) -> Any:
    text = written(rd.load(spec), {"K": 64, "V": 64}).text
    for old, new in changed:
        assert old in text
        text = text.replace(old, new)
    return compile_kernel(load_source(text, spec), kernel, "sm_90")


def repeated(text: str) -> list[str]:
    """Products of which several warps compute the same part, though there are parts enough for all of them."""
    layouts = {name: tuple(map(int, numbers)) for name, *numbers in LAYOUT.findall(text)}
    found = []
    for rows, columns, name in RESULT.findall(text):
        down, across, height, width = layouts[name]
        busy = min(down, int(rows) // height) * min(across, max(1, int(columns) // width))
        if busy < min(down * across, int(rows) // ROWS * (int(columns) // COLUMNS)):
            found.append(f"{rows}x{columns} by {down}x{across} warps")
    return found


KERNELS = [("gated_delta_net", "finish_back"), ("gated_delta_net", "forward_prepared"), ("mamba2", "finish_back")]


@pytest.mark.parametrize(("spec", "kernel"), KERNELS)
def test_no_warp_repeats_what_another_computes(spec, kernel):
    found = compiled(spec, kernel)
    assert RESULT.search(found.asm["ttgir"])
    assert repeated(found.asm["ttgir"]) == []


def test_without_the_branch_they_would():
    branch = (("if tl.num_programs(1) > -AT:", "if True:"),)
    assert repeated(compiled("mamba2", "finish_back", branch).asm["ttgir"])


@pytest.mark.parametrize(("spec", "kernel"), KERNELS)
def test_no_branch_is_left(spec, kernel):
    assert "nctaid" not in compiled(spec, kernel).asm["ptx"]
