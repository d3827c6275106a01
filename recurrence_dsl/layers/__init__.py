"""The layer block: projections, short convolution, token shift, norms, and their decode state around a mixer."""

from .check import check_layer
from .compile import compile_layer
from .layer import Layer
from .model import LanguageModel

__all__ = ["LanguageModel", "Layer", "check_layer", "compile_layer"]
