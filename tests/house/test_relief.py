"""Settings are changed where a kernel spills registers, and nowhere else."""

from __future__ import annotations

import re
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

import recurrence_dsl as rd
from recurrence_dsl.runtime.load import load_source
from recurrence_dsl.tools.resources import compile_kernel, measured, written

SIZES = {"K": 128, "V": 128}
Found = dict[str, tuple[int, float]]


@pytest.fixture
def module() -> ModuleType:
    kernels = written(rd.load("retnet"), SIZES)
    return load_source(kernels.text, kernels.spec)


def chosen(module: ModuleType, name: str, found: Found, rest: tuple[int, float] = (255, 64)) -> tuple[dict, str, int]:
    """The settings for a kernel whose compilations need what is given by the changes, how it is told, and how many
    compilations that took."""
    seen = []

    def spills(settings: dict[str, int]) -> tuple[int, float]:
        changed = {k: v for k, v in settings.items() if module.SETTINGS[name].get(k) != v}
        seen.append(changed)
        return found.get(" ".join(f"{k}={v}" for k, v in changed.items()), rest)

    settings, line = module.without_spills(name, spills)
    return {k: v for k, v in settings.items() if module.SETTINGS[name].get(k) != v}, line, len(seen)


def test_a_kernel_that_spills_nothing_keeps_its_settings(module: ModuleType) -> None:
    assert chosen(module, "forward", {"": (255, 0)}) == ({}, "", 1)


def test_the_first_setting_without_spills_is_taken(module: ModuleType) -> None:
    change, line, count = chosen(module, "forward", {"": (80, 8), "num_warps=4": (200, 0)}, rest=(136, 8))
    assert (change, count) == ({"num_warps": 4}, 3)
    assert line == "forward spills 8 bytes of each thread's registers: num_warps=4"


def test_all_registers_are_no_change_where_they_are_taken_already(module: ModuleType) -> None:
    change, _, count = chosen(module, "forward", {"": (255, 8), "maxnreg=255": (255, 0), "B_V=32": (200, 0)})
    assert (change, count) == ({"B_V": 32}, 3)


def test_where_all_spill_the_least_is_taken(module: ModuleType) -> None:
    change, line, _ = chosen(module, "forward", {"": (255, 80), "B_V=32": (255, 16)})
    assert change == {"B_V": 32}
    assert line.endswith("B_V=32, which leaves 16")
    change, line, _ = chosen(module, "forward", {}, rest=(255, 80))
    assert change == {}
    assert line.endswith("no other setting spills less")


def test_less_is_held_in_loops_before_anything_else_is_changed() -> None:
    """By two degrees, alone and with all other changes."""
    kernels = written(rd.load("gla"), SIZES)
    module = load_source(kernels.text, kernels.spec)
    assert module.SETTINGS["finish_back"]["SPARING"] == 0
    first, second, *others = module.RELIEF["finish_back"]
    assert (first, second) == ({"SPARING": 1}, {"SPARING": 2})
    assert all(change["SPARING"] in (1, 2) and len(change) > 1 for change in others)
    change, _, count = chosen(module, "finish_back", {"": (255, 80), "SPARING=2": (255, 0)})
    assert (change, count) == ({"SPARING": 2}, 3)
    without = [name for name in module.SETTINGS if "SPARING" not in module.SETTINGS[name]]
    assert "carry" in without
    assert not any("SPARING" in change for name in without for change in module.RELIEF[name])


@pytest.mark.parametrize("spec", ["retnet", "rwkv6", "gated_delta_net"])
def test_no_change_touches_what_kernels_share(spec: str) -> None:
    """Neither the chunk, nor in how many shares a gradient is stored."""
    kernels = written(rd.load(spec), SIZES)
    module = load_source(kernels.text, kernels.spec)
    assert set(module.RELIEF) == set(module.SETTINGS)
    for name, changes in module.RELIEF.items():
        assert not any({"C", "LEVELS"} & set(change) for change in changes)
        _, names, _, counts, partial = module.KERNELS[name]
        if partial or any(f"d_{row[0]}" in names for row in module.PARAMS):
            assert not any(axis in change for axis, _ in counts for change in changes), name


class Kernel:
    """Stands for a Triton kernel that spills with its own settings."""

    def __init__(self) -> None:
        self.compiled: list[dict[str, Any]] = []

    def warmup(self, *_: object, grid: tuple[int, ...], **settings: Any) -> Any:
        self.compiled.append(settings)
        if settings.get("num_warps") == 8 and "maxnreg" not in settings:
            spills = 8 + 2
        else:
            spills = 8
        depot = {"ptx": ".local .align 4 .b8 \t__local_depot0[28];"}
        return SimpleNamespace(_init_handles=lambda: None, n_regs=80, n_spills=spills, asm=depot)


@pytest.mark.parametrize(("device", "change", "count"), [("cuda", {"maxnreg": 255}, 2), ("hip", {"num_warps": 4}, 2)])
def test_a_call_compiles_until_nothing_is_spilled_once(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, device: str, change: dict[str, int], count: int
) -> None:
    kernel, said = Kernel(), []
    monkeypatch.setitem(module.KERNELS, "forward", (kernel, *module.KERNELS["forward"][1:]))
    monkeypatch.setattr(module, "say", said.append)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    fixed, here = {"DEVICE": device, "H": 4}, torch.device("meta")
    for _ in range(2):
        settings = module._without_spills_here("forward", [], fixed, here)
        assert settings == {**module.SETTINGS["forward"], **change}
    assert len(kernel.compiled) == count
    assert not [x for x in kernel.compiled if device == "hip" and "maxnreg" in x]
    assert len(said) == 1
    assert "forward spills 8 bytes" in said[0]


def test_nothing_is_compiled_while_a_graph_is_captured(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    monkeypatch.setitem(module.KERNELS, "forward", (kernel, *module.KERNELS["forward"][1:]))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    settings = module._without_spills_here("forward", [], {"DEVICE": "cuda"}, torch.device("meta"))
    assert settings == module.SETTINGS["forward"]
    assert kernel.compiled == []


def test_what_is_reported_is_what_a_call_would_take() -> None:
    """On sm_90 the compiler leaves this kernel too few registers, for more instances a processor."""
    kernels = written(rd.load("gla"), SIZES)
    found = measured(kernels, "transit", "sm_90")
    assert found.changed == "maxnreg=255"
    assert found.spilled == 0


def test_rounds_that_are_kept_apart_load_as_wide_as_others() -> None:
    """The compiler must still know where blocks begin, or it loads number by number."""
    kernels = written(rd.load("retnet"), SIZES)
    module = load_source(kernels.text, kernels.spec)
    texts = []
    for sparing in (0, 1):
        settings = {**module.SETTINGS["gradient"], "SPARING": sparing}
        texts.append(compile_kernel(module, "gradient", "sm_90", settings=settings).asm["ptx"])
    joined, apart = texts
    assert 'pragma "nounroll"' not in joined
    assert apart.count('pragma "nounroll"') == kernels.text.split("def gradient_kernel")[1].count("= _rolled(start_K")
    loads = [sorted(set(re.findall(r"ld\.global[\w.:]*", text))) for text in texts]
    assert loads[0] == loads[1]
    assert any(".v4" in load for load in loads[1])
