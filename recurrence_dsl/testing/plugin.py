"""A pytest plugin: `pytest_plugins = ["recurrence_dsl.testing.plugin"]` in conftest.py, then ask for `check_spec`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest

from ..check.spec import Spec
from ..pipeline import load
from .attack import Attack, check
from .report import Report, failure_text


class CheckSpec(Protocol):
    """What the fixture `check_spec` gives."""

    def __call__(self, spec: Spec | str | Path, **attack: Any) -> Report:
        """Attack a spec with every property, as `recurrence check` does.

        spec     a checked spec, a path, the name of a shipped spec, or a spec's text
        attack   fields of `Attack`: examples (of each property, default 5), seed, dtypes, backend, properties

        Fails the test with the minimal case of each property that does not hold.
        """
        ...


@pytest.fixture
def check_spec() -> CheckSpec:
    """Attacks a spec and fails the test where a property does not hold."""

    def run(spec: Spec | str | Path, **attack: Any) -> Report:
        checked = spec if isinstance(spec, Spec) else load(spec)
        options: dict[str, Any] = {"examples": 5, **attack}
        report = check(checked, Attack(**options))
        if not report.passed:
            pytest.fail(failure_text(report), pytrace=False)
        return report

    return run
