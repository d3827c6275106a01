"""Memory that shows what kernels do to it: full of NaN, between numbers that must stay as they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

EDGE = 32
"""Numbers before and after each tensor."""


@contextmanager
def poisoned() -> Iterator[None]:
    """What is allocated is full of NaN, so that a number that no kernel writes shows in a result. Raises AssertionError
    if something is written beyond a tensor's ends."""
    made: list[Tensor] = []
    empty, like = Tensor.new_empty, torch.empty_like

    def new_empty(self: Tensor, size: object, **options: object) -> Tensor:
        if isinstance(size, int) or options.keys() - {"dtype"}:  # what others than the kernels' callers ask for
            return empty(self, size, **options)  # type: ignore[call-overload]
        count = math.prod(size)  # type: ignore[arg-type]
        whole = empty(self, (count + 2 * EDGE,), **options)  # type: ignore[call-overload]
        if not (whole.is_floating_point() or whole.is_complex()):
            return empty(self, size, **options)  # type: ignore[call-overload]
        _numbers(whole).fill_(math.nan)
        made.append(whole)
        return whole[EDGE : EDGE + count].view(size)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "new_empty", new_empty)
        patch.setattr(torch, "empty_like", lambda x, **more: like(x, **more) if more else x.new_empty(x.shape))
        yield
    for whole in made:
        edges = torch.cat((whole[:EDGE], whole[-EDGE:]))
        assert _numbers(edges).isnan().all(), f"something is written beyond {len(whole) - 2 * EDGE} numbers"


def _numbers(x: Tensor) -> Tensor:
    return torch.view_as_real(x) if x.is_complex() else x
