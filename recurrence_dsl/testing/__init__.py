"""Tests for compiled recurrences, as a library: cases, properties, strategies and `assert_equivalent`.

`strategies` and `check` need hypothesis; they are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import strategies
    from .attack import Attack, check
    from .case import Case, Gates, case_for
    from .equivalence import assert_equivalent, assert_holds, property_named
    from .finding import Finding, Property
    from .properties import PROPERTIES
    from .random_inputs import draw_inputs
    from .report import Report

_HOMES = {
    "Attack": "attack",
    "Case": "case",
    "Finding": "finding",
    "Gates": "case",
    "PROPERTIES": "properties",
    "Property": "finding",
    "Report": "report",
    "assert_equivalent": "equivalence",
    "assert_holds": "equivalence",
    "case_for": "case",
    "check": "attack",
    "draw_inputs": "random_inputs",
    "property_named": "equivalence",
    "strategies": "strategies",
}

__all__ = [
    "PROPERTIES",
    "Attack",
    "Case",
    "Finding",
    "Gates",
    "Property",
    "Report",
    "assert_equivalent",
    "assert_holds",
    "case_for",
    "check",
    "draw_inputs",
    "property_named",
    "strategies",
]


def __getattr__(name: str) -> Any:
    """Public names, imported when first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f".{_HOMES[name]}", __name__)
    return home if name == "strategies" else getattr(home, name)
