"""A stage's result that does not hold together is found. (Every test checks the results of the stages that it runs.)"""

from __future__ import annotations

from dataclasses import replace

import pytest

from recurrence_dsl.check import load_text
from recurrence_dsl.expr import Apply, Fn, Kind, Now
from recurrence_dsl.maths.lift import lift
from recurrence_dsl.maths.recurrence import Erase, Recurrence, Write
from recurrence_dsl.options import DEBUG
from recurrence_dsl.pipeline import Compiled, derive, emitted
from recurrence_dsl.program.lower import Known
from recurrence_dsl.program.ops import COL, Op, Program
from recurrence_dsl.source import Source, Span
from recurrence_dsl.syntax import ast, parse
from recurrence_dsl.verify import Result, StageError, checked, verify

TEXT = """\
mixer gated
dim K, V
input q, k, g : [K]
input v : [V]
decay a = sigmoid(g)
state S : [K, V] = a * S[t-1] - k * sum[K](k * S[t-1]) + k * v
output o = sum[K](q * S)
"""
SPEC = load_text(TEXT)


def recurrence() -> Recurrence:
    found, _ = lift(SPEC)
    assert found is not None
    return found


def compiled(form: str = "chunk") -> Compiled:
    return derive(recurrence(), Known({"K": 3, "V": 2}, 2), form, 4)


def test_all_stages_of_all_tests_are_checked() -> None:
    assert DEBUG.flag()


def broken_trees() -> dict[str, ast.Ast]:
    tree, _ = parse(Source(TEXT))
    assert tree is not None
    first, dims, *rest = tree.statements
    assert isinstance(first, ast.MixerStatement)
    return {
        "not inside the text": replace(tree, source=Source(TEXT[:40])),
        "leaves its parent's": replace(tree, statements=(replace(first, span=Span(0, 3)), dims, *rest)),
        "is no name": replace(tree, statements=(replace(first, name=replace(first.name, name="a b")), dims, *rest)),
    }


def broken_specs() -> dict[str, Result]:
    let, state, output = SPEC.lets[0], SPEC.states[0], SPEC.outputs[0]
    unknown = Now(name="w", kind=Kind.INPUT, axes=("K",))
    mistyped = Apply(fn=Fn.EXP, args=(Now(name="g", kind=Kind.INPUT, axes=("K",)),))
    return {
        "comes before what it reads": replace(SPEC, order=("S", "a", "o")),
        "every let, state and output once": replace(SPEC, order=("a", "S")),
        "is not declared": replace(SPEC, lets=(replace(let, value=unknown),)),
        "should have the axes": replace(SPEC, lets=(replace(let, value=mistyped),)),
        "is called param": replace(SPEC, lets=(replace(let, value=Now(name="g", kind=Kind.PARAM, axes=("K",))),)),
        "has the axes": replace(SPEC, outputs=(replace(output, axes=("K",)),)),
        "declared twice": replace(SPEC, states=(state, replace(state, name="a"))),
        "no output": replace(SPEC, outputs=()),
    }


def broken_recurrences() -> dict[str, Result]:
    good = recurrence()
    state, read = good.states[0], good.reads[0]
    v = Now(name="v", kind=Kind.INPUT, axes=("V",))
    write = Apply(fn=Fn.MUL, args=(read.query, v), axes=("K", "V"))

    def with_state(**parts: object) -> Recurrence:
        return replace(good, states=(replace(state, **parts),))  # type: ignore[arg-type]

    return {
        "does not follow from the states": replace(good, chunked=False),
        "no reason is given": replace(good, reason=""),
        "the wrong axes": replace(good, reads=(replace(read, axes=("K",)),)),
        "varies along what it leaves": replace(good, reads=(replace(read, query=v),)),
        "what it does not contract": with_state(erases=(Erase(v, read.query),)),
        "erase axes without erases": with_state(erases=()),
        "both sides of a read": with_state(writes=(Write((write,)),)),
        "lies in [0, 2]": with_state(decay_range=replace(state.decay_range, low=0.0, high=2.0)),
    }


def broken_programs() -> dict[str, Result]:
    body = compiled().programs.body
    product = next(v for v in body.values if v.op is Op.CONTRACT)
    exponential = next(v for v in body.values if v.op is Op.MAP)

    def with_value(index: int, **parts: object) -> Program:
        changed = replace(body.values[index], **parts)  # type: ignore[arg-type]
        return replace(body, values=(*body.values[:index], changed, *body.values[index + 1 :]))

    last = len(body.values) - 1
    return {
        "comes before its operands": with_value(product.index, args=(product.args[0], product.index)),
        "its operands make": with_value(product.index, dims=product.dims[:-1]),
        "unknown or unordered": with_value(product.index, dims=(*product.dims[:-1], "Z")),
        "has 1 operands": with_value(product.index, args=product.args[:1]),
        "do not fit": with_value(product.index, attr=(COL,)),
        "has the attribute": with_value(exponential.index, attr=None),
        "about being complex": with_value(exponential.index, is_complex=True),
        "no adjoint": with_value(last, op=Op.UNSHIFT),
        "is never used": replace(body, outputs=body.outputs[:1]),
        "two results have one key": replace(body, outputs=(*body.outputs, body.outputs[0])),
        "no result of this program": replace(body, outputs=(("gradient:o", 0), *body.outputs)),
    }


def broken_plans() -> dict[str, Result]:
    plan = compiled().plan
    return {
        "blocks of 0 tokens": replace(plan, block=0),
        "one token at a time": replace(plan, form="recurrent"),
        "no form is called": replace(plan, form="blocked"),
    }


def broken_sources() -> dict[str, Result]:
    text = emitted(compiled(), {"K": 3, "V": 2}, 2)
    return {
        "line 1: ": f"({text}",
        "it imports numpy": f"{text}\nimport numpy\n",
        "`missing` is not defined in `f`": f"{text}\ndef f():\n    return missing\n",
        "`later` is not defined in `f`": f"{text}\ndef f():\n    x = later\n    later = 1\n    return x\n",
    }


BROKEN = {
    **broken_trees(),
    **broken_specs(),
    **broken_recurrences(),
    **broken_programs(),
    **broken_plans(),
    **broken_sources(),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_result_is_found(what: str) -> None:
    with pytest.raises(StageError) as caught:
        verify(BROKEN[what])
    assert what in str(caught.value)


def test_results_are_checked_where_debugging_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = broken_plans()["blocks of 0 tokens"]
    monkeypatch.setenv("RECURRENCE_DEBUG", "0")
    assert checked(bad) is bad
    monkeypatch.setenv("RECURRENCE_DEBUG", "1")
    with pytest.raises(StageError, match="schedule"):
        checked(bad)
