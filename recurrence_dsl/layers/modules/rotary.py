"""`rotary[K](x)`: rotates pairs of features by an angle that grows with the token's position."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...diagnostics import CallError
from ..flow import Flow
from ..static import evaluate
from .signature import Brackets, LayerFunction, OptionKind, OptionSpec, Site


class Rotary(nn.Module):
    """[B, T, *axes] -> the same, pairs (a, b) of one axis turned to (a cos - b sin, a sin + b cos) by t * angle."""

    def __init__(self, dim: int, angles: tuple[float, ...], interleaved: bool) -> None:
        super().__init__()
        self.dim, self.angles, self.interleaved = dim, angles, interleaved

    def forward(self, x: Tensor, flow: Flow) -> Tensor:
        x = x.movedim(self.dim, -1)
        cos, sin = self._turn(x, flow)
        if self.interleaved:
            a, b = x[..., 0::2], x[..., 1::2]
            y = torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)
        else:
            a, b = x.chunk(2, -1)
            y = torch.cat((a * cos - b * sin, a * sin + b * cos), -1)
        return y.to(x.dtype).movedim(-1, self.dim)

    def _turn(self, x: Tensor, flow: Flow) -> tuple[Tensor, Tensor]:
        """Cosines and sines, [B, T, 1.., K / 2]; the product of position and angle needs float64's digits."""
        angles = torch.tensor(self.angles, dtype=torch.float64, device=x.device)
        phase = flow.positions()[..., None].to(torch.float64) * angles
        phase = phase.reshape(*phase.shape[:2], *(1,) * (x.ndim - 3), phase.shape[-1])
        wide = torch.promote_types(x.dtype, torch.float32)
        return phase.cos().to(wide), phase.sin().to(wide)

    def extra_repr(self) -> str:
        return f"{2 * len(self.angles)}, {'interleaved' if self.interleaved else 'halves'}"


def build(site: Site) -> nn.Module:
    axis = site.brackets[0]
    size = site.sizes[axis]
    if size % 2:
        raise CallError("R0515", f"`{site.path}` rotates pairs, so the size of {axis} must be even, not {size}")
    base = site.number("base", 10000.0)
    written = site.expression("angle")
    if written is None:
        angles = tuple(base ** (-2 * index / size) for index in range(size // 2))
    else:
        angles = tuple(evaluate(written, {**site.values, "index": float(i)}) for i in range(size // 2))
    dim = 2 + site.arg_axes.index(axis)
    return Rotary(dim, angles, site.word("layout", "halves") == "interleaved")


ROTARY = LayerFunction(
    name="rotary",
    brackets=Brackets.OVER,
    options=(
        OptionSpec(
            "layout",
            OptionKind.WORD,
            "halves",
            "which features make a pair: `halves` pairs i with i + K/2, `interleaved` pairs 2i with 2i + 1",
            words=("halves", "interleaved"),
        ),
        OptionSpec("base", OptionKind.NUMBER, "10000", "pair i turns by base ** (-2 * i / K) a token"),
        OptionSpec(
            "angle",
            OptionKind.VECTOR,
            "as `base` says",
            "the angle a token, as an expression of the pair's `index`; replaces `base`",
        ),
    ),
    summary="Rotary position embedding over one axis. Its decode state is the number of tokens seen.",
    keys="none",
    build=build,
)
