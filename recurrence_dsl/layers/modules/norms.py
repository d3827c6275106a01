"""`rmsnorm`, `layernorm`, `groupnorm`: normalise over axes of a token's features, with a learned scale and offset."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..flow import Flow
from ..initialise import fill
from .signature import Brackets, LayerFunction, OptionKind, OptionSpec, Site


class Norm(nn.Module):
    """[B, T, *axes] -> the same. The learned `weight` and `bias` are flat, one entry for each feature of `affine`.

    `parts` splits the leading axis in so many equal parts, each normalised by itself.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        over: tuple[int, ...],
        affine: tuple[int, ...],
        *,
        eps: float,
        centred: bool,
        bias: bool,
        parts: int = 1,
    ) -> None:
        super().__init__()
        self.shape, self.over, self.eps, self.centred, self.parts = shape, over, eps, centred, parts
        self.spread = tuple(size if place in affine else 1 for place, size in enumerate(shape))
        width = math.prod(self.spread)
        self.weight = nn.Parameter(torch.ones(width)) if affine else None
        self.bias = nn.Parameter(torch.zeros(width)) if affine and bias else None

    def forward(self, x: Tensor, flow: Flow | None = None) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        y = (
            self._normalise(wide.unflatten(2, (self.parts, -1))).flatten(2, 3)
            if self.parts > 1
            else self._apply_over(wide, self.over)
        )
        if self.weight is not None:
            y = y.to(x.dtype) * self.weight.view(self.spread)
        if self.bias is not None:
            y = y + self.bias.view(self.spread)
        return y.to(x.dtype)

    def _normalise(self, x: Tensor) -> Tensor:
        return self._apply_over(x, tuple(place + 1 for place in self.over))

    def _apply_over(self, x: Tensor, over: tuple[int, ...]) -> Tensor:
        dims = [2 + place for place in over]
        if self.centred:
            x = x - x.mean(dims, keepdim=True)
        return x * torch.rsqrt(x.square().mean(dims, keepdim=True) + self.eps)

    def extra_repr(self) -> str:
        return f"{self.shape}, over={self.over}, eps={self.eps:g}, parts={self.parts}"


def _build(site: Site, centred: bool, per_head: bool, bias: bool, eps: float) -> Norm:
    over = tuple(site.arg_axes.index(axis) for axis in site.brackets)
    scaled = site.word("affine") == "heads" or (per_head and "affine" not in site.options)
    affine = over if site.flag("affine", True) else ()
    if affine and scaled and "heads" in site.arg_axes:
        affine = (site.arg_axes.index("heads"), *affine)
    within = site.word("within")
    norm = Norm(
        site.shape(site.arg_axes),
        over,
        affine,
        eps=site.number("eps", eps),
        centred=centred,
        bias=site.flag("bias", bias),
        parts=site.sizes[within] if within else 1,
    )
    _fill(norm, site, tuple(site.arg_axes[place] for place in affine))
    return norm


def _fill(norm: Norm, site: Site, axes: tuple[str, ...]) -> None:
    """Draws the scale as its option says, one entry for each feature of `axes`."""
    written = site.expression("weight")
    if written is not None and norm.weight is not None:
        fill(norm.weight.data.view(site.shape(axes)), written, site.values, axes)


def build_rms(site: Site) -> nn.Module:
    return _build(site, centred=False, per_head=False, bias=False, eps=1e-6)


def build_layer(site: Site) -> nn.Module:
    return _build(site, centred=True, per_head=False, bias=True, eps=1e-5)


def build_group(site: Site) -> nn.Module:
    return _build(site, centred=True, per_head=True, bias=True, eps=1e-5)


def _options(eps: str, affine: str, bias: str) -> tuple[OptionSpec, ...]:
    return (
        OptionSpec("eps", OptionKind.NUMBER, eps, "added to the mean square"),
        OptionSpec(
            "affine",
            OptionKind.WORD,
            affine,
            "`true`: a learned scale of the bracketed axes; `heads`: of the "
            "bracketed axes and for each head its own; `false`: none",
            words=("true", "false", "heads"),
        ),
        OptionSpec("bias", OptionKind.FLAG, bias, "a learned offset beside the scale"),
        OptionSpec("weight", OptionKind.INITIALISER, "1", "the scale's initialiser"),
        OptionSpec(
            "within",
            OptionKind.WORD,
            "none",
            "with `heads` among the brackets: normalises each group's heads by themselves",
            words=("groups",),
        ),
    )


_KEYS = "`weight` and `bias`, flat: one entry for each feature of the axes that `affine` names"

RMSNORM = LayerFunction(
    name="rmsnorm",
    brackets=Brackets.OVER,
    options=_options("1e-6", "true", "false"),
    keys=_KEYS,
    build=build_rms,
    summary="x / sqrt(mean(x^2) + eps) over the bracketed axes, times a learned scale.",
)
LAYERNORM = LayerFunction(
    name="layernorm",
    brackets=Brackets.OVER,
    options=_options("1e-5", "true", "true"),
    keys=_KEYS,
    build=build_layer,
    summary="(x - mean(x)) / sqrt(var(x) + eps) over the bracketed axes, with a learned scale and offset.",
)
GROUPNORM = LayerFunction(
    name="groupnorm",
    brackets=Brackets.OVER,
    options=_options("1e-5", "heads", "true"),
    keys=_KEYS,
    build=build_group,
    summary="layernorm with a scale and offset of each head's own: torch's GroupNorm with one group a head.",
)
