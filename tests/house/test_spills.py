"""The kernels that are taken unmeasured fit the shared memory of sm_90, use its matrix instructions, and spill no
register there but for what is listed. They are compiled only where they have changed since `make spills` recorded what
they need.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import recurrence_dsl as rd
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.runtime.load import load_source
from recurrence_dsl.tools.kernel_jobs import jobs_of
from recurrence_dsl.tools.kernel_record import read_record, recorded
from recurrence_dsl.tools.known_faults import label, read_known
from recurrence_dsl.tools.resources import SHARED_LIMIT, written
from recurrence_dsl.tools.settings import with_usual_sizes

FOLDER = Path(__file__).parents[2] / ".ci"
LISTED = FOLDER / "spills.json"
KNOWN = read_known(LISTED)
SPECS = tuple(path.stem for path in shipped_specs())


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("spec", SPECS)
def test_kernels_taken_unmeasured_spill_nothing(spec: str, size: int) -> None:
    kernels = written(rd.load(spec), with_usual_sizes(rd.load(spec), {}, size))
    record = read_record(FOLDER / "kernels.json")
    start = f"{spec} ({kernels.sizes}), "
    named = {key.removeprefix(start).partition(" on ")[0] for key in (*KNOWN, *record) if key.startswith(start)}
    assert named <= set(kernels.names), "what is listed or recorded there is"
    module = load_source(kernels.text, spec)
    for job in jobs_of(kernels, ("sm_90",), only_taken=True):
        r = recorded(job, record) or job.measured()
        assert r.compiled or KNOWN.get(label(r), 0) is None, label(r)
        assert r.spilled <= (KNOWN.get(label(r)) or 0), label(r)
        assert r.shared <= SHARED_LIMIT["sm_90"], label(r)
        assert r.missed == 0, label(r)
        assert r.products > 0 or not r.compiled or "_dot(" not in module.KERNELS[job.kernel][0].src, label(r)


def test_the_list_is_in_order_and_names_shipped_specs() -> None:
    entries = json.loads(LISTED.read_text())
    assert entries == dict(sorted(entries.items()))
    assert {key.partition(" ")[0] for key in entries} <= set(SPECS)
    assert all(value is None or value > 0 for value in entries.values())
