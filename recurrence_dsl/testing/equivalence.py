"""`assert_equivalent`: one call that compares every form of a spec with its definition."""

from __future__ import annotations

from typing import Any

from ..check.spec import Spec
from .case import Case, case_for
from .finding import Property
from .properties import AGREEMENT, GRADIENTS, PROPERTIES


def assert_equivalent(spec: Spec, case: Case | None = None, **options: Any) -> None:
    """Chunk form = recurrent form = interpreter on one case: outputs, final state, and every gradient.

    spec     a checked spec
    case     the case; or give `length=`, `batch=`, `heads=`, `sizes={...}`, `dtype=`, `gates=`, `seed=`, ...

    Raises AssertionError that names the tensor, the error and the case.
    """
    chosen = case or case_for(spec, **options)
    for prop in (AGREEMENT, GRADIENTS):
        assert_holds(prop, spec, chosen)


def assert_holds(prop: Property, spec: Spec, case: Case) -> None:
    """One property on one case. Raises AssertionError that names the tensor, the error and the case."""
    finding = prop(spec, case)
    if not finding.holds:
        raise AssertionError(
            f"{spec.name}: {prop.says}: not so for {finding.where}, which is off by {finding.absolute:.3g}, "
            f"{finding.units:.3g} times the tolerance, on {finding.case}"
        )


def property_named(name: str) -> Property:
    """A property by its name. Raises KeyError."""
    return {prop.name: prop for prop in PROPERTIES}[name]
