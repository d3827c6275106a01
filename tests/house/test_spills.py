"""The kernels that are taken unmeasured spill no register on sm_90, fit its shared memory, and use its matrix
instructions. `make spills` looks at all kernels, these included, and leaves them in Triton's own cache.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import recurrence_dsl as rd
from recurrence_dsl.runtime.load import load_source
from recurrence_dsl.tools.known_faults import label, read_known
from recurrence_dsl.tools.resources import SHARED_LIMIT, measured_within, written
from recurrence_dsl.tools.settings import with_usual_sizes

LISTED = Path(__file__).parents[2] / ".ci" / "spills.json"
KNOWN = read_known(LISTED)
SPECS = ("retnet", "mamba2", "gla", "hgrn2", "rwkv6", "delta_net", "gated_delta_net")


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("spec", SPECS)
def test_kernels_taken_unmeasured_spill_nothing(spec: str, size: int) -> None:
    kernels = written(rd.load(spec), with_usual_sizes(rd.load(spec), {}, size))
    module = load_source(kernels.text, spec)
    busy, idle, back = module.RULE
    names = dict.fromkeys([*module.FORWARD[busy], *module.FORWARD[idle], *module.BACKWARD[back], module.STEP])
    found = [measured_within(kernels, name, "sm_90") for name in names]
    products = 0
    for r in found:
        assert r.compiled, label(r)
        assert r.spilled <= (KNOWN.get(label(r)) or 0), label(r)
        assert r.shared <= SHARED_LIMIT["sm_90"], label(r)
        assert r.missed == 0, label(r)
        products += r.products
    assert products > 0


def test_the_list_names_kernels_that_there_are() -> None:
    entries = json.loads(LISTED.read_text())
    assert entries == dict(sorted(entries.items()))
    specs = {key.partition(" ")[0] for key in entries}
    for spec in specs:
        for size in (64, 128):
            kernels = written(rd.load(spec), with_usual_sizes(rd.load(spec), {}, size))
            start = f"{spec} ({kernels.sizes}), "
            named = {key.removeprefix(start).partition(" on ")[0] for key in entries if key.startswith(start)}
            assert named <= set(kernels.names)
    assert all(value is None or value > 0 for value in entries.values())
