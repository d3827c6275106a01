"""Types calls: pointwise functions, and functions over axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import expr
from ..expr import AxisFn, Expr, Fn
from ..syntax import ast
from .functions import DRAWS, LAYER_ONLY, NAMES, OTHER_WORDS, OVER_AXES, OVER_COMPLEX, POINTWISE, arity

if TYPE_CHECKING:
    from .expressions import Typer


def typed_call(typer: Typer, e: ast.Call) -> Expr | None:
    """The typed call, or None after reporting what is wrong with it or its arguments."""
    args = () if _is_time(typer, e) else tuple(typer.typed(argument) for argument in e.arguments)
    if e.function not in POINTWISE and e.function not in OVER_AXES:
        _unknown_function(typer, e)
        return None
    if e.options:
        option = e.options[0]
        message = f"`{e.function}` takes no option `{option.name}`"
        typer.report.error("R0214", message, option.span, "options belong to the functions of a layer block")
        return None
    if e.brackets and e.function in OVER_AXES:
        return _over(typer, e, OVER_AXES[e.function], args)
    if e.brackets:
        message = f"`{e.function}` works element by element and takes no axes"
        typer.report.error("R0214", message, e.span, "", help=f"write `{e.function}(..)`")
        return None
    if e.function in POINTWISE:
        return _pointwise(typer, e, POINTWISE[e.function], args)
    return _without_axes(typer, e, args)


def _pointwise(typer: Typer, e: ast.Call, fn: Fn, args: tuple[Expr | None, ...]) -> Expr | None:
    count, wanted = len(args), arity(fn)
    if count < wanted or (count > wanted and wanted == 1):
        numbers = "one argument" if wanted == 1 else "two or more arguments"
        advice = f"over an axis it is `{e.function}[K](..)`" if fn is Fn.MAX and count == 1 else None
        message = f"`{e.function}` takes {numbers}, not {count}"
        typer.report.error("R0214", message, e.span, "", help=advice)
        return None
    value = args[0] if wanted == 2 else typer.apply(fn, args, e.span)
    for arg in args[1:]:
        value = typer.apply(fn, (value, arg), e.span)
    return value


def _over(typer: Typer, e: ast.Call, fn: AxisFn, args: tuple[Expr | None, ...]) -> Expr | None:
    if len(args) != 1:
        typer.report.error("R0214", f"`{e.function}[..]` takes one argument, not {len(args)}", e.span)
        return None
    axes = _axes(typer, e)
    arg = args[0]
    if arg is None or axes is None:
        return None
    missing = [axis for axis in axes if axis.name not in arg.axes]
    for axis in missing:
        typer.missing_axis(axis, arg)
    if arg.is_complex and fn not in OVER_COMPLEX:
        typer.complex_error(e.function, arg)
    if missing or (arg.is_complex and fn not in OVER_COMPLEX):
        return None
    over = tuple(axis.name for axis in axes)
    left = tuple(axis for axis in arg.axes if axis not in over) if fn.reduces else arg.axes
    return expr.Over(left, arg.is_complex, e.span, fn=fn, over=typer.scope.in_order(over), arg=arg)


def _axes(typer: Typer, e: ast.Call) -> tuple[ast.Ident, ...] | None:
    """The axes in a call's brackets, or None after reporting one that is none."""
    numbers = [item for item in e.brackets if isinstance(item, ast.Number)]
    for number in numbers:
        typer.report.error("R0214", f"`{e.function}` takes axes, not numbers", number.span, "not an axis")
    idents = tuple(item for item in e.brackets if isinstance(item, ast.Ident))
    known = typer.scope.axes(idents)
    return idents if len(known) == len(e.brackets) else None


def _without_axes(typer: Typer, e: ast.Call, args: tuple[Expr | None, ...]) -> None:
    arg = args[0] if args else None
    axis = arg.axes[0] if arg is not None and arg.axes else "K"
    message = f"`{e.function}` needs to know over which axis"
    help = f"write `{e.function}[{axis}](..)`"
    typer.report.error("R0214", message, e.function_span, "no axes in brackets", help=help)


def _is_time(typer: Typer, e: ast.Call) -> bool:
    """Is this a value's name with a time in round brackets, as in `S(t-1)`?"""
    match e.arguments:
        case (ast.Binary(operator="-", left=ast.Name(name="t"), right=ast.Number()),) | (ast.Name(name="t"),):
            return e.function in typer.scope.symbols
        case _:
            return False


def _unknown_function(typer: Typer, e: ast.Call) -> None:
    name, notes, advice = e.function, (), None
    if name in LAYER_ONLY:
        notes = (f"`{name}` belongs to the layer block, which maps the model's stream to the mixer's inputs",)
    elif name in DRAWS or name == "inv_softplus":
        notes = (f"`{name}` belongs to a param's initialiser: `param u : [K] = {name}(..)`",)
    elif name in typer.scope.symbols or name in typer.scope.dims:
        past = f"write `{name}[t-1]` for the value one step earlier"
        notes, advice = (f"`{name}` is a value, not a function",), "write the product with `*`"
        advice = past if _is_time(typer, e) else advice
    else:
        near = OTHER_WORDS.get(name.lower()) or typer.report.nearest(name, NAMES)
        advice = f"did you mean `{near}`?" if near else "the functions are " + ", ".join(NAMES)
    typer.report.error(
        "R0213", f"unknown function `{name}`", e.function_span, "not a function", notes=notes, help=advice
    )
