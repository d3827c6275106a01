"""text -> Ast: what each statement and expression becomes."""

from __future__ import annotations

import pytest

from recurrence_dsl.source import Source, Span
from recurrence_dsl.syntax import ast, parse


def tree(text: str) -> ast.Ast:
    found, findings = parse(Source(text))
    assert findings == ()
    assert found is not None
    return found


def only(text: str) -> ast.Statement:
    (statement,) = tree(text).statements
    return statement


def expression(text: str) -> ast.Expression:
    statement = only(f"let x = {text}")
    assert isinstance(statement, ast.LetStatement)
    return statement.value


def idents(names: str) -> tuple[ast.Ident, ...]:
    return tuple(ast.Ident(name) for name in names.split())


STATEMENTS = [
    ("mixer gla", ast.MixerStatement(ast.Ident("gla"))),
    ('mixer gla\n\n  # a comment\n  """What it is."""', ast.MixerStatement(ast.Ident("gla"), "What it is.")),
    ("dim K, V", ast.DimStatement(idents("K V"))),
    ("dim K = 64", ast.DimStatement(idents("K"), 64)),
    ("input dt", ast.InputStatement(idents("dt"), ())),
    ("input dt : []", ast.InputStatement(idents("dt"), ())),
    ("input q, k : [K]", ast.InputStatement(idents("q k"), idents("K"))),
    ("input B : [K] per group", ast.InputStatement(idents("B"), idents("K"), per_group=True)),
    ("input z : complex [N]", ast.InputStatement(idents("z"), idents("N"), complex=True)),
    ("input z : complex", ast.InputStatement(idents("z"), (), complex=True)),
    (
        "input g : [K] in (-inf, 0]",
        ast.InputStatement(
            idents("g"), idents("K"), range=ast.Range(float("-inf"), 0.0, low_open=True, high_open=False)
        ),
    ),
    ("input beta in [0, 2)", ast.InputStatement(idents("beta"), (), range=ast.Range(0.0, 2.0, False, True))),
    ("param D", ast.ParamStatement(idents("D"), ())),
    ("param D = 1", ast.ParamStatement(idents("D"), (), init=ast.Number(1.0))),
    ("param u : [K] shared", ast.ParamStatement(idents("u"), idents("K"), shared=True)),
    ("const c = 16", ast.ConstStatement(ast.Ident("c"), ast.Number(16.0))),
    ("let f = x", ast.LetStatement(ast.Ident("f"), ast.Name("x"))),
    ("decay f = x", ast.LetStatement(ast.Ident("f"), ast.Name("x"), decay=True)),
    ("state s = s[t-1]", ast.StateStatement(ast.Ident("s"), (), ast.Previous("s", 1))),
    (
        "state h : complex [N] = h[t - 1]",
        ast.StateStatement(ast.Ident("h"), idents("N"), ast.Previous("h", 1), complex=True),
    ),
    ("output o = x", ast.OutputStatement(ast.Ident("o"), ast.Name("x"))),
]


@pytest.mark.parametrize(("text", "expected"), STATEMENTS, ids=[text for text, _ in STATEMENTS])
def test_statement(text: str, expected: ast.Statement) -> None:
    assert only(text) == expected


a, b, c = ast.Name("a"), ast.Name("b"), ast.Name("c")
K, J = ast.Ident("K"), ast.Ident("J")

EXPRESSIONS = [
    ("a + b - c", ast.Binary("-", ast.Binary("+", a, b), c)),
    ("a - b * c", ast.Binary("-", a, ast.Binary("*", b, c))),
    ("a / b / c", ast.Binary("/", ast.Binary("/", a, b), c)),
    ("a / (b / c)", ast.Binary("/", a, ast.Binary("/", b, c))),
    ("a ** b ** c", ast.Binary("**", a, ast.Binary("**", b, c))),
    ("-a ** b", ast.Unary("-", ast.Binary("**", a, b))),
    ("a ** -b", ast.Binary("**", a, ast.Unary("-", b))),
    ("-a * b", ast.Binary("*", ast.Unary("-", a), b)),
    ("+a", ast.Unary("+", a)),
    ("2.5e-3", ast.Number(2.5e-3)),
    (".5", ast.Number(0.5)),
    ("1i", ast.Number(1.0, imaginary=True)),
    ("a[t]", ast.Previous("a", 0)),
    ("a[t-2]", ast.Previous("a", 2)),
    ("a[t+1]", ast.Previous("a", -1)),
    ("a[K -> J]", ast.Rename(a, K, J)),
    ("a[t-1][K -> J]", ast.Rename(ast.Previous("a", 1), K, J)),
    ("(a + b)[K -> J]", ast.Rename(ast.Binary("+", a, b), K, J)),
    ("exp(a)", ast.Call("exp", (), (a,))),
    ("f()", ast.Call("f", (), ())),
    ("max(a, b)", ast.Call("max", (), (a, b))),
    ("sum[K, J](a)", ast.Call("sum", (K, J), (a,))),
    ("sum[K](a)[J -> K]", ast.Rename(ast.Call("sum", (K,), (a,)), J, K)),
    ("conv[4](a)", ast.Call("conv", (ast.Number(4.0),), (a,))),
    (
        "linear[K](a, bias=true, rank=16)",
        ast.Call("linear", (K,), (a,), (ast.Option("bias", ast.Flag(True)), ast.Option("rank", ast.Number(16.0)))),
    ),
    ("(a\n  +  # over two lines\n b)", ast.Binary("+", a, b)),
    ("λ * Δ_0", ast.Binary("*", ast.Name("λ"), ast.Name("Δ_0"))),
]


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_expression(text: str, expected: ast.Expression) -> None:
    assert expression(text) == expected


def test_words_of_the_language_may_be_names_where_no_keyword_can_stand() -> None:
    assert expression("state + per * group") == ast.Binary(
        "+", ast.Name("state"), ast.Binary("*", ast.Name("per"), ast.Name("group"))
    )


def test_every_node_knows_where_it_stands() -> None:
    text = "let x = (a + b[t-1]) * sum[K](c)"
    let = only(text)
    assert isinstance(let, ast.LetStatement)
    product = let.value
    assert isinstance(product, ast.Binary)

    def written(node: ast.Expression) -> str:
        return text[node.span.start : node.span.end]

    assert written(product) == "(a + b[t-1]) * sum[K](c)"
    assert [written(product.left), written(product.right)] == ["(a + b[t-1])", "sum[K](c)"]
    assert isinstance(product.right, ast.Call)
    assert product.right.function_span == Span(text.index("sum"), text.index("[K]"))
    assert product.right.brackets[0].span == Span(text.index("K"), text.index("K") + 1)


LAYER = """
    mixer m
    layer x : [D]
      q, k = rotary[K](linear[K](x))  # indented deeper than `layer`
      param mu : [D] = 0.5

      const eps = 1e-5
      return linear[D](o)
    let y = 1
"""


def test_a_layer_block_ends_where_the_indentation_does() -> None:
    mixer, layer, let = tree(LAYER).statements
    assert isinstance(mixer, ast.MixerStatement)
    assert isinstance(layer, ast.LayerStatement)
    assert isinstance(let, ast.LetStatement)
    kinds = [type(line) for line in layer.lines]
    assert kinds == [ast.Assignment, ast.ParamStatement, ast.ConstStatement, ast.Return]
    assert LAYER[layer.span.start :].startswith("layer x")
    assert LAYER[: layer.span.end].endswith("linear[D](o)")


def test_a_layer_block_may_end_the_file_and_use_tabs() -> None:
    (layer,) = tree("layer x : [D]\n\ty = x\n\treturn y").statements
    assert isinstance(layer, ast.LayerStatement)
    assert len(layer.lines) == 2


def test_windows_line_ends_and_a_byte_order_mark_are_blank() -> None:
    assert tree("\ufeffmixer m\r\nlet x = (1 +\r\n 2)\r\n") == tree("mixer m\nlet x = (1 + 2)\n")


DOCSTRINGS = [
    ('"""One line."""', "One line."),
    ('"""\n  Two lines,\n    the second deeper.\n  """', "Two lines,\n  the second deeper."),
    ('"""First,\n     then the rest."""', "First,\nthen the rest."),
    ('""""quoted" """', '"quoted"'),
    ('""""""', ""),
]


@pytest.mark.parametrize(("text", "doc"), DOCSTRINGS)
def test_docstring(text: str, doc: str) -> None:
    assert only(f"mixer m\n  {text}") == ast.MixerStatement(ast.Ident("m"), doc)
