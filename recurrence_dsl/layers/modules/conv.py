"""`conv[4](x)`: a short causal convolution over time, one filter for each feature."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from ...expr import Fn
from ..flow import Flow
from ..initialise import fill
from ..pointwise import TORCH
from .signature import Brackets, LayerFunction, OptionKind, OptionSpec, Site


class CausalConv(nn.Module):
    """[B, T, *axes] -> the same; y[t] = sum_j weight[:, 0, j] x[t - width + 1 + j], laid out as in torch."""

    def __init__(self, path: str, channels: int, width: int, bias: bool, act: str) -> None:
        super().__init__()
        conv = nn.Conv1d(channels, channels, width, groups=channels, bias=bias)
        self.weight, self.bias = conv.weight, conv.bias
        self.path, self.width = path, width
        self.act = Fn(act) if act else None

    def forward(self, x: Tensor, flow: Flow) -> Tensor:
        shape = x.shape
        row, taken = flow.extend(self.path, x.flatten(2), self.width - 1)
        if shape[1] == 0:
            return x
        y = F.conv1d(row.transpose(1, 2), self.weight, self.bias, groups=self.weight.shape[0]).transpose(1, 2)
        y = (y if taken is None else y[:, taken]).reshape(shape)
        return TORCH[self.act](y) if self.act is not None else y

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, width={self.width}, bias={self.bias is not None}"


def build(site: Site) -> nn.Module:
    width = site.bracket()
    module = CausalConv(site.path, site.width(site.arg_axes), width, site.flag("bias", False), site.word("act"))
    values = {**site.values, "fan_in": float(width), "fan_out": float(width)}
    if (written := site.expression("weight")) is not None:
        fill(module.weight.data, written, values)
    if module.bias is not None:
        bound = 1 / math.sqrt(width)
        nn.init.uniform_(module.bias, -bound, bound)
        if (written := site.expression("bias")) is not None:
            fill(module.bias.data, written, values)
    return module


CONV = LayerFunction(
    name="conv",
    brackets=Brackets.WIDTH,
    options=(
        OptionSpec(
            "bias",
            OptionKind.FLAG_OR_INITIALISER,
            "false",
            "adds a learned offset, drawn like the weight unless an initialiser is given",
        ),
        OptionSpec("act", OptionKind.WORD, "none", "a pointwise function of the result"),
        OptionSpec("weight", OptionKind.INITIALISER, "uniform(-1, 1) / sqrt(width)", "the filters' initialiser"),
    ),
    summary="A causal convolution of the bracketed width over time, one filter for each feature (depthwise). Its "
    "decode state is the last width - 1 values.",
    keys="`weight` [features, 1, width], `bias` [features], as in `torch.nn.Conv1d`",
    build=build,
)
