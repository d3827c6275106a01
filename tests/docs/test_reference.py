"""The reference pages are complete."""

import re

import pytest

from recurrence_dsl.check.functions import NAMES
from recurrence_dsl.layers.values import FUNCTIONS
from recurrence_dsl.syntax.layout import KEYWORDS
from recurrence_dsl.testing.properties import PROPERTIES
from recurrence_dsl.tools.layer_reference import layer_reference
from tests.docs.blocks import ROOT

LANGUAGE = (ROOT / "docs/language.md").read_text()


@pytest.mark.parametrize("name", [*NAMES, *FUNCTIONS])
def test_the_language_page_has_every_function(name):
    assert re.search(rf"`{name}[(\[`]", LANGUAGE)


@pytest.mark.parametrize("keyword", [k for k in KEYWORDS if k not in ("layer", "return")])
def test_the_language_page_has_every_statement(keyword):
    assert f"### {keyword}\n" in LANGUAGE


def test_the_testing_page_has_every_property():
    rows = re.findall(r"^\| `(.+)` \| (.+) \|$", (ROOT / "docs/testing.md").read_text(), re.MULTILINE)
    assert rows == [(p.name, p.says) for p in PROPERTIES]


def test_the_page_of_layer_functions_is_as_they_are(request):
    page = ROOT / "docs/layer-functions.md"
    if request.config.getoption("--update-golden"):
        page.write_text(layer_reference())
    assert page.read_text() == layer_reference()
