"""Checks the options of a layer function's call against what the function takes."""

from __future__ import annotations

from collections.abc import Mapping

from ..check.report import nearest
from ..expr import Fn
from ..source import Span
from ..syntax import ast
from .graph import Option
from .initialise import INITIALISER_FUNCTIONS
from .modules.signature import OptionKind, OptionSpec
from .pointwise import ARITY
from .scope import Scope
from .static import is_static

ACTS = tuple(fn.value for fn in Fn if fn.value.isalpha() and ARITY[fn] == 1 and fn not in (Fn.NEG, Fn.RE, Fn.IM))


def check_options(call: ast.Call, accepted: tuple[OptionSpec, ...], scope: Scope) -> Mapping[str, Option]:
    """The options of a call by name, each of the kind that its function takes."""
    found: dict[str, Option] = {}
    for option in call.options:
        spec = next((spec for spec in accepted if spec.name == option.name), None)
        if spec is None:
            close = nearest(option.name, (spec.name for spec in accepted))
            known = ", ".join(f"`{spec.name}`" for spec in accepted) or "none"
            raise scope.fault(
                "R0507",
                f"`{call.function}` has no option `{option.name}`",
                option.span,
                notes=(f"its options: {known}",),
                help=f"did you mean `{close}`?" if close else None,
            )
        if option.name in found:
            raise scope.fault("R0507", f"the option `{option.name}` is given twice", option.span)
        found[option.name] = _value(option, spec, scope)
    return found


def _value(option: ast.Option, spec: OptionSpec, scope: Scope) -> Option:
    written = option.value
    match spec.kind:
        case OptionKind.FLAG:
            return written.value if isinstance(written, ast.Flag) else _refuse(option, spec, scope)
        case OptionKind.WORD:
            return _word(option, spec, scope)
        case OptionKind.NUMBER:
            return written if _static(written, scope, ()) else _refuse(option, spec, scope)
        case OptionKind.VECTOR:
            return written if _static(written, scope, ("index",)) else _refuse(option, spec, scope)
        case OptionKind.FLAG_OR_INITIALISER if isinstance(written, ast.Flag):
            return written.value
        case OptionKind.INITIALISER | OptionKind.FLAG_OR_INITIALISER:
            check_initialiser(written, scope, ("fan_in", "fan_out"))
            return written


def _word(option: ast.Option, spec: OptionSpec, scope: Scope) -> Option:
    words = spec.words or ACTS
    match option.value:
        case ast.Name(name=name) if name in words:
            return name
        case ast.Flag(value=value) if str(value).lower() in words:
            return value
        case _:
            return _refuse(option, spec, scope)


def _static(written: ast.Expression, scope: Scope, extra: tuple[str, ...]) -> bool:
    scope.used.update(name.name for name in _names(written))
    return is_static(written, scope.static | frozenset(extra))


def _refuse(option: ast.Option, spec: OptionSpec, scope: Scope) -> Option:
    words = spec.words or ACTS
    accepted = f"one of {', '.join(words)}" if spec.kind is OptionKind.WORD else spec.kind.value
    raise scope.fault("R0507", f"the option `{option.name}` takes {accepted}", option.value.span, "not one")


def check_initialiser(written: ast.Expression, scope: Scope, extra: tuple[str, ...] = ()) -> None:
    """Whether an initialiser is made of draws, pointwise functions and known numbers."""
    for node in _walk(written):
        match node:
            case ast.Name() if node.name not in scope.static | {"head", *extra}:
                _unknown(scope, "name", node.name, (*scope.static, "head", *extra), node.span)
            case ast.Call() if node.function not in INITIALISER_FUNCTIONS:
                _unknown(scope, "function", node.function, INITIALISER_FUNCTIONS, node.function_span)
            case ast.Flag() | ast.Previous() | ast.Rename():
                raise scope.fault("R0507", "an initialiser is made of numbers, names and draws", node.span)
            case ast.Name():
                scope.used.add(node.name)
            case _:
                pass


def _unknown(scope: Scope, what: str, name: str, known: tuple[str, ...], span: Span) -> None:
    close = nearest(name, known)
    raise scope.fault(
        "R0507", f"unknown {what} `{name}` in an initialiser", span, help=f"did you mean `{close}`?" if close else None
    )


def _walk(expression: ast.Expression) -> tuple[ast.Expression, ...]:
    """An expression and all inside it."""
    match expression:
        case ast.Unary():
            inside: tuple[ast.Expression, ...] = (expression.operand,)
        case ast.Binary():
            inside = (expression.left, expression.right)
        case ast.Call():
            inside = expression.arguments
        case _:
            inside = ()
    return (expression, *(node for part in inside for node in _walk(part)))


def _names(expression: ast.Expression) -> tuple[ast.Name, ...]:
    return tuple(node for node in _walk(expression) if isinstance(node, ast.Name))
