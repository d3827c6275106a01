"""text -> Ast: syntax only, every error of the text in one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files

from lark import Lark, TextSlice
from lark.exceptions import UnexpectedInput

from ..diagnostics import Diagnostic, Label
from ..source import Source, Span
from . import ast
from .builder import Builder, Rejected
from .errors import syntax_error
from .layout import Line, logical_lines
from .limits import MAX_CHARACTERS, MAX_DEPTH, MAX_ERRORS

LayerLine = ast.Assignment | ast.ParamStatement | ast.ConstStatement | ast.Return


@cache
def grammar() -> Lark:
    """The LALR parser of one logical line; its callbacks build the tree."""
    text = files("recurrence_dsl.syntax").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        text,
        parser="lalr",
        start=["statement", "layer_line"],
        keep_all_tokens=True,
        maybe_placeholders=False,
        transformer=Builder(),
    )


def parse(source: Source) -> tuple[ast.Ast | None, tuple[Diagnostic, ...]]:
    """The syntax tree of a text, or None and what is wrong with it."""
    if len(source.text) > MAX_CHARACTERS:
        return None, (_too_long(source),)
    reader = _Reader(source)
    for line in logical_lines(source):
        reader.read(line)
        if len(reader.errors) > MAX_ERRORS:
            break
    reader.close_block()
    if reader.errors:
        return None, tuple(reader.errors)
    return ast.Ast(tuple(reader.statements), source), ()


@dataclass(slots=True)
class _Reader:
    """Statements and errors so far, and the layer block that is still open."""

    source: Source
    statements: list[ast.Statement] = field(default_factory=list)
    errors: list[Diagnostic] = field(default_factory=list)
    block: ast.LayerStatement | None = None
    block_indent: int = 0
    block_lines: list[LayerLine] = field(default_factory=list)

    def read(self, line: Line) -> None:
        """Parse a logical line and put it where it belongs; a faulty one leaves only its error."""
        in_layer = self.block is not None and line.indent > self.block_indent
        if not in_layer:
            self.close_block()
        node = self._parse(line, in_layer)
        match node:
            case None:
                pass
            case ast.Assignment() | ast.Return():
                self.block_lines.append(node)
            case ast.ParamStatement() | ast.ConstStatement() if in_layer:
                self.block_lines.append(node)
            case ast.LayerStatement():
                self.block, self.block_indent = node, line.indent
            case _:
                self.statements.append(node)

    def close_block(self) -> None:
        """End the layer block, if one is open."""
        if self.block is None:
            return
        if not self.block_lines and not self.errors:
            self.errors.append(_empty_block(self.source, self.block))
        end = self.block_lines[-1].span if self.block_lines else self.block.span
        self.statements.append(replace(self.block, lines=tuple(self.block_lines), span=self.block.span.to(end)))
        self.block, self.block_lines = None, []

    def _parse(self, line: Line, in_layer: bool) -> ast.Statement | ast.Assignment | ast.Return | None:
        if line.fault is not None:
            self.errors.append(line.fault)
            return None
        try:
            piece = TextSlice(self.source.text, line.start, line.end)
            node = grammar().parse(piece, start="layer_line" if in_layer else "statement")
        except UnexpectedInput as error:
            self.errors.append(syntax_error(error, self.source, line, in_layer))
            return None
        except Rejected as error:
            self.errors.append(replace(error.diagnostic, source=self.source))
            return None
        deep = _deepest(node)
        if deep is not None:
            self.errors.append(_too_deep(self.source, deep))
            return None
        return node  # type: ignore[return-value]


def operands(node: object) -> Iterator[ast.Expression]:
    """The expressions directly inside a statement, a layer line or an expression, left to right."""
    match node:
        case ast.Binary():
            yield from (node.left, node.right)
        case ast.Unary() | ast.Rename():
            yield node.operand
        case ast.Call():
            yield from node.arguments
            yield from (option.value for option in node.options)
        case ast.StateStatement():
            yield node.update
        case ast.ParamStatement():
            yield from () if node.init is None else (node.init,)
        case ast.ConstStatement() | ast.LetStatement() | ast.OutputStatement() | ast.Assignment() | ast.Return():
            yield node.value
        case ast.LayerStatement():
            for line in node.lines:
                yield from operands(line)
        case _:
            return


def _deepest(node: object) -> Span | None:
    """The span of an expression deeper than the limit, or None. Walks with a stack: the tree may be very deep."""
    pending = [(child, 1) for child in operands(node)]
    while pending:
        child, depth = pending.pop()
        if depth > MAX_DEPTH:
            return child.span
        pending.extend((inner, depth + 1) for inner in operands(child))
    return None


def _too_long(source: Source) -> Diagnostic:
    return Diagnostic(
        "R0109",
        f"the text has {len(source.text)} characters, more than the {MAX_CHARACTERS} that a spec may have",
        Label(Span(0, 0)),
        source=source,
    )


def _too_deep(source: Source, where: Span) -> Diagnostic:
    return Diagnostic(
        "R0105",
        f"the expression is nested more than {MAX_DEPTH} levels deep",
        Label(where, f"level {MAX_DEPTH + 1}"),
        notes=("a sum or product of n terms is n levels deep",),
        help="name inner parts with `let`",
        source=source,
    )


def _empty_block(source: Source, block: ast.LayerStatement) -> Diagnostic:
    return Diagnostic(
        "R0110",
        "the layer block has no lines",
        Label(block.span, "nothing is indented below this"),
        help="indent the block's lines deeper than `layer`, the last one a `return`",
        source=source,
    )
