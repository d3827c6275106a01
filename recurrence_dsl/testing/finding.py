"""What one property says about one case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..check.spec import Spec
from .case import Case
from .measure import Error


@dataclass(frozen=True, slots=True)
class Finding:
    """`units` is the worst error in units of the tolerance: above 1 the property does not hold."""

    name: str
    case: Case
    absolute: float
    units: float
    where: str

    @property
    def holds(self) -> bool:
        return self.units <= 1


def always(spec: Spec) -> bool:
    """The property asks nothing special of a spec."""
    return True


def as_it_is(spec: Spec, case: Case) -> Case:
    """The property is meant for every case."""
    return case


@dataclass(frozen=True, slots=True)
class Property:
    """A named statement about every compiled mixer.

    `check` measures the worst error on a case; `says` is the statement in one line; `applies` tells for which specs it
    means something; `restrict` turns any case into one that the property is meant for.
    """

    name: str
    says: str
    check: Callable[[Spec, Case], Error]
    applies: Callable[[Spec], bool] = always
    restrict: Callable[[Spec, Case], Case] = as_it_is

    def __call__(self, spec: Spec, case: Case) -> Finding:
        case = self.restrict(spec, case)
        error = self.check(spec, case)
        return Finding(self.name, case, error.absolute, error.units, error.name)
