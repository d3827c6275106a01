"""`recurrence check`: attacks a spec's compiled mixer with every property until something breaks, or nothing does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky

from ..check.spec import Spec
from .case import DTYPES, Case
from .finding import Finding, Property
from .properties import PROPERTIES
from .report import Report, Row, Verdict
from .strategies import cases

FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError)
"""What a faulty kernel may raise; anything that it raises on a legal case is a failure of the property."""

DEEP_SECONDS = 600.0

Progress = Callable[[str, int, int], None]
"""Called with a property's name, the cases tried so far and the cases planned."""


class Violation(Exception):
    """A property does not hold on a case."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(f"{finding.name}: {finding.where}, {finding.units:.3g} times the tolerance on {finding.case}")


@dataclass(slots=True)
class _Tally:
    """What one property has seen so far."""

    tried: int = 0
    worst: Finding | None = None

    def add(self, finding: Finding) -> None:
        self.tried += 1
        if self.worst is None or finding.units > self.worst.units:
            self.worst = finding


@dataclass(frozen=True, slots=True)
class Attack:
    """How hard to try: `examples` cases a property, or rounds of them until `seconds` have passed in all."""

    examples: int = 20
    seed: int = 0
    dtypes: tuple[str, ...] = tuple(DTYPES)
    backend: str = "torch"
    seconds: float | None = None
    properties: tuple[Property, ...] = field(default=PROPERTIES)


def check(spec: Spec, attack: Attack | None = None, *, path: str = "", progress: Progress | None = None) -> Report:
    """Run the properties on random cases of a spec; the first failure of each is shrunk to a minimal case."""
    attack, started = attack or Attack(), time.monotonic()
    share = None if attack.seconds is None else attack.seconds / len(attack.properties)
    rows = tuple(_row(spec, prop, attack, share, progress) for prop in attack.properties)
    elapsed = time.monotonic() - started
    return Report(spec.name, path or spec.source.name, rows, attack.seed, attack.examples, elapsed)


def first_failure(spec: Spec, attack: Attack) -> Finding | None:
    """The first property that fails, on its minimal case; None when all hold."""
    rows = (_row(spec, prop, attack, None, None) for prop in attack.properties)
    return next((row.failure for row in rows if row.failure is not None), None)


def replay(spec: Spec, prop: Property, case: Case) -> Finding:
    """One property on one case; an exception of the kernel counts as a failure."""
    try:
        return prop(spec, case)
    except FAULTS as fault:
        text = f"{type(fault).__name__}: {fault}".splitlines()[0]
        return Finding(prop.name, prop.restrict(spec, case), float("inf"), float("inf"), text)


def _row(spec: Spec, prop: Property, attack: Attack, share: float | None, progress: Progress | None) -> Row:
    if not prop.applies(spec):
        return Row(prop.name, prop.says, Verdict.SKIPPED, 0, 0.0, 0.0, "")
    tally, started, rounds = _Tally(), time.monotonic(), 0
    while True:
        failure = _round(spec, prop, replace(attack, seed=attack.seed + rounds), tally, progress)
        rounds += 1
        if failure is not None or share is None or time.monotonic() - started > share:
            break
    shown = failure or tally.worst
    verdict = Verdict.HOLDS if failure is None else Verdict.FAILS
    if shown is None:
        return Row(prop.name, prop.says, verdict, tally.tried, 0.0, 0.0, "")
    return Row(prop.name, prop.says, verdict, tally.tried, shown.units, shown.absolute, shown.where, failure)


def _round(spec: Spec, prop: Property, attack: Attack, tally: _Tally, progress: Progress | None) -> Finding | None:
    """One run of hypothesis; the failing case that it could not make smaller, if any."""

    @seed(attack.seed)
    @settings(
        max_examples=attack.examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
    )
    @given(cases(spec, dtypes=attack.dtypes, backend=attack.backend))
    def attempt(case: Case) -> None:
        finding = replay(spec, prop, case)
        tally.add(finding)
        if progress is not None:
            progress(prop.name, tally.tried, attack.examples)
        if not finding.holds:
            raise Violation(finding)

    state = random.getstate()
    try:
        attempt()
    except Violation as violation:
        return violation.finding
    except Flaky:  # fails on one run of a case and not on the next: what was seen first stands
        return tally.worst
    finally:
        random.setstate(state)
    return None


def select(names: Sequence[str]) -> tuple[Property, ...]:
    """The properties of these names; all of them when there are none. Raises KeyError for a name that is unknown."""
    known = {prop.name: prop for prop in PROPERTIES}
    return tuple(known[name] for name in names) if names else PROPERTIES
