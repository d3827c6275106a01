"""`linear[K](x)`: a linear map from all features of a token to features with the bracketed axes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...expr import Fn
from ..flow import Flow
from ..initialise import fill
from ..pointwise import TORCH
from .signature import Brackets, LayerFunction, OptionKind, OptionSpec, Site


class Linear(nn.Linear):
    """[B, T, *in] -> [B, T, *out]; the weight is [prod(out), prod(in)] as in `torch.nn.Linear`."""

    def __init__(self, inputs: int, shape: tuple[int, ...], bias: bool) -> None:
        super().__init__(inputs, math.prod(shape), bias=bias)
        self.shape = shape

    def forward(self, x: Tensor, flow: Flow | None = None) -> Tensor:
        return super().forward(x.flatten(2)).unflatten(-1, self.shape)


class LowRankLinear(nn.Module):
    """[B, T, *in] -> [B, T, *out] through `rank` features, with a pointwise function between when there is one."""

    def __init__(self, inputs: int, rank: int, shape: tuple[int, ...], bias: bool, act: str) -> None:
        super().__init__()
        self.down = nn.Linear(inputs, rank, bias=False)
        self.up = nn.Linear(rank, math.prod(shape), bias=bias)
        self.shape = shape
        self.act = Fn(act) if act else None

    def forward(self, x: Tensor, flow: Flow | None = None) -> Tensor:
        narrow = self.down(x.flatten(2))
        if self.act is not None:
            narrow = TORCH[self.act](narrow)
        return self.up(narrow).unflatten(-1, self.shape)

    def extra_repr(self) -> str:
        return f"act={self.act.value}" if self.act else ""


class LinearWithin(nn.Module):
    """[B, T, P, *in] -> [B, T, P, *out]: each of the P heads (or groups) has a map of its own, [P, out, in]."""

    def __init__(self, parts: int, inputs: int, shape: tuple[int, ...], bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(parts, math.prod(shape), inputs))
        self.bias = nn.Parameter(torch.zeros(parts, math.prod(shape))) if bias else None
        self.shape = shape
        bound = 1 / math.sqrt(inputs)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor, flow: Flow | None = None) -> Tensor:
        y = torch.einsum("btpi,poi->btpo", x.flatten(3), self.weight)
        if self.bias is not None:
            y = y + self.bias
        return y.unflatten(-1, self.shape)

    def extra_repr(self) -> str:
        parts, outputs, inputs = self.weight.shape
        return f"{inputs} -> {outputs} within each of {parts}"


def build(site: Site) -> nn.Module:
    bias = site.flag("bias", False)
    within = site.word("within")
    if within:
        parts, inputs = site.sizes[within], site.width(site.arg_axes[1:])
        module: nn.Module = LinearWithin(parts, inputs, site.shape(site.result_axes[1:]), bias)
        weight, offset = module.weight, module.bias
    elif "rank" in site.options:
        rank = site.count("rank")
        module = LowRankLinear(site.width(site.arg_axes), rank, site.shape(site.result_axes), bias, site.word("act"))
        weight, offset = module.up.weight, module.up.bias
        _fill(module.down.weight, site, "down", module.down.weight)
    else:
        module = Linear(site.width(site.arg_axes), site.shape(site.result_axes), bias)
        weight, offset = module.weight, module.bias
    _fill(weight, site, "weight", weight)
    if offset is not None:
        nn.init.zeros_(offset)
        _fill(offset, site, "bias", weight)
    return module


def _fill(tensor: Tensor, site: Site, option: str, matrix: Tensor) -> None:
    """Draws a tensor as its option says; `fan_in` and `fan_out` are the widths that the matrix joins."""
    written = site.expression(option)
    if written is None:
        return
    fans = {"fan_out": float(matrix.shape[-2]), "fan_in": float(matrix.shape[-1])}
    axes = site.result_axes if option == "bias" and not site.word("within") else ()
    view = tensor.data.view(site.shape(axes)) if axes else tensor.data
    fill(view, written, {**site.values, **fans}, axes)


LINEAR = LayerFunction(
    name="linear",
    brackets=Brackets.RESULT,
    options=(
        OptionSpec(
            "bias",
            OptionKind.FLAG_OR_INITIALISER,
            "false",
            "adds a learned offset, zero at first unless an initialiser is given",
        ),
        OptionSpec("rank", OptionKind.NUMBER, "full", "goes through so few features (two matrices)"),
        OptionSpec("act", OptionKind.WORD, "none", "with `rank`: the pointwise function between the two matrices"),
        OptionSpec(
            "within",
            OptionKind.WORD,
            "none",
            "each head (or group) has its own matrix, from its own features",
            words=("heads", "groups"),
        ),
        OptionSpec("weight", OptionKind.INITIALISER, "uniform(-1, 1) / sqrt(fan_in)", "the matrix's initialiser"),
        OptionSpec(
            "down", OptionKind.INITIALISER, "as `weight`'s default", "with `rank`: the first matrix's initialiser"
        ),
    ),
    summary="A linear map from all features of a token, heads merged, to features with the bracketed axes.",
    keys="`weight` [out, in], `bias` [out]; with `rank`, `down.weight` [rank, in], `up.weight` [out, rank] and "
    "`up.bias`; with `within`, `weight` [parts, out, in] and `bias` [parts, out]",
    build=build,
)
