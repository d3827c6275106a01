"""Choosing plans and settings of kernels by measuring them: what is proven right first, and only then timed."""

from .store import save
from .tuner import adopt, ready

__all__ = ["adopt", "ready", "save"]
