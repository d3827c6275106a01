"""A const of the mixer that a layer line assigns: a number where the line is one, else an input of the mixer."""

from __future__ import annotations

from dataclasses import replace

from ..check.checker import check
from ..check.spec import Spec
from ..diagnostics import Diagnostic
from ..syntax import ast
from ..syntax.parser import parse
from .bounds import interval
from .graph import COUNTS, Line, Static


def with_assigned_inputs(spec: Spec, lines: dict[str, Line]) -> tuple[Spec | None, tuple[Diagnostic, ...]]:
    """The spec whose consts that vary over tokens or channels have become inputs, with what the checker says of it.

    The new input's promised range is what the layer line is proven to lie in.
    """
    varying = {
        c.name: lines[c.name] for c in spec.consts if c.name in lines and not isinstance(lines[c.name].value, Static)
    }
    if not varying:
        return spec, ()
    tree, findings = parse(spec.source)
    if tree is None:
        return None, findings
    inputs = {name: _input(line, spec, lines) for name, line in varying.items()}
    statements = tuple(inputs.get(s.name.name, s) if isinstance(s, ast.ConstStatement) else s for s in tree.statements)
    return check(replace(tree, statements=statements))


def _input(line: Line, spec: Spec, lines: dict[str, Line]) -> ast.InputStatement:
    proven = interval(line.value, spec, lines)
    axes = tuple(ast.Ident(axis, span=line.span) for axis in line.value.axes if axis not in COUNTS)
    bounds = ast.Range(proven.low, proven.high, low_open=False, high_open=False, span=line.span)
    return ast.InputStatement((ast.Ident(line.name, span=line.span),), axes, range=bounds, span=line.span)
