"""A script: a language model sharded over two processes by FSDP2 has the losses of the whole model."""

from __future__ import annotations

import os
import socket

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from recurrence_dsl.layers import LanguageModel

SPECS = ("gla", "mamba2", "rwkv6")


def model(spec: str) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(spec, vocab=23, d_model=16, n_layers=2, heads=2, K=4, V=8).double()


def losses(lm: nn.Module) -> list[float]:
    """Three steps of descent on the same rows."""
    tokens = torch.randint(23, (2, 12), generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.SGD(lm.parameters(), lr=0.5)
    found = []
    for _ in range(3):
        loss = F.cross_entropy(lm(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    return found


def compare(rank: int, world: int, port: int) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=world)
    try:
        mesh = init_device_mesh("cpu", (world,))
        for spec in SPECS:
            want, lm = losses(model(spec)), model(spec)
            for block in lm.blocks:
                fully_shard(block, mesh=mesh)
            fully_shard(lm, mesh=mesh)
            got = losses(lm)
            assert want[-1] < want[0], spec
            assert all(abs(a - b) < 1e-9 for a, b in zip(got, want, strict=True)), (spec, got, want)
    finally:
        dist.destroy_process_group()


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


if __name__ == "__main__":
    torch.multiprocessing.spawn(compare, args=(2, free_port()), nprocs=2)  # type: ignore[attr-defined]
