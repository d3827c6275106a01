"""Ast -> Spec: names, axes, time and compile-time values of specs that are right."""

from __future__ import annotations

import math

import pytest

from recurrence_dsl.check.spec import Const, Dim, Initialiser, Input, Param, expression
from recurrence_dsl.expr import Apply, AxisFn, Fn, Head, Heads, Kind, Now, Number, Over, Prev, Renamed, Size, walk
from recurrence_dsl.resources import shipped_specs

from .reading import BASE, read, spec


def let(value: str, *more: str) -> object:
    """The typed expression of `let x = value` in the base spec, which uses it."""
    text = BASE.replace("q * S", "q * S * mean[K](mean[V](x * k * v))") + "\n".join([f"let x = {value}", *more])
    found = spec(text)
    return next(d.value for d in found.lets if d.name == "x")


q = Now(("K",), name="q", kind=Kind.INPUT)
k = Now(("K",), name="k", kind=Kind.INPUT)
v = Now(("V",), name="v", kind=Kind.INPUT)


def test_axes_are_the_union_in_the_order_of_the_dims() -> None:
    assert let("v * k") == Apply(("K", "V"), fn=Fn.MUL, args=(v, k))


def test_reductions_remove_their_axes_and_others_keep_them() -> None:
    product = Apply(("K", "V"), fn=Fn.MUL, args=(k, v))
    assert let("sum[K](k * v)") == Over(("V",), fn=AxisFn.SUM, over=("K",), arg=product)
    assert let("max[V, K](k * v)") == Over((), fn=AxisFn.MAX, over=("K", "V"), arg=product)
    assert let("softmax[V](k * v)") == Over(("K", "V"), fn=AxisFn.SOFTMAX, over=("V",), arg=product)


def test_a_renamed_axis_is_another_axis() -> None:
    renamed = Renamed(("J",), arg=k, source="K", target="J")
    assert let("sum[J](k * k[K -> J])", "dim J") == Over(
        ("K",), fn=AxisFn.SUM, over=("J",), arg=Apply(("K", "J"), fn=Fn.MUL, args=(k, renamed))
    )


def test_language_words_sizes_and_numbers() -> None:
    assert let("head") == Head()
    assert let("heads") == Heads()
    assert let("K") == Size(axis="K")
    assert let("+2.5") == Number(value=2.5)
    assert let("-2") == Apply((), fn=Fn.NEG, args=(Number(value=2.0),))


def test_min_and_max_take_any_number_of_arguments_from_two() -> None:
    inner = Apply(("K",), fn=Fn.MAX, args=(q, k))
    assert let("max(q, k, 1)") == Apply(("K",), fn=Fn.MAX, args=(inner, Number(value=1.0)))


def test_complex_values() -> None:
    unit = Number(is_complex=True, value=1j)
    assert let("re(1i * k)") == Apply(("K",), False, fn=Fn.RE, args=(Apply(("K",), True, fn=Fn.MUL, args=(unit, k)),))
    assert let("abs(1i)") == Apply((), False, fn=Fn.ABS, args=(unit,))
    assert let("abs((1i) ** -2)").args[0].is_complex  # type: ignore[attr-defined]


def test_names_resolve_over_the_whole_file() -> None:
    lines = BASE.splitlines()
    shuffled = spec("\n".join([lines[0], *reversed(lines[1:])]))
    assert shuffled.order == spec(BASE).order == ("S", "o")
    assert shuffled.states == spec(BASE).states


def test_the_order_follows_what_is_read_at_time_t_only() -> None:
    text = """
        mixer m
        dim V
        input x : [V]
        output o = a + s[t-1]
        let a = b * 2
        state s : [V] = s[t-1] + a + o[t-1]
        let b = x + r
        state r : [V] = 0.5 * r[t-1] + s[t-1]
    """
    assert spec(text).order == ("r", "b", "a", "o", "s")
    assert [d.name for d in spec(text).carried] == ["o"]


def test_carried_names_keep_their_axes() -> None:
    text = BASE.replace("k * v", "k[t-1] * v * u[t-1]") + "let u = sum[K](q * k)\n"
    assert [(d.name, d.axes) for d in spec(text).carried] == [("k", ("K",)), ("u", ())]


def test_a_narrower_update_is_repeated_along_the_missing_axes() -> None:
    found = spec(BASE.replace("S[t-1] + k * v", "0.5 * v"))
    assert found.states[0].axes == ("K", "V")
    assert found.states[0].update.axes == ("V",)


def test_declarations() -> None:
    text = """
        mixer m
        dim K = 4
        dim V
        input g : [V, K] per group in (-1, 0.5]
        input z : complex
        param u : [K] shared
        const c = -2 ** 3 / 4
        state S : [K, V] = c * u * S[t-1] + g + re(z)
        output o = S
    """
    found = spec(text)
    assert found.dims == (Dim("K", default=4), Dim("V"))
    assert found.inputs == (
        Input("g", ("V", "K"), per_group=True, low=-1.0, high=0.5, low_open=True, high_open=False),
        Input("z", is_complex=True),
    )
    assert found.params == (Param("u", ("K",), shared=True),)
    assert found.consts == (Const("c", value=-2.0),)
    assert found.find("S") is found.states[0]
    assert [d.name for d in found.definitions] == ["S", "o"]
    # a declared value keeps its own order of axes, a computed one has that of the dims
    reads = [node.axes for node in walk(expression(found.states[0])) if isinstance(node, Now) and node.name == "g"]
    assert reads == [("K", "V")]


CONSTS = [
    ("1/16", 1 / 16),
    ("2 ** -3", 0.125),
    ("exp(0) + log(1) + sqrt(4)", 3.0),
    ("max(1, 2, 3) - min(1, 2)", 2.0),
    ("sigmoid(0) * softplus(-800)", 0.0),
    ("sigmoid(-800)", 0.0),
    ("logsigmoid(-800)", -800.0),
    ("-abs(-3)", -3.0),
    ("sin(0) + cos(0) + tanh(0) + relu(-1) + square(3)", 10.0),
]


@pytest.mark.parametrize(("text", "value"), CONSTS)
def test_const(text: str, value: float) -> None:
    found = spec(BASE.replace("k * v", "c * k * v") + f"const c = {text}\n")
    assert math.isclose(found.consts[0].value, value, abs_tol=1e-300)


def number(value: float) -> Initialiser:
    return Initialiser("number", value=value)


INITIALISERS = [
    ("1", number(1.0)),
    ("-c", Initialiser("neg", (Initialiser("const", name="c"),))),
    ("K ** -0.5", Initialiser("**", (Initialiser("size", name="K"), Initialiser("neg", (number(0.5),))))),
    ("normal(0, 0.1)", Initialiser("normal", (number(0.0), number(0.1)))),
    ("log(uniform(1, 16))", Initialiser("log", (Initialiser("uniform", (number(1.0), number(16.0))),))),
    ("inv_softplus(loguniform(1, 2))",
     Initialiser("inv_softplus", (Initialiser("loguniform", (number(1.0), number(2.0))),))),
    ("index(K) / K", Initialiser("/", (Initialiser("index", name="K"), Initialiser("size", name="K")))),
    ("index[K]()", Initialiser("index", name="K")),
    ("head / heads", Initialiser("/", (Initialiser("head"), Initialiser("heads")))),
    ("max(1, 2, 3)", Initialiser("max", (Initialiser("max", (number(1.0), number(2.0))), number(3.0)))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "tree"), INITIALISERS, ids=[text for text, _ in INITIALISERS])
def test_initialiser(text: str, tree: Initialiser) -> None:
    found = spec(BASE.replace("k * v", "c * u * k * v") + f"const c = 2\nparam u : [K] = {text}\n")
    assert found.params[0].init == tree


def test_a_layer_block_is_kept_and_its_reads_count_as_uses() -> None:
    text = BASE + "param w = 1\nlayer x : [D]\n  q, k = linear[K](x)\n  v = linear[V](x)\n  return linear[D](o * w)\n"
    found, findings = read(text)
    assert findings == ()
    assert found is not None
    assert found.layer is not None
    assert len(found.layer.lines) == 3


@pytest.mark.parametrize("path", shipped_specs(), ids=lambda path: path.stem)
def test_shipped_specs_have_no_findings(path) -> None:
    found, findings = read(path.read_text(encoding="utf-8"))
    assert findings == ()
    assert found is not None
    assert found.name == path.stem
    assert "arXiv:" in found.doc


def test_previous_values_keep_kind_and_axes() -> None:
    found = spec(BASE)
    assert [n for n in walk(found.states[0].update) if isinstance(n, Prev)] == [
        Prev(("K", "V"), name="S", kind=Kind.STATE)
    ]
