"""The layer functions that own a torch module, by their name in the language."""

from __future__ import annotations

from collections.abc import Mapping

from .conv import CONV
from .linear import LINEAR
from .norms import GROUPNORM, LAYERNORM, RMSNORM
from .rotary import ROTARY
from .signature import LayerFunction

LAYER_FUNCTIONS: Mapping[str, LayerFunction] = {
    function.name: function for function in (LINEAR, CONV, ROTARY, RMSNORM, LAYERNORM, GROUPNORM)
}

__all__ = ["LAYER_FUNCTIONS", "LayerFunction"]
