"""Packed sequences: one row of tokens that holds several sequences, told apart by their cumulative lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..diagnostics import CallError
from ..options import DEBUG

Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Packing:
    """Start and length of each sequence in the row."""

    starts: tuple[int, ...]
    lengths: tuple[int, ...]

    def groups(self) -> dict[int, tuple[int, ...]]:
        """Sequences of one length together: they run as one batch."""
        found: dict[int, list[int]] = {}
        for i, n in enumerate(self.lengths):
            found.setdefault(n, []).append(i)
        return {n: tuple(members) for n, members in found.items()}


def packing(cu_seqlens: Tensor, batch: int, length: int) -> Packing:
    """Checks [0, n_1, n_1 + n_2, ..., T]: one row, ascending, from 0 to the row's length."""
    _vector(cu_seqlens, batch)
    ends = [int(e) for e in cu_seqlens.tolist()]
    lengths = tuple(b - a for a, b in pairwise(ends))
    if ends[0] != 0 or ends[-1] != length or any(n < 0 for n in lengths):
        raise CallError(
            "R0409", f"cu_seqlens {ends} does not ascend from 0 to the row's length {length}", "check the lengths"
        )
    return Packing(tuple(ends[:-1]), lengths)


def checked_ends(cu_seqlens: Tensor, batch: int, length: int) -> Tensor:
    """As `packing`, for kernels that read the lengths themselves. On a device they are trusted: to look is to wait."""
    _vector(cu_seqlens, batch)
    if cu_seqlens.device.type == "cpu" or DEBUG.flag():
        packing(cu_seqlens, batch, length)
    return cu_seqlens.contiguous()


def _vector(cu_seqlens: Tensor, batch: int) -> None:
    if not isinstance(cu_seqlens, Tensor) or cu_seqlens.dim() != 1 or cu_seqlens.numel() < 1:
        raise CallError("R0409", "cu_seqlens is not a vector", "pass an integer tensor [0, n1, n1 + n2, .., T]")
    if cu_seqlens.is_floating_point() or cu_seqlens.is_complex() or cu_seqlens.dtype is torch.bool:
        raise CallError("R0409", f"cu_seqlens is {cu_seqlens.dtype}", "pass int32 or int64")
    if batch != 1:
        raise CallError("R0409", f"cu_seqlens with a batch of {batch} rows", "pack everything into one row, B = 1")


def run_packed(
    call: Callable[[Tensors, Tensors], tuple[Tensors, Tensors]],
    packed: Packing,
    inputs: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
) -> tuple[Tensors, Tensors]:
    """Runs `call` on each length's sequences as a batch; outputs come back as the row [1, T, ..], states [N, H, ..]."""
    outputs: list[Tensors | None] = [None] * len(packed.lengths)
    finals: list[Tensors | None] = [None] * len(packed.lengths)
    for length, members in packed.groups().items():
        where = [slice(packed.starts[i], packed.starts[i] + length) for i in members]
        rows = {n: torch.cat([x[:, tokens] for tokens in where]) for n, x in inputs.items()}
        before = {n: s[list(members)] for n, s in state.items()}
        found, after = call(rows, before)
        for k, i in enumerate(members):
            outputs[i] = {n: o[k : k + 1] for n, o in found.items()}
            finals[i] = {n: s[k : k + 1] for n, s in after.items()}
    if not outputs:
        return call(dict(inputs), dict(state))
    return _joined(outputs, 1), _joined(finals, 0)


def _joined(parts: list[Tensors | None], dim: int) -> Tensors:
    known = [p for p in parts if p is not None]
    return {n: torch.cat([p[n] for p in known], dim) for n in known[0]}
