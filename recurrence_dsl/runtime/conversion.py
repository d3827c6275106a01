"""Moves and converts a module's tensors as torch does, with complex ones following their real type."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Conversion = Callable[[Tensor], Tensor]
KEPT = (torch.float32, torch.float64)
"""Real types that have a complex one which computes."""


def on_parts(convert: Conversion) -> Conversion:
    """`convert` applied to the real and imaginary parts of complex tensors, and as it is to real ones.

    torch's own `double()` passes complex tensors by, and its `to(torch.float64)` drops their imaginary parts. With this
    a complex64 tensor becomes complex128 wherever a float32 one becomes float64. Half precisions have no complex type
    that computes: there a complex tensor becomes complex64.
    """

    def converted(tensor: Tensor) -> Tensor:
        if not tensor.is_complex():
            return convert(tensor)
        parts = convert(torch.view_as_real(tensor.resolve_conj()))
        if parts.is_complex():  # asked for a complex type by name
            return convert(tensor)
        return torch.view_as_complex(parts if parts.dtype in KEPT else parts.float())

    return converted
