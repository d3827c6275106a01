"""Every planted fault still has its place: it changes the emitted source."""

from __future__ import annotations

import pytest

import recurrence_dsl as rd
from recurrence_dsl.runtime.kernels import source
from tests.mutation.__main__ import planted
from tests.mutation.faults import FAULTS
from tests.mutation.rewrites import Fault, Stage


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_changes_the_source(fault: Fault) -> None:
    spec = rd.load(fault.spec)
    groups = 2 if any(i.per_group for i in spec.inputs) else 1
    sizes = {dim.name: 4 for dim in spec.dims}
    backend = "triton" if fault.stage is Stage.KERNEL else "torch"
    mixer = rd.compile(spec, heads=4, groups=groups, backend=backend, **sizes)
    before = source(mixer.recurrence, mixer.choices)
    with planted(fault):
        assert source(mixer.recurrence, mixer.choices) != before
    assert source(mixer.recurrence, mixer.choices) == before


def test_names_are_unique_and_there_are_enough() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 20
