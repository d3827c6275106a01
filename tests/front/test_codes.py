"""Every code has an entry, and every entry's example gives its own code with the golden message."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

import recurrence_dsl as rd
from recurrence_dsl.codes import Entry, codes, entry, explanation
from recurrence_dsl.diagnostics import CallError, Diagnostic, SpecError
from recurrence_dsl.layers.check import check_layer
from recurrence_dsl.maths.lift import lift
from recurrence_dsl.rendering import render_all

from .reading import read

PACKAGE = Path(rd.__file__).parent


def used_codes() -> set[str]:
    return {
        code
        for path in PACKAGE.rglob("*.py")
        for code in re.findall(r"""["'](R\d{4})["']""", path.read_text(encoding="utf-8"))
    }


def test_every_code_in_the_package_has_an_entry_and_every_entry_is_used() -> None:
    assert used_codes() == set(codes())


def findings(text: str) -> tuple[Diagnostic, ...]:
    """What the stages up to the mathematics say of a spec."""
    spec, found = read(text)
    return found if spec is None else (*found, *check_layer(spec)[1], *lift(spec)[1])


def outcome(language: str, text: str) -> tuple[list[str], str]:
    """The codes that an example gives, and what the user sees."""
    if language == "spec":
        found = findings(text)
        return [finding.code for finding in found], render_all(found)
    try:
        exec(compile(text, "example.py", "exec"), {})
    except CallError as error:
        return [error.code], str(error)
    except SpecError as error:
        return [finding.code for finding in error.diagnostics], str(error)
    return [], ""


@pytest.mark.parametrize("code", [code for code in codes() if entry(code).example])
def test_example(code: str, golden, monkeypatch) -> None:
    monkeypatch.setenv("RECURRENCE_DEBUG", "1")  # an example may set it itself: this puts it back
    found: Entry = entry(code)
    given, shown = outcome(found.language, found.example)
    assert set(given) == {code}
    golden(f"errors/{code}.txt", shown + "\n")
    if found.mended:
        assert outcome(found.language, found.mended) == ([], "")


@pytest.mark.parametrize("code", codes())
def test_entry_is_written_for_people(code: str) -> None:
    found = entry(code)
    assert 5 <= len(found.title) <= 80
    assert found.language in ("spec", "python", "")
    prose = re.sub(r"```.*?```", "", found.text, flags=re.DOTALL)
    assert len(prose.split()) > 15
    assert all(len(line) <= 130 for line in prose.splitlines())


def test_explanation() -> None:
    text = explanation("R0201")
    assert text.startswith("# R0201: unknown name\n")
    assert textwrap.dedent("```spec") in text


def test_an_unknown_code_is_a_coded_error() -> None:
    with pytest.raises(CallError, match="R0902") as raised:
        explanation("R0999")
    assert raised.value.code == "R0902"
