"""What stands in the brackets of a call in a layer block: axes to work over, axes to make, or a width."""

from __future__ import annotations

from ..syntax import ast
from .graph import GROUPS, HEADS, Value
from .modules import LayerFunction
from .modules.signature import Brackets
from .scope import Scope, shown

Axes = tuple[str, ...]


def axes_of(e: ast.Call, arg: Value, scope: Scope) -> Axes:
    """The bracketed axes, which the argument must have, in the argument's order."""
    over = tuple(scope.axis(part) for part in e.brackets)
    absent = [axis for axis in over if axis not in arg.axes]
    if absent or not over:
        raise scope.fault(
            "R0503",
            f"`{e.function}` works over axes of its argument",
            e.function_span,
            f"{shown(over)} of a value with the axes {shown(arg.axes)}",
        )
    return scope.sorted(over)


def brackets_of(
    function: LayerFunction, e: ast.Call, arg: Value, scope: Scope
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the module is told of its brackets, and the result's axes."""
    match function.brackets:
        case Brackets.OVER:
            return axes_of(e, arg, scope), arg.axes
        case Brackets.WIDTH:
            return (_width(function, e, scope),), arg.axes
        case Brackets.RESULT:
            axes = _result(function, e, arg, scope)
            return axes, axes


def _width(function: LayerFunction, e: ast.Call, scope: Scope) -> str:
    """A number, or the name of a const of the block."""
    width = e.brackets[0] if len(e.brackets) == 1 else None
    if isinstance(width, ast.Ident) and width.name in scope.consts:
        scope.used.add(width.name)
        return width.name
    if isinstance(width, ast.Number) and width.value >= 1:
        return str(int(width.value))
    said = f"as in `{function.name}[4](..)`"
    raise scope.fault("R0503", f"`{function.name}` takes its width in brackets", e.function_span, said)


def _result(function: LayerFunction, e: ast.Call, arg: Value, scope: Scope) -> Axes:
    """`[K]` means per head; `[D]`, `[groups, K]`, `[heads]` and plain widths mean what they say."""
    if not e.brackets or not arg.axes:
        raise scope.fault(
            "R0503",
            f"`{function.name}` makes features with the bracketed axes",
            e.function_span,
            f"as in `{function.name}[K](..)`, or `{function.name}[heads](..)` for a number per head",
        )
    axes = tuple(scope.axis(part) for part in e.brackets)
    plain = any(isinstance(part, ast.Number) for part in e.brackets)
    alone = plain or any(axis in (HEADS, GROUPS, scope.model_axis) for axis in axes)
    return scope.sorted(axes if alone else (HEADS, *axes))


def check_within(
    part: object, function: LayerFunction, e: ast.Call, arg: Value, axes: tuple[str, ...], scope: Scope
) -> None:
    """Whether `within=heads` or `within=groups` fits the axes that a function is used on."""
    if part is None:
        return
    scope.used.add(str(part))
    if function.brackets is Brackets.RESULT:
        fits = arg.axes[:1] == (part,) == axes[:1] and len(arg.axes) > 1
    else:
        fits = arg.axes == scope.sorted(scope.axis(b) for b in e.brackets) and arg.axes[:1] == (HEADS,)
    if not fits:
        raise scope.fault(
            "R0503",
            f"`within={part}` does not fit these axes",
            e.span,
            f"from {shown(arg.axes)} to {shown(axes)}",
        )
