"""Kernels inside torch: checkpointing, autocast, saved modules, data-parallel training, second derivatives."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import recurrence_dsl as rd

from .compare import Case, compare, mixers, random_inputs

ROOT = Path(__file__).parents[2]
CASE = Case("gla", length=19, batch=2, heads=2)


def gradients(mixer: nn.Module, inputs: dict[str, Tensor], *, with_checkpoint: bool) -> dict[str, Tensor]:
    leaves = {n: x.clone().requires_grad_() for n, x in inputs.items()}
    call = lambda: checkpoint(mixer, use_reentrant=False, **leaves) if with_checkpoint else mixer(**leaves)  # noqa: E731
    out = call()
    out.square().sum().backward()
    return {"out": out.detach(), **{n: x.grad for n, x in leaves.items() if x.grad is not None}}


def test_a_checkpointed_call_gives_the_same_bits() -> None:
    kernels, _ = mixers(CASE)
    inputs = random_inputs(kernels.spec, CASE)
    plain = gradients(kernels, inputs, with_checkpoint=False)
    again = gradients(kernels, inputs, with_checkpoint=True)
    assert plain.keys() == again.keys() == {"out", "q", "k", "v", "g"}
    for name, x in plain.items():
        assert torch.equal(x, again[name]), name


def test_the_gradient_of_a_gradient_is_refused() -> None:
    kernels, _ = mixers(CASE)
    leaves = {n: x.requires_grad_() for n, x in random_inputs(kernels.spec, CASE).items()}
    (first,) = torch.autograd.grad(kernels(**leaves).square().sum(), leaves["v"], create_graph=True)
    with pytest.raises(RuntimeError, match=r"gradient of a gradient is not available.*backend='interpreter'"):
        first.sum().backward()


def test_autocast_hands_over_half_precision() -> None:
    """The projections before the mixer come out in float16, the gate stays in float32: the output is float32."""
    kernels, reference = mixers(CASE)
    inputs = random_inputs(kernels.spec, CASE)
    torch.manual_seed(1)
    project = nn.Linear(inputs["v"].shape[-1], inputs["v"].shape[-1], bias=False)

    def run(mixer: nn.Module, kind: torch.dtype) -> Tensor:
        v = project(inputs["v"])
        return mixer(**{n: x.to(kind) for n, x in (inputs | {"v": v}).items()})

    with torch.autocast("cpu", dtype=torch.float16):
        v = project(inputs["v"])
        assert v.dtype is torch.float16
        found = kernels(**(inputs | {"v": v}))
        assert found.dtype is torch.float32
        found.sum().backward()
    assert project.weight.grad is not None
    compare("out", found.detach(), run(reference, torch.float64).detach(), 4e-3)


def test_a_saved_mixer_loads_and_gives_the_same_bits() -> None:
    kernels, _ = mixers(CASE)
    inputs = random_inputs(kernels.spec, CASE)
    before, file = kernels(**inputs), io.BytesIO()
    torch.save(kernels, file)
    file.seek(0)
    assert torch.equal(before, torch.load(file, weights_only=False)(**inputs))


_DATA_PARALLEL = """
import os, sys
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
import recurrence_dsl as rd

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
torch.manual_seed(0)
mixer = rd.compile("mamba2", heads=2, K=4, V=4, backend="triton", chunk_size=16)
half = torch.load(sys.argv[3])[rank]
model = DistributedDataParallel(mixer)
model(**half).square().mean().backward()
if rank == 0:
    torch.save({n: p.grad for n, p in mixer.named_parameters()}, sys.argv[4])
dist.destroy_process_group()
"""


def test_data_parallel_gradients_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    mixer = rd.compile("mamba2", heads=2, K=4, V=4, backend="triton", chunk_size=16)
    case = Case("mamba2", length=17, batch=2, heads=2, sizes={"K": 4, "V": 4})
    inputs = random_inputs(mixer.spec, case)
    mixer(**inputs).square().mean().backward()
    torch.save([{n: x[i : i + 1] for n, x in inputs.items()} for i in range(2)], tmp_path / "inputs")
    script = tmp_path / "rank.py"
    script.write_text(_DATA_PARALLEL)
    files = [str(tmp_path / name) for name in ("rendezvous", "inputs", "grads")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RECURRENCE_QUIET": "1"}
    ranks = [subprocess.Popen([sys.executable, str(script), str(r), *files], env=environment) for r in range(2)]
    assert [p.wait(timeout=300) for p in ranks] == [0, 0]
    found = torch.load(files[-1])
    assert found
    for name, p in mixer.named_parameters():
        assert p.grad is not None
        compare(name, found[name], p.grad, 1e-5)
