"""text -> Ast: the grammar, the tree, the parser and the printer."""

from .layout import KEYWORDS
from .parser import grammar, operands, parse
from .printer import print_ast, print_expression, print_statement

__all__ = ["KEYWORDS", "grammar", "operands", "parse", "print_ast", "print_expression", "print_statement"]
