"""`recurrence check`: attacks a spec's compiled mixer with every property until something breaks, or nothing does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky

from ..check.spec import Spec
from ..pipeline import lifted
from ..source import Source
from .backends import dtypes_for, resolved
from .case import Case
from .finding import Finding, Property
from .properties import PROPERTIES
from .report import Report, Row, Verdict
from .strategies import cases

DEEP_SECONDS = 600.0

UNNAMED = Source("").name
"""What a spec is called that was loaded from a text."""

Progress = Callable[[str, int, float], None]
"""Called with a property's name, the cases tried so far and the share of its cases or its time that is done."""


class Violation(Exception):
    """A property does not hold on a case."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(f"{finding.name}: {finding.where}, {finding.units:.3g} times the tolerance on {finding.case}")


@dataclass(frozen=True, slots=True)
class Attack:
    """How hard to try: `examples` cases a property, or rounds of them until `seconds` have passed in all.

    No `dtypes` means all that the back end takes.
    """

    examples: int = 20
    seed: int = 0
    dtypes: tuple[str, ...] = ()
    backend: str = "torch"
    seconds: float | None = None
    properties: tuple[Property, ...] = field(default=PROPERTIES)

    def ready(self, spec: Spec) -> Attack:
        """With the back end and the dtypes that it comes down to here.

        Raises SpecError for a spec that is no linear recurrence, CallError for what cannot run here.
        """
        lifted(spec)
        backend = resolved(self.backend)
        return replace(self, backend=backend, dtypes=dtypes_for(backend, self.dtypes))


def check(spec: Spec, attack: Attack | None = None, *, path: str = "", progress: Progress | None = None) -> Report:
    """Run the properties on random cases of a spec; the first failure of each is shrunk to a minimal case.

    Raises SpecError for a spec that is no linear recurrence, CallError for a back end or dtype that cannot run here.
    """
    attack, started = (attack or Attack()).ready(spec), time.monotonic()
    rows = list[Row]()
    for n, prop in enumerate(attack.properties):
        left = len(attack.properties) - n
        spent = time.monotonic() - started
        share = None if attack.seconds is None else (attack.seconds - spent) / left
        rows.append(_row(spec, prop, attack, share, progress))
    elapsed = time.monotonic() - started
    told = {"seed": attack.seed, "examples": attack.examples, "seconds": elapsed, "backend": attack.backend}
    text = "" if path or spec.source.name != UNNAMED else spec.source.text
    return Report(spec.name, path or spec.source.name, tuple(rows), **told, text=text)


def first_failure(spec: Spec, attack: Attack) -> Finding | None:
    """The first property that fails, on its minimal case; None when all hold."""
    attack = attack.ready(spec)
    rows = (_row(spec, prop, attack, None, None) for prop in attack.properties)
    return next((row.failure for row in rows if row.failure is not None), None)


def replay(spec: Spec, prop: Property, case: Case) -> Finding:
    """One property on one case; whatever a kernel raises on a legal case is a failure."""
    try:
        return prop(spec, case)
    except Exception as fault:  # noqa: BLE001 - the finding tells it, and the snippet that replays the case raises it
        text = f"{type(fault).__name__}: {fault}".splitlines()[0]
        return Finding(prop.name, prop.restrict(spec, case), float("inf"), float("inf"), text)


class _Tally:
    """What one property has seen so far, and how long it may go on: `seconds`, or one round of `examples`."""

    def __init__(self, prop: Property, examples: int, seconds: float | None, progress: Progress | None) -> None:
        self.prop, self.examples, self.seconds, self.progress = prop, examples, seconds, progress
        self.tried, self.started = 0, time.monotonic()
        self.worst: Finding | None = None

    def add(self, finding: Finding) -> None:
        self.tried += 1
        if self.worst is None or finding.units > self.worst.units:
            self.worst = finding
        if self.progress is not None:
            self.progress(self.prop.name, self.tried, self.done)

    @property
    def done(self) -> float:
        """The share of the time or of the cases; 1 when it is over."""
        if self.seconds is None:
            return min(1.0, self.tried / self.examples)
        return min(1.0, (time.monotonic() - self.started) / max(self.seconds, 1e-9))

    @property
    def late(self) -> bool:
        """Whether its time is over; at least one case is tried."""
        return self.seconds is not None and self.tried > 0 and self.done >= 1


def _row(spec: Spec, prop: Property, attack: Attack, seconds: float | None, progress: Progress | None) -> Row:
    if not prop.applies(spec):
        return Row(prop.name, prop.says, Verdict.SKIPPED, 0, 0.0, 0.0, "")
    tally, rounds = _Tally(prop, attack.examples, seconds, progress), 0
    failure = _round(spec, attack, tally)
    while failure is None and seconds is not None and not tally.late:
        rounds += 1
        failure = _round(spec, replace(attack, seed=attack.seed + rounds), tally)
    shown = failure or tally.worst
    verdict = Verdict.HOLDS if failure is None else Verdict.FAILS
    if shown is None:
        return Row(prop.name, prop.says, verdict, tally.tried, 0.0, 0.0, "")
    return Row(prop.name, prop.says, verdict, tally.tried, shown.units, shown.absolute, shown.where, failure)


def _round(spec: Spec, attack: Attack, tally: _Tally) -> Finding | None:
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
        if tally.late and (tally.worst is None or tally.worst.holds):
            return  # hypothesis has no other way to be told that the time is over; a failure is still shrunk
        finding = replay(spec, tally.prop, case)
        tally.add(finding)
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
