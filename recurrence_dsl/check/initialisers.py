"""The right side of a `param`: a draw, and pointwise functions around it."""

from __future__ import annotations

from ..expr import Fn
from ..source import Span
from ..syntax import ast
from .functions import DRAWS, OPERATORS, POINTWISE, arity
from .scope import Scope, Symbol
from .spec import Initialiser

_FUNCTIONS = (*DRAWS, "inv_softplus", "index", *(name for name, fn in POINTWISE.items() if fn not in (Fn.RE, Fn.IM)))


class BadInitialiser(Exception):
    """What an initialiser may not say."""

    def __init__(self, span: Span, message: str, label: str = "", help: str | None = None) -> None:
        self.span, self.label, self.help = span, label, help
        super().__init__(message)


def initialiser(symbol: Symbol, scope: Scope) -> Initialiser | None:
    """A param's initialiser; None where there is none, or after reporting what is wrong with it."""
    statement = symbol.statement
    if not isinstance(statement, ast.ParamStatement) or statement.init is None:
        return None
    try:
        return _tree(statement.init, symbol, scope)
    except BadInitialiser as error:
        scope.report.error("R0217", str(error), error.span, error.label, help=error.help)
        return None


def _tree(e: ast.Expression, param: Symbol, scope: Scope) -> Initialiser:
    match e:
        case ast.Number(imaginary=False):
            return Initialiser("number", value=e.value)
        case ast.Name():
            return _name(e, param, scope)
        case ast.Unary():
            operand = _tree(e.operand, param, scope)
            return operand if e.operator == "+" else Initialiser(Fn.NEG.value, (operand,))
        case ast.Binary():
            sides = (_tree(e.left, param, scope), _tree(e.right, param, scope))
            return Initialiser(OPERATORS[e.operator].value, sides)
        case ast.Call(function="index"):
            return _index(e, param)
        case ast.Call():
            return _call(e, param, scope)
        case _:
            raise BadInitialiser(e.span, "an initialiser is made of real numbers, names and draws", "not allowed here")


def _name(e: ast.Name, param: Symbol, scope: Scope) -> Initialiser:
    symbol = scope.symbols.get(e.name)
    if e.name == "head" and getattr(param.statement, "shared", False):
        raise BadInitialiser(e.span, f"the param `{param.name}` is shared by the heads", "there is no head index")
    if e.name in ("head", "heads"):
        return Initialiser(e.name)
    if e.name in scope.dims:
        return Initialiser("size", name=e.name)
    if symbol is not None and symbol.statement.__class__ is ast.ConstStatement:
        return Initialiser("const", name=e.name)
    if symbol is not None:
        what = f"the {symbol.kind.value} `{e.name}` has no value when the params are drawn"
        raise BadInitialiser(e.span, what, "numbers, consts and sizes may stand here")
    near = scope.report.nearest(e.name, (*scope.dims, *scope.symbols, "head", "heads"))
    raise BadInitialiser(
        e.span, f"unknown name `{e.name}`", "not a const or an axis", near and f"did you mean `{near}`?"
    )


def _index(e: ast.Call, param: Symbol) -> Initialiser:
    """`index(K)` or `index[K]()`: 0, 1, .. along an axis of the param."""
    items = (*e.brackets, *e.arguments)
    name = items[0].name if len(items) == 1 and isinstance(items[0], ast.Ident | ast.Name) else ""
    if name not in (param.axes or ()):
        axes = ", ".join(param.axes or ())
        label = f"`{param.name}` has " + (f"the axes [{axes}]" if axes else "no axes")
        raise BadInitialiser(e.span, f"`index(..)` takes one axis of `{param.name}`", label)
    return Initialiser("index", name=name)


def _call(e: ast.Call, param: Symbol, scope: Scope) -> Initialiser:
    name = e.function
    if name not in _FUNCTIONS:
        near = scope.report.nearest(name, _FUNCTIONS)
        help = f"did you mean `{near}`?" if near else "the draws are " + ", ".join(DRAWS)
        raise BadInitialiser(e.function_span, f"unknown function `{name}` in an initialiser", "not known here", help)
    if e.brackets or e.options:
        raise BadInitialiser(e.span, f"`{name}` takes neither axes nor options in an initialiser")
    arguments = tuple(_tree(argument, param, scope) for argument in e.arguments)
    wanted = DRAWS.get(name) or (arity(POINTWISE[name]) if name in POINTWISE else 1)
    folds = name in ("min", "max") and len(arguments) > wanted
    if len(arguments) != wanted and not folds:
        raise BadInitialiser(e.span, f"`{name}` takes {wanted} argument{'s' * (wanted > 1)}, not {len(arguments)}")
    tree = Initialiser(name, arguments[:wanted])
    for argument in arguments[wanted:]:
        tree = Initialiser(name, (tree, argument))
    return tree
