"""Whatever the text, the answer is a spec or diagnostics, never another exception, within two processor seconds."""

from __future__ import annotations

import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark

from recurrence_dsl.check import check
from recurrence_dsl.codes import codes
from recurrence_dsl.diagnostics import Severity
from recurrence_dsl.rendering import render_all, render_rich
from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.source import Source
from recurrence_dsl.syntax import grammar, parse, print_ast

SPECS = [path.read_text(encoding="utf-8") for path in shipped_specs()]
_PLAIN = """
mixer dim input param const let decay state output layer return per group shared complex in inf true
exp sum softmax max re im l2norm linear normal head heads t K V N q k v S g o x 0 1 2.5 1i 1e-3
( ) [ ] , : = + - * / ** -> # " ' @ λ é \u0000 S[t-1] [K->J]
"""
WORDS = [*_PLAIN.split(), '"""', "\n", "\n", "\t", " : [K, V] = "]


SLOW_TO_DRAW = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def answer(text: str) -> None:
    """Run the front end and check what it says, and how long that takes it."""
    begin = time.process_time()
    tree, findings = parse(Source(text, "noise.spec"))
    if tree is not None:
        assert findings == ()
        again, _ = parse(Source(print_ast(tree)))
        assert again == tree
        spec, findings = check(tree)
        assert (spec is None) == any(finding.severity is Severity.ERROR for finding in findings)
    else:
        assert findings
    for finding in findings:
        assert finding.code in codes()
        assert 0 <= finding.primary.span.start <= finding.primary.span.end <= len(text)
    shown = render_all(findings)
    assert time.process_time() - begin < 2
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert [line.rstrip() for line in render_rich(findings).plain.split("\n")] == shown.split("\n")


noise = st.text(max_size=200)
word_noise = st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join)


@st.composite
def mutated_specs(draw: st.DrawFn) -> str:
    """A shipped spec with a few pieces removed, repeated, moved or replaced."""
    text = draw(st.sampled_from(SPECS))
    for _ in range(draw(st.integers(min_value=1, max_value=4))):
        start = draw(st.integers(min_value=0, max_value=len(text)))
        end = min(len(text), start + draw(st.integers(min_value=0, max_value=12)))
        piece = draw(st.one_of(st.sampled_from(WORDS), st.just(""), st.just(text[start:end] * 2), st.text(max_size=3)))
        text = text[:start] + piece + text[end:]
    return text


@st.composite
def renamed_specs(draw: st.DrawFn) -> str:
    """A shipped spec with some words exchanged for others: right in grammar, wrong in meaning."""
    words = draw(st.sampled_from(SPECS)).split(" ")
    for _ in range(draw(st.integers(min_value=1, max_value=4))):
        words[draw(st.integers(min_value=0, max_value=len(words) - 1))] = draw(st.sampled_from(WORDS))
    return " ".join(words)


@settings(max_examples=150, deadline=None)
@given(noise)
def test_noise(text: str) -> None:
    answer(text)


@settings(max_examples=200, deadline=None)
@given(word_noise)
def test_words(text: str) -> None:
    answer(text)


@settings(max_examples=150, deadline=None)
@given(mutated_specs())
def test_mutated_specs(text: str) -> None:
    answer(text)


@settings(max_examples=150, deadline=None)
@given(renamed_specs())
def test_renamed_specs(text: str) -> None:
    answer(text)


def sentences() -> st.SearchStrategy[str]:
    """Statements drawn from the grammar; keywords end in a blank, so that they stay apart from names."""
    explicit = {
        terminal.name: st.just(f"{terminal.name.lower()} ")
        for terminal in grammar().terminals
        if terminal.pattern.value.endswith(r"\b") and terminal.name != "RETURN"
    }
    explicit["NAME"] = st.sampled_from(["K", "V", "q", "S", "t", "sum", "exp", "λ_2"])
    explicit["NUMBER"] = st.sampled_from(["0", "1", "2.5e-3", "1i", "1e400"])
    explicit["DOC"] = st.just('"""What it is."""')
    blanks = {"__IGNORE_0": st.just(" "), "__IGNORE_1": st.just("")}
    return from_lark(grammar(), start="statement", explicit=explicit | blanks)


@SLOW_TO_DRAW
@given(st.lists(sentences(), max_size=4).map("\n".join))
def test_sentences_of_the_grammar(text: str) -> None:
    answer(text)
