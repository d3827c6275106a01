"""Every property on every shipped spec."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

import recurrence_dsl as rd
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.testing import PROPERTIES, Case, Gates, Property, assert_holds, case_for
from recurrence_dsl.testing.properties import AGREEMENT, GRADIENTS, LOW_PRECISION

SHIPPED = [pytest.param(path, id=path.stem) for path in shipped_specs()]
ALL = [pytest.param(prop, id=prop.name.replace(" ", "-").replace(",", "")) for prop in PROPERTIES]


def case_of(path: Path, **options: object) -> tuple[rd.Spec, Case]:
    """A spec and a case of odd sizes, with groups where it has them; every spec gets its own seed."""
    spec = rd.load(path)
    groups = 2 if any(i.per_group for i in spec.inputs) else 1
    plain = {"batch": 2, "heads": 4, "groups": groups, "size": 5, "sizes": {"V": 7}, "length": 21, "chunk_size": 8}
    seed = zlib.crc32(path.stem.encode()) % 1000
    return spec, case_for(spec, **(plain | {"dtype": "float32", "seed": seed} | options))


@pytest.mark.parametrize("prop", ALL)
@pytest.mark.parametrize("path", SHIPPED)
def test_property(path: Path, prop: Property) -> None:
    spec, case = case_of(path)
    if prop.applies(spec):
        assert_holds(prop, spec, case)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9])
@pytest.mark.parametrize("path", SHIPPED)
def test_lengths_around_the_chunk(path: Path, length: int) -> None:
    spec, case = case_of(path, dtype="float64", length=length)
    assert_holds(AGREEMENT, spec, case)
    assert_holds(GRADIENTS, spec, case)


@pytest.mark.parametrize("path", SHIPPED)
def test_a_thousand_tokens(path: Path) -> None:
    spec, case = case_of(path, batch=1, heads=2, groups=1, length=1000, size=4, sizes={}, chunk_size=None)
    assert_holds(AGREEMENT, spec, case)


@pytest.mark.parametrize("gates", [gates for gates in Gates if gates is not Gates.TYPICAL])
@pytest.mark.parametrize("path", SHIPPED)
def test_extreme_gates(path: Path, gates: Gates) -> None:
    for dtype in ("float32", "float64") if gates is Gates.MIXED else ("float32",):
        spec, case = case_of(path, gates=gates, length=19, dtype=dtype)
        assert_holds(AGREEMENT, spec, case)
        assert_holds(GRADIENTS, spec, case)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("path", SHIPPED)
def test_half_precision(path: Path, dtype: str) -> None:
    spec, case = case_of(path, dtype=dtype, scale=0.5)
    for prop in (AGREEMENT, GRADIENTS, LOW_PRECISION):
        assert_holds(prop, spec, case)
