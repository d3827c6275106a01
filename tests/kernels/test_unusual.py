"""Specs of unusual kinds: kernels give the values and gradients of the torch back end in float64.

The quick ones stand for a way of lowering each; the others run with `-m long`.
"""

from __future__ import annotations

import pytest

from tests.maths.specs import EVERY, Unusual

from .compare import Case, assert_agreement

SPLIT = {"FORWARD": "split", "BACKWARD": "split"}
ENDS = (0, 0, 1, 19)
"""No token, one token, and a second chunk that is not full."""
QUICK = (
    "both_axes",  # decays on both sides
    "mean_update",  # rank-one terms without an axis of their own
    "erase_everything",  # rank-one terms that read a whole matrix into one number
    "different_rank_one_counts",  # states with two and with three rank-one terms
    "renamed_read",  # three dims in another order
    "grouped_past",  # an input a group, read one token earlier
    "pair_of_complex_states",
    "complex_powers",
    "real_powers",  # of negative numbers
    "vector_feeds_matrix",  # a state of one axis in the keys and decays of others
)


def marked(unusual: Unusual) -> object:
    marks = () if unusual.name in QUICK else (pytest.mark.long,)
    return pytest.param(unusual, id=unusual.name, marks=marks)


# Triton's interpreter warns of lanes beyond an end that divide by zero, whatever becomes of them
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("unusual", [marked(u) for u in EVERY])
def test_packed_sequences(unusual: Unusual) -> None:
    dims = [d.name for d in unusual.spec.dims]
    sizes = {name: (2, 3, 2, 3)[at] for at, name in enumerate(dims)} | {n: 2 for n in dims if n in "KJ"}
    grouped = any(i.per_group for i in unusual.spec.inputs)
    heads, groups = (4, 2) if grouped else (1, 1)
    case = Case(unusual.text, 19, 1, heads, groups, sizes, plans=SPLIT, ends=ENDS)
    assert_agreement(case)
