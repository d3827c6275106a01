"""How diagnostics look: the place, the lines, the carets and the advice."""

from __future__ import annotations

import pickle

from rich.console import Console

from recurrence_dsl.diagnostics import Diagnostic, Label, Severity, SpecError
from recurrence_dsl.rendering import render, render_all, render_rich, summary
from recurrence_dsl.snippet import MAX_WIDTH
from recurrence_dsl.source import NOWHERE, Source, Span

TEXT = """\
  mixer gla
  dim    K, V
  input  k, g : [K]
  input  v : [V]
  state  S : [K, V] = exp(gk) * S[t-1] + k * v
"""
SOURCE = Source(TEXT, "specs/gla.spec")


def at(piece: str, text: str = TEXT, after: str = "") -> Span:
    start = text.index(after + piece) + len(after)
    return Span(start, start + len(piece))


UNKNOWN = Diagnostic(
    "R0201",
    "unknown name `gk`",
    Label(at("gk"), "not declared as an input, param or let"),
    (Label(at("g", after="k, "), "a similar name is declared here"),),
    help="did you mean `g`?",
    source=SOURCE,
)


def test_the_whole_look() -> None:
    assert render(UNKNOWN) == (
        "error[R0201]: unknown name `gk`\n"
        "  --> specs/gla.spec:5:27\n"
        "3 |   input  k, g : [K]\n"
        "  |             - a similar name is declared here\n"
        "5 |   state  S : [K, V] = exp(gk) * S[t-1] + k * v\n"
        "  |                           ^^ not declared as an input, param or let\n"
        "  = help: did you mean `g`?"
    )


def body(diagnostic: Diagnostic) -> list[str]:
    """The rendered lines below the place."""
    return render(diagnostic).split("\n")[2:]


def finding(text: str, span: Span, words: str = "here", **more) -> Diagnostic:
    return Diagnostic("R0102", "a message", Label(span, words), source=Source(text, "f"), **more)


def test_tabs_and_wide_letters_keep_the_carets_below_their_letters() -> None:
    text = "\tlet x = 日本 + y"
    assert body(finding(text, at("y", text))) == ["1 |     let x = 日本 + y", "  |                    ^ here"]
    assert body(finding(text, at("日本", text))) == ["1 |     let x = 日本 + y", "  |             ^^^^ here"]


def test_control_characters_are_not_passed_on() -> None:
    text = "let x\x1b[31m = 2"
    assert "\x1b" not in render(finding(text, at("x", text)))


def test_a_span_over_several_lines_shows_its_first_and_last() -> None:
    text = "let x = (a +\n   b +\n   c)\n"
    assert body(finding(text, Span(8, text.index(")") + 1))) == [
        "1 | let x = (a +",
        "  |         ^^^^",
        "...",
        "3 |    c)",
        "  |    ^^ here",
    ]


def test_a_span_of_nothing_has_one_caret() -> None:
    text = "let x ="
    assert body(finding(text, Span(7, 7))) == ["1 | let x =", "  |        ^ here"]
    assert body(finding("", Span(0, 0))) == ["1 |", "  | ^ here"]


def test_a_long_line_is_cut_around_the_carets() -> None:
    text = "let x = " + "a + " * 500 + "b" + " + c" * 500
    line, carets = body(finding(text, at("b", text)))
    assert len(line) <= MAX_WIDTH + 4
    assert line[carets.index("^")] == "b"
    assert line.startswith("1 | …")
    assert line.endswith("…")


def test_line_numbers_align() -> None:
    text = "".join(f"let x{i} = 0\n" for i in range(1, 13))
    assert render(finding(text, at("x12", text))).split("\n")[1] == "   --> f:12:5"
    both = Diagnostic("R0202", "m", Label(at("x12", text)), (Label(at("x3", text), "first"),), source=Source(text, "f"))
    assert body(both) == [" 3 | let x3 = 0", "   |     -- first", "12 | let x12 = 0", "   |     ^^^"]


def test_notes_and_help_of_several_lines_are_indented() -> None:
    shown = body(finding("let", Span(0, 3), notes=("one", "two\nlines"), help="do\nthis"))
    assert shown[2:] == ["  = note: one", "  = note: two", "          lines", "  = help: do", "          this"]


def test_without_a_source_there_are_only_words() -> None:
    bare = Diagnostic("R0302", "cannot be proven", severity=Severity.WARNING, notes=("because",))
    assert render(bare) == "warning[R0302]: cannot be proven\n  = note: because"
    assert bare.primary.span == NOWHERE


def test_colours_change_nothing_but_colours() -> None:
    text = render_rich([UNKNOWN, UNKNOWN])
    assert [line.rstrip() for line in text.plain.split("\n")] == render_all([UNKNOWN, UNKNOWN]).split("\n")
    console = Console(force_terminal=True, color_system="standard", width=200)
    with console.capture() as captured:
        console.print(text)
    assert "\x1b[1;31merror[R0201]" in captured.get()


def test_many_are_counted() -> None:
    shown = render_all([UNKNOWN] * 25)
    assert shown.count("error[") == 20
    assert shown.endswith("\n\n... and 5 more")


def test_summary() -> None:
    warning = Diagnostic("R0222", "unused", severity=Severity.WARNING)
    assert summary([]) == ""
    assert summary([UNKNOWN]) == "1 error"
    assert summary([UNKNOWN, warning, UNKNOWN]) == "2 errors and 1 warning"


def test_a_spec_error_shows_its_findings_and_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(SpecError((UNKNOWN,))))
    assert str(error) == render(UNKNOWN)
    assert error.diagnostics == (UNKNOWN,)
