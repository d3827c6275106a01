"""Ast -> text -> Ast is the identity: for shipped specs, and for random trees."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurrence_dsl.resources import shipped_specs
from recurrence_dsl.source import Source
from recurrence_dsl.syntax import ast, parse, print_ast


def again(tree: ast.Ast) -> ast.Ast:
    found, findings = parse(Source(print_ast(tree)))
    assert findings == ()
    assert found is not None
    return found


@pytest.mark.parametrize("path", shipped_specs(), ids=lambda path: path.stem)
def test_shipped_spec(path: Path) -> None:
    tree, findings = parse(Source(path.read_text(encoding="utf-8"), path.name))
    assert findings == ()
    assert tree is not None
    assert again(tree) == tree
    assert print_ast(again(tree)) == print_ast(tree)


names = st.sampled_from(["q", "k", "v", "S", "λ", "A_log", "state", "per", "complex", "x1"])
axes = st.sampled_from(["K", "V", "N"])
idents = st.builds(ast.Ident, names)
axis_lists = st.lists(st.builds(ast.Ident, axes), max_size=3).map(tuple)
name_lists = st.lists(idents, min_size=1, max_size=3).map(tuple)
reals = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
numbers = st.builds(ast.Number, reals, st.booleans())
flags = st.builds(ast.Flag, st.booleans())
leaves = st.one_of(
    numbers, flags, st.builds(ast.Name, names), st.builds(ast.Previous, names, st.integers(min_value=-3, max_value=3))
)


def deeper(inner: st.SearchStrategy[ast.Expression]) -> st.SearchStrategy[ast.Expression]:
    brackets = st.lists(st.one_of(st.builds(ast.Ident, axes), numbers), max_size=2).map(tuple)
    arguments, options = (
        st.lists(inner, max_size=2).map(tuple),
        st.lists(st.builds(ast.Option, names, inner), max_size=2),
    )
    axis = st.builds(ast.Ident, axes)
    return st.one_of(
        st.builds(ast.Unary, st.sampled_from("+-"), inner),
        st.builds(ast.Binary, st.sampled_from(["+", "-", "*", "/", "**"]), inner, inner),
        st.builds(ast.Rename, inner, axis, axis),
        st.builds(ast.Call, names, brackets, arguments, options.map(tuple)),
    )


expressions = st.recursive(leaves, deeper, max_leaves=12)
bounds = st.one_of(st.floats(allow_nan=False), st.just(float("inf")))
ranges = st.builds(ast.Range, bounds, bounds, st.booleans(), st.booleans())
params = st.builds(ast.ParamStatement, name_lists, axis_lists, st.booleans(), st.booleans(), st.none() | expressions)
consts = st.builds(ast.ConstStatement, idents, expressions)
docs = st.text(alphabet='ab "#\\\né', max_size=20).filter(lambda doc: '"""' not in doc)


@st.composite
def mixers(draw: st.DrawFn) -> ast.Statement:
    """A mixer statement whose docstring has the form that the parser gives to docstrings."""
    name, doc = draw(idents), draw(docs)
    text = f'mixer {name.name}\n"""\n{doc}\n"""'
    tree, findings = parse(Source(text))
    assert findings == ()
    assert tree is not None
    return tree.statements[0]


lines = st.one_of(
    # words that begin another line of a layer block cannot begin an assignment
    st.builds(ast.Assignment, name_lists, expressions),
    params,
    consts,
    st.builds(ast.Return, expressions),
)
statements = st.one_of(
    mixers(),
    st.builds(ast.DimStatement, name_lists, st.none() | st.integers(min_value=1, max_value=4096)),
    st.builds(ast.InputStatement, name_lists, axis_lists, st.booleans(), st.booleans(), st.none() | ranges),
    params,
    consts,
    st.builds(ast.LetStatement, idents, expressions, st.booleans()),
    st.builds(ast.StateStatement, idents, axis_lists, expressions, st.booleans()),
    st.builds(ast.OutputStatement, idents, expressions),
    st.builds(ast.LayerStatement, idents, axis_lists, st.lists(lines, min_size=1, max_size=3).map(tuple)),
)


@settings(max_examples=300, deadline=None)
@given(st.builds(ast.Ast, st.lists(statements, max_size=6).map(tuple)))
def test_random_tree(tree: ast.Ast) -> None:
    assert again(tree) == tree
