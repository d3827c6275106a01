"""The reference interpreter: it defines what a spec means, and shares nothing with the compiler's later stages."""

from .interpret import interpret, trace

__all__ = ["interpret", "trace"]
