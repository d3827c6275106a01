"""Mistakes: each gives its code at its place, several are reported in one run, and none drags others behind it."""

from __future__ import annotations

import pytest

from recurrence_dsl.check import load_text
from recurrence_dsl.diagnostics import Severity, SpecError

from .reading import BASE, codes, marked, read

SYNTAX = [
    ("let x = a b", "R0102", "b", "a product is written with `*`"),
    ("let x = 2K", "R0102", "K", "a product is written with `*`"),
    ("let x = (a)(b)", "R0102", "(", "a product is written with `*`"),
    ("let x = a +", "R0102", "", "an expression that goes on over several lines stands in parentheses"),
    ("let x = 1j * a", "R0102", "j", "the imaginary unit is `1i`"),
    ("let x = (a * b)[t-1]", "R0102", "-",
     "only a name has a past: name this part with `let`, then read the name at `[t-1]`"),
    ("let x = S_{t-1}", "R0103", "{", "axes and times stand in square brackets, as in `sum[K](..)` and `S[t-1]`"),
    ("let x = a ^ 2", "R0103", "^", "write a power with `**`"),
    ("let x = k @ v", "R0103", "@", "write a product over an axis as `sum[K](a * b)`"),
    ("sate S : [K] = 0", "R0101", "sate", "did you mean `state`?"),
    ("f = 2", "R0101", "f", "say what `f` is: `let f = ..`, `state f : [..] = ..`, `output f = ..`"),
    ("let x = sum[K(a)", "R0104", "[", None),
    ('mixer m\n"""never closed', "R0104", '"""', 'end the docstring with `"""`'),
    ("let x = 1e999", "R0107", "1e999", None),
    ("dim K = 0", "R0107", "0", None),
    ("dim K = 2i", "R0107", "2i", None),
    ("input x in [0, 1i]", "R0107", "1i", None),
    ("let x = a[s-1]", "R0106", "s", "`a` is its value now, `a[t-1]` the value one step earlier"),
    ("let x = a[1]", "R0106", "1", "`a` is its value now, `a[t-1]` the value one step earlier"),
    ("return x", "R0101", "return", "`return` stands in a layer block, indented deeper than `layer`"),
    ("mixer ", "R0102", "", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "where", "help"), SYNTAX, ids=[text for text, *_ in SYNTAX])
def test_syntax(text: str, code: str, where: str, help: str | None) -> None:
    _, (finding,) = read(text)
    assert (finding.code, marked(text, finding), finding.help) == (code, where, help)


EXPECTED = [
    ("let = 2", "expected a name"),
    ("let x 2", "expected `=`"),
    ("let x = *", "expected an expression"),
    ("let x = sum[K)(a)", "expected an operator, `->`, `,` or `]`"),
    ("input x : K", "expected `complex` or `[`"),
    ("input x in 0", "expected `(` or `[`"),
    ("layer x", "expected `:`"),
    ("mixer m : 3", "expected a docstring or the end of the statement"),
    ("let x = a 'b'", None),
]


@pytest.mark.parametrize(("text", "words"), EXPECTED, ids=[text for text, _ in EXPECTED])
def test_what_was_expected_is_said_in_words(text: str, words: str | None) -> None:
    _, (finding,) = read(text)
    assert (finding.primary.text if finding.code == "R0102" else None) == words


def test_syntax_errors_do_not_hide_each_other() -> None:
    text = BASE + "let a = 3 3\nlet b = (1 +\nlet c = 2 * $\nsate d = 1\nlayer x : [D]\n  q = = x\n  let e = 1\n"
    assert codes(text) == ["R0102", "R0104", "R0103", "R0101", "R0102", "R0101"]


def test_a_bracket_left_open_costs_only_its_own_statement() -> None:
    text = BASE.replace("[t-1] +", "[t-1 +").replace("(q * S)", "(q * S))")
    assert codes(text) == ["R0104", "R0102"]


MISTAKES = [
    # names
    ("sum[K](q * S)", "sum[K](Q * S)", "R0201", "Q", "did you mean `q`?"),
    ("sum[K](q * S)", "sum[K](q * S) * exp", "R0201", "exp", None),
    ("sum[K](q * S)", "sum[K](q * S[t-1] * r[t-1])", "R0201", "r", "declare it: `input r`, or `let r = ..`"),
    ("sum[K](q * S)", "sum[K](swish(q) * S)", "R0213", "swish", "did you mean `silu`?"),
    ("sum[K](q * S)", "sum[K](q(t))", "R0213", "q", "write `q[t-1]` for the value one step earlier"),
    ("sum[K](q * S)", "sum[K](q(S))", "R0213", "q", "write the product with `*`"),
    ("sum[K](q * S)", "sum[K](q * zeta)", "R0201", "zeta", "declare it: `input zeta`, or `let zeta = ..`"),
    ("sum[K](q * S)", "sum[K](linear(q) * S)", "R0213", "linear", None),
    ("sum[K](q * S)", "sum[K](normal(0, 1) * q * S)", "R0213", "normal", None),
    ("input  v : [V]", "input  v, k : [V]", "R0202", "k", None),
    ("input  v : [V]", "input  v, K : [V]", "R0202", "K", None),
    ("input  v : [V]", "input  v : [V]\ninput  cu_seqlens", "R0203", "cu_seqlens", None),
    ("dim    K, V", "dim    K, V, heads", "R0203", "heads", None),
    ("input  v : [V]", "input  v : [V]\nlet    state = 1", "R0203", "state", None),
    # axes
    ("input  v : [V]", "input  v : [v]", "R0204", "v", "did you mean `V`?"),
    ("sum[K](q * S)", "sum[k](q * S)", "R0204", "k", "did you mean `K`?"),
    ("sum[K](q * S)", "sum[K](q[V -> K] * S)", "R0205", "V", None),
    ("sum[K](q * S)", "sum[K](q * S) + v[V -> W]", "R0204", "W", "declare it: `dim W`"),
    ("sum[K](q * S)", "sum[K](q * S[K -> V])", "R0206", "V", None),
    ("sum[K](q * S)", "sum[K, K](q * S)", "R0206", "K", None),
    ("S[t-1] + k * v", "S[t-1] + sum[K](k * v) * w", "R0207", "S[t-1] + sum[K](k * v) * w", None),
    # time
    ("k * v", "k[t] * v", "R0208", "k[t]", "write `k`"),
    ("k * v", "k[t+1] * v", "R0208", "k[t+1]", "`k[t-1]` is the value one step earlier"),
    ("k * v", "k * v * K[t-1]", "R0209", "K[t-1]", "write `K`"),
    ("k * v", "k * v * head[t-1]", "R0209", "head[t-1]", "write `head`"),
    ("k * v", "k * v * o", "R0211", "o", "read one of them one step earlier, with `[t-1]`"),
    ("= sum[K](q * S)", "= o[t-1] + sum[K](q * S)", "R0212", "o[t-1]", None),
    # calls
    ("sum[K](q * S)", "sum[K](q, S)", "R0214", "sum[K](q, S)", None),
    ("sum[K](q * S)", "sum[4](q * S)", "R0214", "4", None),
    ("sum[K](q * S)", "exp(sum[K](q * S), 2)", "R0214", "exp(sum[K](q * S), 2)", None),
    ("sum[K](q * S)", "max(sum[K](q * S))", "R0214", "max(sum[K](q * S))", "over an axis it is `max[K](..)`"),
    ("sum[K](q * S)", "exp(sum[K](q * S), rank=2)", "R0214", "rank=2", None),
    ("sum[K](q * S)", "sum[K](q * S) * true", "R0214", "true", None),
    # complex
    ("sum[K](q * S)", "sum[K](q * S) + tanh(1i)", "R0215", "1i", None),
    ("sum[K](q * S)", "sum[K](q * S) + 1i ** 0.5", "R0215", "0.5", "write `exp(b * x)` for a complex exponential"),
    ("sum[K](q * S)", "max[K](1i * q * S)", "R0215", "1i * q * S", None),
    # values when compiling
    ("k * v", "k * v * c\nconst c = 1 / 0", "R0216", "1 / 0", None),
    ("k * v", "k * v * c\nconst c = log(-1)", "R0216", "log(-1)", None),
    ("k * v", "k * v * c\nconst c = 10 ** 400", "R0216", "10 ** 400", None),
    ("k * v", "k * v * c\nconst c = (-1) ** 0.5", "R0216", "(-1) ** 0.5", None),
    ("k * v", "k * v * c\nconst c = 1i", "R0216", "1i", None),
    ("k * v", "k * v * u\nparam u : [K] = nrmal(0, 1)", "R0217", "nrmal", "did you mean `normal`?"),
    ("k * v", "k * v * u\nparam u : [K] = index(V)", "R0217", "index(V)", None),
    ("k * v", "k * v * u\nparam u : [K] = q", "R0217", "q", None),
    ("k * v", "k * v * u\nparam u : [K] shared = head", "R0217", "head", None),
    ("k * v", "k * v * u\nparam u : [K] = k[t-1]", "R0217", "k[t-1]", None),
    # ranges
    ("input  v : [V]", "input  v : [V] in [1, 0]", "R0221", "[1, 0]", None),
    ("input  v : [V]", "input  v : [V] in (0, 0]", "R0221", "(0, 0]", None),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "where", "help"), MISTAKES, ids=[new for _, new, *_ in MISTAKES])
def test_mistake(old: str, new: str, code: str, where: str, help: str | None) -> None:
    assert old in BASE
    text = BASE.replace(old, new) + "input w : [N]\ndim N\n" * ("* w" in new)
    _, findings = read(text)
    assert [(finding.code, marked(text, finding)) for finding in findings] == [(code, where)]
    if help is not None:
        assert findings[0].help == help


def test_axis_errors_list_the_axes_of_every_name() -> None:
    _, (finding,) = read(BASE.replace("sum[K](q * S)", "sum[V](q * k) * S"))
    assert finding.notes == ("the axes here: `q : [K]`, `k : [K]`",)


def test_a_cycle_is_shown_as_a_path() -> None:
    text = BASE.replace("k * v", "a * k * v") + "let c = o\nlet a = b\nlet b = c + 1\n"
    _, (finding,) = read(text)
    assert finding.code == "R0211"
    path = finding.message.split(": ")[1].split(" -> ")
    assert path[0] == path[-1]
    assert set(path) == {"`a`", "`b`", "`c`", "`o`", "`S`"}


def test_all_cycles_are_reported() -> None:
    text = BASE.replace("k * v", "a * c * k * v") + "let a = b\nlet b = a\nlet c = d\nlet d = c\n"
    assert codes(text) == ["R0211", "R0211"]


def test_faults_do_not_cascade() -> None:
    # `g` is faulty, so nothing that reads it is reported; neither is what is unused because of it
    text = BASE.replace("k * v", "f * k * v") + "let f = sigmoid(g)\nlet g = sigmod(gk)\nlet unused = 1\n"
    assert codes(text) == ["R0213", "R0201"]


def test_an_unknown_name_is_reported_once() -> None:
    assert codes(BASE.replace("k * v", "kk * kk * v + exp(kk)")) == ["R0201"]


def test_an_input_with_a_reserved_name_is_reported_once() -> None:
    assert codes(BASE.replace("k * v", "lambda * k * v") + "input lambda\n") == ["R0203"]


def test_many_kinds_of_mistakes_in_one_run() -> None:
    text = BASE.replace("mixer example\n", "").replace("sum[K](q * S)", "sum[M](qq * S)") + "input q : [K]\n"
    assert codes(text) == ["R0218", "R0204", "R0201", "R0202"]


UNUSED = [
    ("input g : [K]", "the input `g` is never used"),
    ("param g", "the param `g` is never used"),
    ("const g = 1", "the const `g` is never used"),
    ("decay g = sigmoid(q)", "the decay `g` is never used"),
    ("let g = q", "the let `g` is never used"),
    ("state g : [K] = g[t-1] + k", "the state `g` is never used"),
    ("dim G", "the axis `G` is never used"),
]


@pytest.mark.parametrize(("line", "message"), UNUSED)
def test_unused_names_are_warnings(line: str, message: str) -> None:
    found, (finding,) = read(BASE + line)
    assert found is not None
    assert found.warnings == (finding,)
    assert (finding.code, finding.severity, finding.message) == ("R0222", Severity.WARNING, message)


def test_what_only_an_unused_name_reads_is_unused_too() -> None:
    _, findings = read(BASE + "let a = b\nlet b = r\ninput r\n")
    assert [finding.message.split("`")[1] for finding in findings] == ["a", "b", "r"]


def test_loading_raises_with_every_finding() -> None:
    with pytest.raises(SpecError) as raised:
        load_text(BASE.replace("k * v", "kk * vv"), "my.spec")
    assert [finding.code for finding in raised.value.diagnostics] == ["R0201", "R0201"]
    assert "my.spec:5:30" in str(raised.value)
    with pytest.raises(SpecError) as raised:
        load_text("mixer")
    assert [finding.code for finding in raised.value.diagnostics] == ["R0102"]
