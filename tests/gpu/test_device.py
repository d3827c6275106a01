"""What only a device shows: huge grids and tensors, CUDA graphs, compiled callers, the tuner's choices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import recurrence_dsl as rd
from recurrence_dsl.runtime.tuning import store

pytestmark = pytest.mark.gpu


def mixer_and_inputs(
    device: str, spec: str = "retnet", *, batch: int = 2, length: int = 130, heads: int = 4, size: int = 64, **more: Any
) -> tuple[Any, dict[str, Tensor]]:
    made: dict[str, Any] = {d.name: size for d in rd.load(spec).dims}
    mixer = rd.compile(spec, heads=heads, backend="triton", **made).to(device)
    g = torch.Generator(device).manual_seed(0)
    shape = (batch, length, heads)
    axes = {i.name: tuple(made[a] for a in i.axes) for i in mixer.spec.inputs}
    kind = more.get("dtype", torch.bfloat16 if device == "cuda" else torch.float32)
    inputs = {n: torch.randn((*shape, *a), generator=g, device=device).to(kind) / size**0.5 for n, a in axes.items()}
    return mixer, inputs


def test_more_instances_than_a_grid_axis_has(device: str) -> None:
    batch = 33_000 if device == "cuda" else 3
    mixer, inputs = mixer_and_inputs(device, batch=batch, length=3, heads=2, size=16)
    whole = mixer(**inputs)
    for b in (0, batch - 1):
        assert torch.equal(whole[b : b + 1], mixer(**{n: x[b : b + 1] for n, x in inputs.items()}))


def test_more_than_two_to_the_31_elements(gpu: str) -> None:
    mixer, inputs = mixer_and_inputs(gpu, batch=130, length=1024, heads=128, size=128)
    assert inputs["q"].numel() > 2**31
    with torch.no_grad():
        whole = mixer(**inputs)
        assert torch.equal(whole[-1:], mixer(**{n: x[-1:] for n, x in inputs.items()}))


def test_a_captured_graph_replays_the_eager_bits(gpu: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRENCE_TUNE", "1")
    mixer, inputs = mixer_and_inputs(gpu, "gla")
    mixer.kernels.PREFERRED.update(FORWARD="split")
    side = torch.cuda.Stream()
    try:
        with torch.cuda.stream(side), torch.no_grad():
            monkeypatch.setenv("RECURRENCE_TUNE", "0")
            mixer(**inputs)  # compiles the kernels
            monkeypatch.setenv("RECURRENCE_TUNE", "1")
            mixer.kernels.TUNED.clear()
        side.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(graph):
            captured = mixer(**inputs)
        assert not mixer.kernels.TUNED, "nothing is measured while a graph is captured"
        for x in inputs.values():
            x.mul_(0.5)
        graph.replay()
        monkeypatch.setenv("RECURRENCE_TUNE", "0")
        with torch.no_grad():
            assert torch.equal(captured, mixer(**inputs))
    finally:
        mixer.kernels.PREFERRED.clear()


def test_a_compiled_caller_gets_the_eager_bits(gpu: str) -> None:
    mixer, inputs = mixer_and_inputs(gpu, "gated_delta_net")
    leaves = {n: x.clone().requires_grad_() for n, x in inputs.items()}
    again = {n: x.clone().requires_grad_() for n, x in inputs.items()}
    mixer(**leaves).float().square().sum().backward()
    torch.compile(mixer, fullgraph=True)(**again).float().square().sum().backward()
    for n, x in leaves.items():
        assert x.grad is not None
        assert torch.equal(x.grad, again[n].grad), n


def test_the_tuner_measures_once_and_its_choice_is_right(
    gpu: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mixer, inputs = mixer_and_inputs(gpu, "gla", batch=1, length=500)
    plain = mixer(**inputs).float()
    mixer.kernels.TUNED.clear()
    monkeypatch.setenv("RECURRENCE_TUNE", "1")
    monkeypatch.setenv("RECURRENCE_CACHE_DIR", str(tmp_path))
    tuned = mixer(**inputs).float()
    (key,) = mixer.kernels.TUNED
    assert torch.cuda.get_device_name() in key
    assert store.known(mixer.kernels.NAME) == mixer.kernels.TUNED
    assert float((tuned - plain).abs().max() / plain.abs().max()) < 0.02
    mixer.kernels.TUNED.clear()
