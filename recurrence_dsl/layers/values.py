"""Types the expressions of a layer block: names resolved, axes found, each use of a layer function given its path."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..check.report import nearest
from ..expr import AxisFn, Fn
from ..syntax import ast
from .brackets import axes_of, brackets_of, check_within
from .graph import (
    HEADS,
    Apply,
    At,
    CumulativeSum,
    Index,
    Over,
    Pointwise,
    Position,
    Previous,
    Read,
    Renamed,
    Source,
    Static,
    Value,
)
from .modules import LAYER_FUNCTIONS, LayerFunction
from .modules.signature import OptionKind, OptionSpec
from .options import check_options
from .pointwise import ARITY
from .scope import Fault, Scope, shown
from .static import is_static, names

OPERATORS = {"+": Fn.ADD, "-": Fn.SUB, "*": Fn.MUL, "/": Fn.DIV, "**": Fn.POW}
POINTWISE = {fn.value: fn for fn in Fn if fn.value.isalpha() and fn not in (Fn.NEG, Fn.RE, Fn.IM)}
OVER = {fn.value: fn for fn in AxisFn if fn is not AxisFn.RMSNORM}
SELECTORS = ("cumsum", "at")
FUNCTIONS = (*LAYER_FUNCTIONS, *POINTWISE, *OVER, *SELECTORS, "index")
_EPS = (OptionSpec("eps", OptionKind.NUMBER, "1e-6", "added under the square root"),)


class Typing:
    """Types one line's expression; `path` is the line's name, which its modules stand under."""

    def __init__(self, scope: Scope, path: str) -> None:
        self.scope, self.path = scope, path
        self.seen: Counter[str] = Counter()

    def value(self, e: ast.Expression) -> Value:
        if is_static(e, self.scope.static):
            self.scope.used.update(name.name for name in names(e))
            return Static(expression=e, span=e.span)
        match e:
            case ast.Name():
                return self._name(e)
            case ast.Previous():
                return self._previous(e)
            case ast.Rename():
                return self._renamed(e)
            case ast.Unary():
                operand = self.value(e.operand)
                return operand if e.operator == "+" else self._pointwise(Fn.NEG, (operand,), e)
            case ast.Binary():
                return self._pointwise(OPERATORS[e.operator], (self.value(e.left), self.value(e.right)), e)
            case ast.Call():
                return self._call(e)
            case ast.Number() | ast.Flag():
                raise self.scope.fault("R0503", "a layer's values are real numbers", e.span, "not a real number")

    def _name(self, e: ast.Name) -> Value:
        scope, name = self.scope, e.name
        if name in scope.failed:
            raise Fault()
        scope.used.add(name)
        if (line := scope.lines.get(name)) is not None:
            return Read(line.value.axes, line.value.timed, e.span, name=name, source=Source.LINE)
        if name == scope.input:
            return Read((scope.model_axis,), True, e.span, name=name, source=Source.INPUT)
        if (param := scope.params.get(name)) is not None:
            return Read(param.axes, False, e.span, name=name, source=Source.PARAM)
        output = next((output for output in scope.spec.outputs if output.name == name), None)
        if output is not None:
            self._ready(e)
            return Read(scope.sorted((HEADS, *output.axes)), True, e.span, name=name, source=Source.OUTPUT)
        if name == "head":
            return Index((HEADS,), span=e.span)
        if name == "position":
            return Position((), True, e.span)
        if (learned := next((p for p in scope.spec.params if p.name == name), None)) is not None:
            axes = learned.axes if learned.shared else (HEADS, *learned.axes)
            return Read(scope.sorted(axes), False, e.span, name=name, source=Source.MIXER_PARAM)
        raise self._unknown_name(e)

    def _ready(self, e: ast.Name) -> None:
        if any(name not in self.scope.assigned_later for name in self.scope.missing):
            raise Fault()  # that an input is never assigned is said once, at the end
        if self.scope.missing:
            waiting = ", ".join(f"`{name}`" for name in self.scope.missing)
            raise self.scope.fault(
                "R0508",
                f"`{e.name}` is read before the mixer can run",
                e.span,
                "the mixer's output",
                help=f"assign the mixer's inputs first: {waiting}",
            )

    def _unknown_name(self, e: ast.Name) -> Exception:
        scope = self.scope
        known = (
            scope.input,
            *scope.lines,
            *scope.params,
            *scope.static,
            *(o.name for o in scope.spec.outputs),
            *(p.name for p in scope.spec.params),
            "head",
            "position",
        )
        close = nearest(e.name, known)
        later = e.name in scope.assigned_later
        return scope.fault(
            "R0502",
            f"unknown name `{e.name}` in the layer block",
            e.span,
            "assigned by a later line" if later else "neither assigned above nor an output of the mixer",
            help="move its line up" if later else f"did you mean `{close}`?" if close else None,
        )

    def _previous(self, e: ast.Previous) -> Value:
        if e.steps != 1:
            raise self.scope.fault(
                "R0503", "a layer looks back one token at a time", e.span, "only `[t-1]` is possible"
            )
        value = self._name(ast.Name(e.name, span=e.span))
        if not value.timed:
            raise self.scope.fault("R0503", f"`{e.name}` does not change over time", e.span, "it has no previous value")
        return Previous(value.axes, True, e.span, arg=value, key=f"{e.name}[t-1]")

    def _renamed(self, e: ast.Rename) -> Value:
        value = self.value(e.operand)
        source, target = self.scope.axis(e.source), self.scope.axis(e.target)
        if source not in value.axes or target in value.axes:
            raise self.scope.fault(
                "R0503", f"cannot rename `{source}` to `{target}`", e.span, f"this has the axes {shown(value.axes)}"
            )
        axes = self.scope.sorted(target if axis == source else axis for axis in value.axes)
        return Renamed(axes, value.timed, e.span, arg=value, source=source, target=target)

    def _pointwise(self, fn: Fn, args: tuple[Value, ...], e: ast.Expression) -> Value:
        axes = self.scope.join(args, e.span)
        return Pointwise(axes, any(arg.timed for arg in args), e.span, fn=fn, args=args)

    def _call(self, e: ast.Call) -> Value:
        function = LAYER_FUNCTIONS.get(e.function)
        if function is not None:
            return self._apply(function, e)
        if e.function == "index":
            return self._index(e)
        if e.function in SELECTORS:
            return self._select(e)
        if e.function in OVER and e.brackets:
            return self._over(OVER[e.function], e)
        if e.function in POINTWISE and not e.brackets:
            return self._mapped(POINTWISE[e.function], e)
        raise self._unknown_function(e)

    def _unknown_function(self, e: ast.Call) -> Exception:
        if e.function in OVER or e.function in POINTWISE:
            form = f"{e.function}[K](..)" if e.function in OVER else f"{e.function}(..)"
            return self.scope.fault("R0501", f"`{e.function}` is written `{form}`", e.function_span)
        close = nearest(e.function, FUNCTIONS)
        return self.scope.fault(
            "R0501",
            f"unknown layer function `{e.function}`",
            e.function_span,
            help=f"did you mean `{close}`?" if close else None,
        )

    def _mapped(self, fn: Fn, e: ast.Call) -> Value:
        check_options(e, (), self.scope)
        wanted, given = ARITY[fn], len(e.arguments)
        if given < wanted or (given > wanted and wanted == 1):
            raise self.scope.fault("R0510", f"`{e.function}` takes {_counted(wanted)}, not {given}", e.span)
        value, *rest = (self.value(argument) for argument in e.arguments)
        if not rest:
            return self._pointwise(fn, (value,), e)
        for other in rest:
            value = self._pointwise(fn, (value, other), e)
        return value

    def _over(self, fn: AxisFn, e: ast.Call) -> Value:
        options = check_options(e, _EPS if fn is AxisFn.L2NORM else (), self.scope)
        arg = self._argument(e)
        over = axes_of(e, arg, self.scope)
        axes = tuple(axis for axis in arg.axes if axis not in over) if fn.reduces else arg.axes
        eps = options.get("eps")
        assert eps is None or not isinstance(eps, bool | str)
        return Over(axes, arg.timed, e.span, fn=fn, over=over, arg=arg, eps=eps)

    def _index(self, e: ast.Call) -> Value:
        match e.arguments:
            case (ast.Name(name=axis, span=span),) if not e.brackets:
                return Index((self.scope.axis(ast.Ident(axis, span=span)),), span=e.span)
            case _:
                raise self.scope.fault("R0510", "`index` is written `index(K)`", e.span, "it takes one axis")

    def _select(self, e: ast.Call) -> Value:
        check_options(e, (), self.scope)
        if len(e.brackets) != 1:
            raise self.scope.fault("R0501", f"`{e.function}` is written `{e.function}[K](..)`", e.function_span)
        axis = self.scope.axis(e.brackets[0])
        place = e.arguments[-1] if e.function == "at" and e.arguments else None
        arg = self._argument(replace(e, arguments=e.arguments[:-1]) if place is not None else e)
        axes_of(e, arg, self.scope)
        if place is None:
            return CumulativeSum(arg.axes, arg.timed, e.span, axis=axis, arg=arg)
        if not is_static(place, self.scope.static):
            raise self.scope.fault("R0503", "`at` takes a place that is known when the layer is built", place.span)
        self.scope.used.update(name.name for name in names(place))
        rest = tuple(other for other in arg.axes if other != axis)
        return At(rest, arg.timed, e.span, axis=axis, place=place, arg=arg)

    def _argument(self, e: ast.Call) -> Value:
        if len(e.arguments) != 1:
            raise self.scope.fault("R0510", f"`{e.function}` takes one argument here, not {len(e.arguments)}", e.span)
        return self.value(e.arguments[0])

    def _apply(self, function: LayerFunction, e: ast.Call) -> Value:
        self.seen[function.name] += 1
        number = self.seen[function.name]
        path = f"{self.path}.{function.name}" + (f"_{number}" if number > 1 else "")
        options = check_options(e, function.options, self.scope)
        arg = self._argument(e)
        if not arg.timed:
            raise self.scope.fault("R0503", f"`{function.name}` maps values that change over time", e.span)
        brackets, axes = brackets_of(function, e, arg, self.scope)
        check_within(options.get("within"), function, e, arg, axes, self.scope)
        return Apply(axes, True, e.span, function=function.name, path=path, brackets=brackets, arg=arg, options=options)


def _counted(number: int) -> str:
    return "one argument" if number == 1 else f"{number} arguments"
