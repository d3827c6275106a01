"""Statements that hold for every compiled mixer."""

from .agreement import AGREEMENT, DIRECTIONAL, EXTREME, EXTREME_GRADIENTS, GRADIENTS
from .algebra import LINEARITY, PROMISES, RANGES
from .composition import CHUNK_SIZE, PACKED, SHORT, SPLIT, STEP
from .hygiene import FINITE, REPEAT, STRIDES, UNTOUCHED, WRITTEN
from .locality import BATCH, CAUSALITY, HEADS
from .precision import LOW_PRECISION

PROPERTIES = (
    AGREEMENT,
    GRADIENTS,
    DIRECTIONAL,
    EXTREME,
    EXTREME_GRADIENTS,
    CHUNK_SIZE,
    SPLIT,
    PACKED,
    STEP,
    SHORT,
    CAUSALITY,
    BATCH,
    HEADS,
    FINITE,
    WRITTEN,
    REPEAT,
    UNTOUCHED,
    STRIDES,
    LINEARITY,
    PROMISES,
    RANGES,
    LOW_PRECISION,
)

__all__ = [
    "PROPERTIES",
    "AGREEMENT",
    "DIRECTIONAL",
    "EXTREME",
    "EXTREME_GRADIENTS",
    "GRADIENTS",
    "LINEARITY",
    "PROMISES",
    "RANGES",
    "CHUNK_SIZE",
    "PACKED",
    "SHORT",
    "SPLIT",
    "STEP",
    "FINITE",
    "REPEAT",
    "STRIDES",
    "UNTOUCHED",
    "WRITTEN",
    "BATCH",
    "CAUSALITY",
    "HEADS",
    "LOW_PRECISION",
]
