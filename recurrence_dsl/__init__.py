"""recurrence_dsl: declarative gated linear recurrences, compiled to fast torch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .check.spec import Spec
from .diagnostics import CallError, Diagnostic, SpecError

if TYPE_CHECKING:
    from . import testing, weights
    from .interpreter import interpret
    from .layers import compile_layer
    from .pipeline import load
    from .runtime.compile import compile

__all__ = [
    "CallError",
    "Diagnostic",
    "Spec",
    "SpecError",
    "compile",
    "compile_layer",
    "interpret",
    "load",
    "testing",
    "weights",
]

_HOMES = {
    "load": "pipeline",
    "compile": "runtime.compile",
    "compile_layer": "layers",
    "interpret": "interpreter",
    "weights": "weights",
    "testing": "testing",
}


def __getattr__(name: str) -> object:
    """Public names are imported when first used, so that `import recurrence_dsl` stays light."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f".{_HOMES[name]}", __name__)
    return home if _HOMES[name] == name else getattr(home, name)
