"""Texts that are no spec give diagnostics: never another exception, and never late."""

from __future__ import annotations

import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark

from recurrence_dsl.check import load_text
from recurrence_dsl.diagnostics import SpecError
from recurrence_dsl.pipeline import lifted
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.syntax import grammar
from recurrence_dsl.testing.random_specs import spec_texts

SECONDS = 2.0
TEXTS = [path.read_text(encoding="utf-8") for path in shipped_specs()]
PIECES = [
    "[t-1]",
    "sum[K](",
    "(",
    ")",
    "[K]",
    " * ",
    "state ",
    "1i",
    "\n",
    "\t",
    '"""',
    "'",
    "é",
    "\0",
    "->",
    "in (0, 1]",
    "layer x : [D]\n",
]

MANY = settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def loads_or_explains(text: str) -> None:
    started = time.process_time()  # the machine may have other work
    try:
        lifted(load_text(text))
    except SpecError as error:
        explained = error.diagnostics
    else:
        explained = ("a spec",)
    assert explained
    assert time.process_time() - started < SECONDS


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A spec with a few characters, words or lines deleted, doubled, swapped or replaced."""
    text = draw(st.sampled_from(TEXTS) | spec_texts())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.sampled_from((0, 1, 2, 5, 20, 80))))
        new = draw(st.sampled_from(("", *PIECES, text[start:stop] * 2)) | st.text(max_size=3))
        text = text[:start] + new + text[stop:]
    return text


@st.composite
def noise(draw: st.DrawFn) -> str:
    """Statements that the grammar can produce, whatever they mean."""
    statements = from_lark(grammar(), start="statement", alphabet=st.characters(codec="ascii"))
    return "\n".join(("mixer m", *draw(st.lists(statements, min_size=1, max_size=4))))


@MANY
@given(mutated())
def test_mutated_specs(text: str) -> None:
    loads_or_explains(text)


@settings(MANY, max_examples=100)
@given(noise())
def test_grammatical_noise(text: str) -> None:
    loads_or_explains(text)


@settings(MANY, max_examples=100)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    loads_or_explains(text)
