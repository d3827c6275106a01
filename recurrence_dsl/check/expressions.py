"""Types expressions: names become kinds, axes follow from names, and every misfit is reported where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from .. import expr
from ..diagnostics import Label
from ..expr import Expr, Fn, Kind
from ..source import Span
from ..syntax import ast
from .bindings import bindings
from .calls import typed_call
from .functions import NAMES, OF_COMPLEX, OPERATORS, REAL_VALUED
from .report import Report
from .scope import Scope, Symbol


def _is_whole(e: Expr) -> bool:
    """Whether an exponent is written as a whole number, with or without a sign."""
    if isinstance(e, expr.Apply) and e.fn is Fn.NEG:
        e = e.args[0]
    return isinstance(e, expr.Number) and not isinstance(e.value, complex) and float(e.value).is_integer()


@dataclass(slots=True)
class Typer:
    """Types expressions against a scope. None stands for an expression with an error that has been reported.

    `derived` holds the typed values of lets and outputs so far (None for faulty ones).
    """

    scope: Scope
    report: Report
    derived: dict[str, Expr | None] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def typed(self, e: ast.Expression) -> Expr | None:
        """The typed expression, or None."""
        match e:
            case ast.Number():
                value = complex(0, e.value) if e.imaginary else e.value
                return expr.Number(value=value, is_complex=e.imaginary, span=e.span)
            case ast.Flag():
                word = "true" if e.value else "false"
                self.report.error("R0214", f"`{word}` is not a number", e.span, "only an option's value may be this")
                return None
            case ast.Name():
                return self._now(e)
            case ast.Previous():
                return self._previous(e)
            case ast.Rename():
                return self._rename(e)
            case ast.Unary():
                operand = self.typed(e.operand)
                return operand if operand is None or e.operator == "+" else self.apply(Fn.NEG, (operand,), e.span)
            case ast.Binary():
                left, right = self.typed(e.left), self.typed(e.right)
                return self.apply(OPERATORS[e.operator], (left, right), e.span)
            case ast.Call():
                return typed_call(self, e)
            case _:
                assert_never(e)

    def apply(self, fn: Fn, args: tuple[Expr | None, ...], span: Span) -> Expr | None:
        """A pointwise function of typed arguments: its axes are the union of theirs."""
        known = tuple(arg for arg in args if arg is not None)
        if len(known) < len(args):
            return None
        is_complex = any(arg.is_complex for arg in known)
        if is_complex and not self._takes_complex(fn, known):
            return None
        axes = self.scope.in_order(axis for arg in known for axis in arg.axes)
        return expr.Apply(axes, is_complex and fn not in REAL_VALUED, span, fn=fn, args=known)

    def _takes_complex(self, fn: Fn, args: tuple[Expr, ...]) -> bool:
        if fn not in OF_COMPLEX:
            self.complex_error(fn.value, args[0] if args[0].is_complex else args[-1])
            return False
        if fn is not Fn.POW or _is_whole(args[1]):
            return True
        message = "a power of complex numbers needs a whole number as its exponent"
        help = "write `exp(b * x)` for a complex exponential"
        self.report.error("R0215", message, args[1].span, "not a whole number", help=help)
        return False

    def complex_error(self, function: str, arg: Expr) -> None:
        """A function that is only defined for real numbers met a complex one."""
        self.report.error(
            "R0215", f"`{function}` is defined for real numbers only", arg.span, "this is complex",
            help="take `re(..)`, `im(..)` or `abs(..)` first",
        )  # fmt: skip

    # --- names --------------------------------------------------------------------------------------------------------

    def _now(self, e: ast.Name) -> Expr | None:
        match e.name:
            case "head":
                return expr.Head(span=e.span)
            case "heads":
                return expr.Heads(span=e.span)
            case name if name in self.scope.dims:
                return expr.Size(axis=name, span=e.span)
            case _:
                return self._value(e, expr.Now)

    def _previous(self, e: ast.Previous) -> Expr | None:
        if e.steps != 1:
            self._wrong_time(e)
            return None
        symbol = self.scope.symbols.get(e.name)
        constant = e.name in self.scope.dims or e.name in ("head", "heads")
        if constant or (symbol is not None and symbol.kind in (Kind.PARAM, Kind.CONST)):
            what = "an axis" if symbol is None else f"a {symbol.kind.value}"
            what = "a constant" if e.name in ("head", "heads") else what
            message = f"`{e.name}` is {what}: it has no value of its own at each time step"
            self.report.error("R0209", message, e.span, "has no past", help=f"write `{e.name}`")
            return None
        return self._value(e, expr.Prev)

    def _value(self, e: ast.Name | ast.Previous, node: type[expr.Now] | type[expr.Prev]) -> Expr | None:
        symbol = self.scope.symbols.get(e.name)
        if symbol is None:
            self._unknown_name(e)
            return None
        if symbol.axes is not None:
            return node(self.scope.in_order(symbol.axes), symbol.is_complex, e.span, name=e.name, kind=symbol.kind)
        value = self.derived.get(e.name)
        return value and node(value.axes, value.is_complex, e.span, name=e.name, kind=symbol.kind)

    def _unknown_name(self, e: ast.Name | ast.Previous) -> None:
        """Report a name's first unknown use; the others would say the same."""
        if e.name in self.unknown or e.name in self.scope.rejected:
            return
        self.unknown.add(e.name)
        known: dict[str, Symbol] = self.scope.symbols
        near = self.report.nearest(e.name, (*known, *self.scope.dims, "head", "heads"))
        place = known.get(near or "") or self.scope.dims.get(near or "")
        also = (Label(place.span, "a similar name is declared here"),) if place else ()
        notes = (f"`{e.name}` is a function: it needs an argument, `{e.name}(..)`",) if e.name in NAMES else ()
        advice = f"did you mean `{near}`?" if near else f"declare it: `input {e.name}`, or `let {e.name} = ..`"
        advice = None if notes else advice
        span = Span(e.span.start, e.span.start + len(e.name)) if isinstance(e, ast.Previous) else e.span
        label = "not declared as an input, param, const, let, state or output"
        self.report.error("R0201", f"unknown name `{e.name}`", span, label, also=also, notes=notes, help=advice)

    def _wrong_time(self, e: ast.Previous) -> None:
        name, back = e.name, e.steps
        if back == 0:
            message, advice = f"`{name}[t]` is written without its index", f"write `{name}`"
        elif back < 0:
            message, advice = f"`{name}` cannot be read in the future", f"`{name}[t-1]` is the value one step earlier"
        else:
            message = f"`{name}` cannot be read {back} steps back: only `[t-1]` can"
            advice = f"keep the older value by name: `let {name}_1 = {name}[t-1]`, then `{name}_1[t-1]`"
        self.report.error("R0208", message, e.span, "not `[t-1]`", help=advice)

    # --- axes ---------------------------------------------------------------------------------------------------------

    def _rename(self, e: ast.Rename) -> Expr | None:
        operand = self.typed(e.operand)
        fine = self.scope.is_axis(e.source) & self.scope.is_axis(e.target)
        if operand is None or not fine:
            return None
        source, target = e.source.name, e.target.name
        if source not in operand.axes:
            self.missing_axis(e.source, operand)
            return None
        if target in operand.axes:
            message = f"the renamed axis `{target}` is already there"
            self.report.error("R0206", message, e.target.span, "not a new axis", notes=bindings((operand,), self.scope))
            return None
        axes = self.scope.in_order(target if axis == source else axis for axis in operand.axes)
        return expr.Renamed(axes, operand.is_complex, e.span, arg=operand, source=source, target=target)

    def missing_axis(self, axis: ast.Ident, operand: Expr) -> None:
        """An axis that should be removed or renamed is not there."""
        has = f"[{', '.join(operand.axes)}]" if operand.axes else "no axes"
        near = self.report.nearest(axis.name, operand.axes)
        self.report.error(
            "R0205", f"there is no axis `{axis.name}` here", axis.span, "not an axis of the operand",
            also=(Label(operand.span, f"this has {has}"),), notes=bindings((operand,), self.scope),
            help=f"did you mean `{near}`?" if near else None,
        )  # fmt: skip
