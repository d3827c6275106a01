"""Deep, long and repetitive texts end in a coded diagnostic, and soon."""

from __future__ import annotations

import time

import pytest

from recurrence_dsl.check import check
from recurrence_dsl.rendering import render_all
from recurrence_dsl.syntax.limits import MAX_BRACKETS, MAX_CHARACTERS, MAX_DEPTH

from .reading import BASE, codes, read, spec

N = 10_000

DEEP = {
    "parentheses": ("(" * N + "1" + ")" * N, "R0105"),
    "open parentheses": ("(" * N, "R0105"),
    "brackets": ("sum" + "[" * N, "R0105"),
    "calls": ("exp(" * (N // 2) + "1" + ")" * (N // 2), "R0105"),
    "unary minus": ("-" * N + "1", "R0105"),
    "sum": ("+".join("1" * N), "R0105"),
    "power": ("**".join("1" * N), "R0105"),
    "renames": ("k" + "[K->V]" * (N // 2), "R0105"),
    "closing parentheses": ("1" + ")" * N, "R0102"),
    "digits": ("1" * N, "R0107"),
    "exponent": ("1e" + "9" * N, "R0107"),
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_or_long_expression(kind: str) -> None:
    expression, code = DEEP[kind]
    begin = time.process_time()
    found = codes(BASE + f"let x = {expression}\n")
    assert time.process_time() - begin < 2
    assert found == [code]


LONG = {
    "letters": ("x" * 1_000_000, ["R0109"]),
    "comments": ("# nothing\n" * 100_000, ["R0109"]),
    "unknown statements": ("sate x\n" * (MAX_CHARACTERS // 7), ["R0101"] * 21),
    "unclosed brackets": ("let x = (\n" * (MAX_CHARACTERS // 10), ["R0104"] * 21),
    "quotes": ('"""' * (MAX_CHARACTERS // 6 * 2), ["R0101"]),
    "blank lines": ("mixer m" + "\n" * (MAX_CHARACTERS - 10), ["R0219", "R0220", "R0225"]),
}


@pytest.mark.parametrize("kind", LONG)
def test_long_text(kind: str) -> None:
    text, expected = LONG[kind]
    begin = time.process_time()
    _, findings = read(text)
    rendered = render_all(findings)
    assert time.process_time() - begin < 2
    assert [finding.code for finding in findings] == expected
    assert len(rendered) < 20_000


def lines(template: str, count: int) -> str:
    return "".join(template.format(i=i, next=i + 1) for i in range(count))


MANY = {
    "unknown names": lines("let a{i} = bcdefgh{i} + zyxwvu{i}\n", 1_500),
    "unknown axes": lines("input a{i} : [AX{i}]\n", 2_500),
    "cycles": lines("let a{i} = b{i}\nlet b{i} = a{i}\n", 1_200),
    "one long cycle": lines("let a{i} = a{next}\n", 2_500) + "let a2500 = a0\n",
    "a long chain": "let a0 = 1\n" + lines("let a{next} = a{i} + 1\n", 2_000),
    "doubling": "let a0 = 1\n" + lines("let a{next} = a{i} + a{i}\n", 2_000),
    "duplicates": "let a = 1\n" * 5_000,
    "unused": lines("input a{i}\n", 4_000),
}


@pytest.mark.parametrize("kind", MANY)
def test_many_findings(kind: str) -> None:
    begin = time.process_time()
    _, findings = read(BASE + MANY[kind])
    rendered = render_all(findings)
    assert time.process_time() - begin < 2
    assert 0 < len(findings) <= 50
    assert len(rendered) < 40_000


def test_every_sane_spec_is_far_below_the_limits() -> None:
    terms = " + ".join(f"{i} * k" for i in range(MAX_DEPTH // 2))
    assert spec(BASE.replace("k * v", f"({terms}) * v")) is not None
    nested = "(" * (MAX_BRACKETS - 1) + "k" + ")" * (MAX_BRACKETS - 1)
    assert spec(BASE.replace("k * v", f"{nested} * v")) is not None
    chain = "let a0 = mean[K](k)\n" + lines("let a{next} = a{i} + 1\n", 60)
    assert spec(BASE.replace("k * v", "a60 * k * v") + chain) is not None


def test_what_builds_on_a_too_large_let_is_not_reported_again() -> None:
    text = BASE.replace("k * v", "a40 * k * v") + "let a0 = q\n" + lines("let a{next} = a{i} * a{i}\n", 40)
    found = codes(text)
    assert set(found) == {"R0223"}
    assert len(found) <= 4


def test_checking_takes_a_tree_of_any_origin() -> None:
    from recurrence_dsl.syntax import ast

    found, findings = check(ast.Ast(()))
    assert found is None
    assert [finding.code for finding in findings] == ["R0218", "R0219", "R0220", "R0225"]
