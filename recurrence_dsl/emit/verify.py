"""Checks an emitted source: it compiles, imports torch alone, and every name is assigned before it is used."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from ..stage_error import StageError, require

STAGE = "emit"
IMPORTS = frozenset(("torch", "math", "typing", "__future__"))


def verify_source(text: str) -> None:
    """Raises StageError where the source of a torch module does not hold together."""
    try:
        tree = ast.parse(text)
    except SyntaxError as e:
        raise StageError(STAGE, f"line {e.lineno}: {e.msg}") from e
    for name in _imported(tree):
        require(name.split(".")[0] in IMPORTS, STAGE, f"it imports {name}")
    known = set(dir(builtins)) | {name for statement in tree.body for name in _bound(statement)}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        _function(function, known)


def _function(function: ast.FunctionDef, known: set[str]) -> None:
    own = {a.arg for a in (*function.args.args, *function.args.kwonlyargs, *function.args.posonlyargs)}
    everywhere = known | own | {name for node in ast.walk(function) for name in _bound(node)}
    straight = all(isinstance(s, (ast.Assign, ast.Return, ast.Expr)) for s in function.body)
    seen = known | own
    for statement in function.body:
        for name, line in _loaded(statement):
            there = seen | _inner(statement) if straight else everywhere
            require(name in there, STAGE, f"line {line}: `{name}` is not defined in `{function.name}`")
        seen |= set(_bound(statement))


def _inner(statement: ast.stmt) -> set[str]:
    """Names that comprehensions and lambdas inside the statement bind."""
    inner = (n for n in ast.walk(statement) if isinstance(n, (ast.comprehension, ast.Lambda)))
    return {name for n in inner for name in _bound(n)}


def _loaded(node: ast.AST) -> Iterator[tuple[str, int]]:
    for n in ast.walk(node):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load):
            yield n.id, n.lineno


def _bound(node: ast.AST) -> Iterator[str]:
    """Names that a node itself gives a value."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from ((a.asname or a.name).split(".")[0] for a in names)
        case ast.Lambda(args=args):
            yield from (a.arg for a in args.args)
        case ast.Assign() | ast.AugAssign() | ast.AnnAssign() | ast.For() | ast.comprehension() | ast.With():
            stores = (n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            yield from (n.id for n in stores)
        case _:
            return


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
