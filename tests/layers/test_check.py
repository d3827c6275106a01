"""What the layer block's checker accepts and refuses, and the words that it says it in."""

from __future__ import annotations

import pytest
import torch

import recurrence_dsl as rd
from recurrence_dsl.diagnostics import Severity
from recurrence_dsl.layers import check_layer

MIXER = """\
mixer example
dim    K, V
input  q, k : [K]
input  v : [V]
input  B : [K] per group
const  lower = 0
decay  f = lower + (1 - lower) * sigmoid(k)
state  S : [K, V] = f * S[t-1] + k * v
output o = sum[K](q * B * S)
"""
GOOD = """\
layer x : [D]
  q, k = linear[K](x)
  v = linear[V](x)
  B = linear[groups, K](x)
  return linear[D](o)
"""


def findings(layer: str) -> list[tuple[str, str]]:
    """Code and message of each finding about a layer block, in the order of the lines."""
    try:
        spec = rd.load(MIXER + layer)
    except rd.SpecError as error:
        return [(d.code, d.message) for d in error.diagnostics]
    return [(d.code, d.message) for d in spec.warnings if d.code.startswith("R05")]


def codes(layer: str) -> list[str]:
    return [code for code, _ in findings(layer)]


def test_a_good_layer_has_no_findings() -> None:
    assert findings(GOOD) == []


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("z = liner[K](x)", "R0501", "liner"),
        ("z = sum(x)", "R0501", "sum[K]"),
        ("z = silu[K](x)", "R0501", "silu(..)"),
        ("z = y", "R0502", "`y`"),
        ("z = o", "R0508", "before the mixer can run"),
        ("z = q[t-2]", "R0503", "one token at a time"),
        ("z = lower[t-1]", "R0502", "lower"),
        ("z = sum[K](x)", "R0503", "works over axes"),
        ("z = linear[W](x)", "R0504", "`W`"),
        ("z = linear(x)", "R0503", "bracketed axes"),
        ("z = linear[K](head)", "R0503", "change over time"),
        ("z = conv[0](x)", "R0503", "width"),
        ("z = conv[K](x)", "R0503", "width"),
        ("z = q * linear[groups, K](x)", "R0503", "per group"),
        ("z = q[K -> K]", "R0503", "rename"),
        ("z = q[V -> K]", "R0503", "rename"),
        ("q = linear[K](x)", "R0506", "`q`"),
        ("x = linear[K](x)", "R0506", "`x`"),
        ("o = linear[K](x)", "R0506", "`o`"),
        ("z = linear[K](x, bais=true)", "R0507", "bais"),
        ("z = linear[K](x, bias=true, bias=true)", "R0507", "twice"),
        ("z = linear[K](x, rank=x)", "R0507", "rank"),
        ("z = linear[K](x, within=layers)", "R0507", "within"),
        ("z = linear[K](x, within=heads)", "R0503", "within"),
        ("z = linear[K](x, weight=gauss(0, 1))", "R0507", "gauss"),
        ("z = linear[K](x, bias=normal(0, width))", "R0507", "width"),
        ("z = rotary[K](q, layout=thirds)", "R0507", "layout"),
        ("z = rmsnorm[K](q, within=groups)", "R0503", "within"),
        ("z = silu(q, k)", "R0510", "silu"),
        ("z = max(q)", "R0510", "max"),
        ("z = linear[K](q, k)", "R0510", "linear"),
        ("z = index(q)", "R0504", "`q`"),
        ("z = at[K](q, k)", "R0503", "place"),
        ("z = true", "R0503", "real"),
        ("forward = linear[K](x)", "R0511", "forward"),
        ("mixer_ = linear[K](x)", "R0512", "never read"),
        ("const z = q", "R0507", "not a number"),
        ("param z : [W]", "R0504", "`W`"),
        ("param z : [K] = gauss(0, 1)", "R0507", "gauss"),
        ("param z : complex [K]", "R0503", "real"),
    ],
)
def test_one_bad_line(line: str, code: str, words: str) -> None:
    layer = GOOD.replace("  v = ", f"  {line}\n  v = ")
    found = findings(layer)
    assert [c for c, _ in found] == [code]
    assert words in found[0][1] or any(words in d for d in details(layer))


def details(layer: str) -> list[str]:
    """Everything else that the findings say."""
    try:
        found = rd.load(MIXER + layer).warnings
    except rd.SpecError as error:
        found = error.diagnostics
    return [text for d in found for text in (d.primary.text, d.help or "", *d.notes)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  return linear[D](o)\n", "  y = linear[D](o)\n", ["R0505"]),
        ("  return linear[D](o)\n", "  return linear[D](o)\n  y = linear[D](o)\n", ["R0505", "R0505"]),
        ("  return linear[D](o)\n", "  return o\n", ["R0503"]),
        ("  return linear[D](o)\n", "  return linear[D](x)\n", ["R0512"]),
        ("  v = linear[V](x)\n", "", ["R0509"]),
        ("  v = linear[V](x)\n", "  v = linear[K](x)\n", ["R0503"]),
        ("  B = linear[groups, K](x)\n", "  B = linear[K](x)\n", ["R0503"]),
        ("layer x : [D]", "layer q : [D]", ["R0506"]),
        ("layer x : [D]", "layer x : [D, K]", ["R0503"]),
    ],
)
def test_one_bad_block(old: str, new: str, expected: list[str]) -> None:
    assert codes(GOOD.replace(old, new))[: len(expected)] == expected


def test_several_errors_in_one_run() -> None:
    layer = GOOD.replace("linear[V](x)", "linear[W](x)").replace("[groups, K](x)", "[groups, K](y)")
    assert codes(layer) == ["R0504", "R0502"]


def test_a_name_from_a_failed_line_is_no_second_error() -> None:
    layer = GOOD.replace("linear[D](o)", "linear[D](o * v)").replace("linear[V](x)", "linear[V](y)")
    assert codes(layer) == ["R0502"]


def test_a_later_line_is_named_as_such() -> None:
    layer = GOOD.replace("linear[V](x)", "linear[V](B)")
    assert codes(layer) == ["R0502"]
    assert "move its line up" in details(layer)


def test_an_unread_line_is_a_warning() -> None:
    spec = rd.load(MIXER + GOOD.replace("  return", "  z = linear[V](x)\n  return"))
    assert [(d.code, d.severity) for d in spec.warnings] == [("R0512", Severity.WARNING)]


def test_paths_number_repeated_functions_in_the_order_of_writing() -> None:
    graph, _ = check_layer(rd.load(MIXER + GOOD.replace("linear[D](o)", "linear[D](o * linear[V](x))")))
    assert graph is not None
    layer = rd.compile_layer(graph.spec, d_model=8, heads=2, K=4, V=2)
    assert layer.get_submodule("out.linear").out_features == 8
    assert layer.get_submodule("out.linear_2").out_features == 4


def test_a_const_assigned_a_number_is_replaced_when_the_layer_is_built() -> None:
    text = MIXER + GOOD.replace("  q, k", "  lower = layer / layers\n  q, k")
    layer = rd.compile_layer(text, d_model=8, heads=2, K=4, V=2, layer_index=1, layers=4)
    given = rd.compile_layer(MIXER + GOOD, d_model=8, heads=2, K=4, V=2, lower=0.25)
    given.load_state_dict(layer.state_dict())
    x = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(layer(x), given(x))


def test_a_const_assigned_a_tensor_becomes_an_input_with_its_proven_range() -> None:
    text = MIXER + GOOD.replace("  q, k", "  lower = sigmoid(linear[K](x))\n  q, k")
    graph, findings = check_layer(rd.load(text))
    assert findings == ()
    assert graph is not None
    made = next(i for i in graph.spec.inputs if i.name == "lower")
    assert made.axes == ("K",)
    assert (made.low, made.high) == (0, 1)


def test_a_const_assigned_a_tensor_must_keep_the_decays_promise() -> None:
    text = MIXER + GOOD.replace("  q, k", "  lower = linear[K](x)\n  q, k")
    with pytest.raises(rd.SpecError):
        rd.compile_layer(text, d_model=8, heads=2, K=4, V=2)
