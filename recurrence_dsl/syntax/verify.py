"""Checks a syntax tree: spans lie inside the text and inside their parents' spans, names are names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields

from ..stage_error import require
from . import ast

NAME = re.compile(r"[^\W\d]\w*")
OPERATORS = frozenset(("+", "-", "*", "/", "**"))


def verify_ast(tree: ast.Ast) -> None:
    """Raises StageError where the tree does not hold together."""
    length = len(tree.source.text)
    for statement in tree.statements:
        _verify(statement, statement, length)


def _verify(node: ast.Node, parent: ast.Node, length: int) -> None:
    span, outer = node.span, parent.span
    require(0 <= span.start < span.end <= length, "parse", f"the span of {node} is not inside the text")
    require(outer.start <= span.start and span.end <= outer.end, "parse", f"the span of {node} leaves its parent's")
    match node:
        case ast.Ident(name=name) | ast.Name(name=name) | ast.Previous(name=name) | ast.Option(name=name):
            require(NAME.fullmatch(name), "parse", f"{name!r} is no name")
        case ast.Unary(operator=operator) | ast.Binary(operator=operator):
            require(operator in OPERATORS, "parse", f"{operator!r} is no operator")
        case _:
            pass
    for child in _children(node):
        _verify(child, node, length)


def _children(node: ast.Node) -> Iterator[ast.Node]:
    for field in fields(node):
        value = getattr(node, field.name)
        yield from (v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, ast.Node))
