"""One call of a layer: the state that comes in, the state that goes out, and where sequences begin."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

State = dict[str, Tensor]
"""A layer's decode state: each tensor has one entry for each sequence in front."""

POSITION = "position"


class Flow:
    """Rows of tokens, [B, T], or one row of packed sequences when `cu_seqlens` ([N + 1]) says where each begins.

    `step` asks the mixer for its one-token function; rows are then one token long.
    """

    def __init__(
        self, x: Tensor, state: Mapping[str, Tensor] | None, cu_seqlens: Tensor | None = None, step: bool = False
    ) -> None:
        self.step = step
        self.batch, self.length = x.shape[:2]
        self.device = x.device
        self.before: Mapping[str, Tensor] = state or {}
        self.after: State = {}
        self.cu_seqlens = cu_seqlens
        self.sequences = self.batch if cu_seqlens is None else cu_seqlens.shape[0] - 1
        self._owner: Tensor | None = None
        self._positions: Tensor | None = None

    def extend(self, key: str, x: Tensor, width: int) -> tuple[Tensor, Tensor | None]:
        """`x` [B, T, C] with the last `width` values of the past in front of each sequence.

        Gives the longer row and, when rows are packed, which windows of `width + 1` values end at a token. Keeps the
        last `width` values of each sequence under `key`.
        """
        past = self.before.get(key)
        if past is None:
            past = x.new_zeros(self.sequences, width, x.shape[-1])
        past = past.to(x.dtype)
        if self.cu_seqlens is None:
            row = torch.cat((past, x), 1)
            self.after[key] = row[:, row.shape[1] - width :]
            return row, None
        return self._extend_packed(key, x, past, width, self.cu_seqlens)

    def _extend_packed(
        self, key: str, x: Tensor, past: Tensor, width: int, cu_seqlens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Token t of sequence i stands at t + (i + 1) * width of the longer row, its past just before its first."""
        steps = torch.arange(width, device=self.device)
        begins = cu_seqlens[:-1] + torch.arange(self.sequences, device=self.device) * width
        ends = cu_seqlens[1:] + torch.arange(self.sequences, device=self.device) * width
        windows = torch.arange(self.length, device=self.device) + self.owner() * width
        row = x.new_empty(self.length + self.sequences * width, x.shape[-1])
        row = row.index_copy(0, (begins[:, None] + steps).flatten(), past.flatten(0, 1))
        row = row.index_copy(0, windows + width, x[0])
        self.after[key] = row[ends[:, None] + steps]
        return row[None], windows

    def previous(self, key: str, x: Tensor) -> Tensor:
        """Each token's value one token earlier."""
        row, taken = self.extend(key, x.flatten(2), 1)
        shifted = row[:, :-1] if taken is None else row[:, taken]
        return shifted.reshape(x.shape)

    def owner(self) -> Tensor:
        """The sequence that each token of a packed row belongs to, [T]."""
        if self._owner is None:
            assert self.cu_seqlens is not None
            tokens = torch.arange(self.length, device=self.device)
            self._owner = torch.searchsorted(self.cu_seqlens, tokens, right=True) - 1
        return self._owner

    def positions(self) -> Tensor:
        """The index of each token in its sequence, counted from the sequence's first token ever, [B, T]."""
        if self._positions is None:
            seen = self.before.get(POSITION)
            if seen is None:
                seen = torch.zeros(self.sequences, dtype=torch.int64, device=self.device)
            tokens = torch.arange(self.length, device=self.device)
            if self.cu_seqlens is None:
                self._positions = seen[:, None] + tokens
                self.after[POSITION] = seen + self.length
            else:
                owner = self.owner()
                self._positions = (tokens - self.cu_seqlens[owner] + seen[owner])[None]
                self.after[POSITION] = seen + self.cu_seqlens.diff()
        return self._positions
