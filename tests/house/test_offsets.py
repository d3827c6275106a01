"""No offset of a kernel wraps around, whatever the sizes of a call, and no grid is too wide for its axis."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import recurrence_dsl as rd
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.runtime.load import load_source
from recurrence_dsl.tools.resources import Written, written

from .kernel_ir import Integers, kernel_ir, lines_of

SIZE = 64


def made(name: str) -> Written:
    spec = rd.load(name)
    return written(spec, {d.name: SIZE for d in spec.dims})


def wrapping(kernels: Written, packed: bool, text: str = "") -> list[str]:
    """Offsets of 32 bits that nothing bounds, and values that may have wrapped around before they were widened."""
    module = load_source(text or kernels.text, kernels.spec)
    found = []
    for name in kernels.names:
        numbers, chunk, offsets = Integers(), module.SETTINGS[name]["C"], 0
        for x in lines_of(kernel_ir(module, name, packed=packed)):
            offsets += x.op == "tt.addptr"
            unbounded = x.op == "tt.addptr" and x.is_narrow and not numbers.fits(x.operands[1])
            if unbounded or (x.op == "arith.extsi" and numbers.narrow_product(x.operands[0], chunk)):
                found.append(f"{name}: {x.rest}")
            numbers.see(x)
        assert offsets, name
    return found


@pytest.mark.parametrize("packed", [False, True], ids=["batch", "packed"])
@pytest.mark.parametrize("spec", [p.stem for p in shipped_specs()])
def test_offsets_do_not_wrap_around(spec: str, packed: bool) -> None:
    assert wrapping(made(spec), packed) == []


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("tl.program_id(0).to(tl.int64)", "tl.program_id(0)"),
        ("b * in_q_b", "b.to(tl.int32) * in_q_b"),
    ],
)
def test_an_offset_that_wraps_around_is_found(wide: str, narrow: str) -> None:
    kernels = made("retnet")
    assert wide in kernels.text
    assert wrapping(kernels, False, kernels.text.replace(wide, narrow))


class Recorder:
    """Stands for a kernel, and remembers how it was launched."""

    def __init__(self) -> None:
        self.grids: list[tuple[int, ...]] = []
        self.wide: set[bool] = set()

    def __getitem__(self, grid: tuple[int, ...]) -> Recorder:
        self.grids.append(grid)
        return self

    def __call__(self, *_: object, **settings: Any) -> None:
        self.wide.add(settings["WIDE"])


def launched(batch: int, length: int, heads: int, **layout: Any) -> tuple[dict[str, Recorder], Any]:
    """Every kernel of a module launched once, on tensors that take no memory."""
    kernels = made("retnet")
    module = load_source(kernels.text, kernels.spec)
    shape = (batch, length, heads, SIZE)
    inputs = [torch.empty(shape, device="meta", dtype=torch.bfloat16, **layout) for _ in module.INPUTS]
    call = module._Call(inputs, [], [], None, heads)
    call.args = dict.fromkeys([n for row in module.KERNELS.values() for n in (*row[1], *row[2])])
    found = {name: Recorder() for name in module.KERNELS}
    rows = {name: (found[name], *row[1:]) for name, row in module.KERNELS.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "KERNELS", rows)
        for name in rows:
            call.launch(name)
    return found, module


def test_a_grid_has_one_axis_that_all_instances_fit_on() -> None:
    batch, heads, length = 4_000, 128, 1_000
    found, module = launched(batch, length, heads)
    for name, kernel in found.items():
        ((count, *others),) = kernel.grids
        assert not others
        each = batch * heads * (-(-length // module.BLOCK) if name in module.PARALLEL else 1)
        assert count % each == 0
        assert 65_535 < count < 2**31


@pytest.mark.parametrize("spec", ["retnet", "gated_delta_net"])
def test_instances_are_numbered_along_that_axis(spec: str) -> None:
    kernels = made(spec)
    module = load_source(kernels.text, kernels.spec)
    for name in kernels.names:
        axes = [x.rest.split()[0] for x in lines_of(kernel_ir(module, name)) if x.op == "tt.get_program_id"]
        assert axes == ["x"], name


@pytest.mark.parametrize(("heads", "wide"), [(8, False), (500_000, False), (2**31 // (64 * SIZE), True)])
def test_rows_far_apart_have_offsets_of_64_bits(heads: int, wide: bool) -> None:
    """A chunk of 64 rows reaches beyond 2^31 numbers from that many heads on."""
    found, _ = launched(1, 128, heads)
    assert {w for kernel in found.values() for w in kernel.wide} == {wide}
