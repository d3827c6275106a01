"""Checks a layer block: its lines become a typed graph, and every mistake in it a finding."""

from __future__ import annotations

from torch import nn

from ..check.report import nearest
from ..check.spec import Spec
from ..diagnostics import Diagnostic, Label, Severity
from ..source import Span
from ..syntax import ast
from .assigned import with_assigned_inputs
from .graph import GROUPS, HEADS, LayerConst, LayerGraph, LayerParam, Line, Value
from .options import check_initialiser
from .scope import STATIC_COUNTS, Fault, Scope, shown
from .static import is_static, names
from .values import Typing

RESULT = "out"
"""The return line's modules stand under this name."""
_TAKEN = frozenset({RESULT, "mixer", "spec", "step", "initial_state", *dir(nn.Module()), "parameters"})


def check_layer(spec: Spec) -> tuple[LayerGraph | None, tuple[Diagnostic, ...]]:
    """The layer block of a spec with its findings; no graph where there is no block, or an error in it."""
    if spec.layer is None:
        return None, ()
    checker = _Checker(spec, spec.layer)
    graph = checker.graph()
    findings = tuple(checker.findings)
    failed = any(finding.severity is Severity.ERROR for finding in findings)
    return (None if failed else graph), findings


def _declares_last(line: object) -> bool:
    """Params and consts come first: where they stand in the block has no meaning."""
    return not isinstance(line, ast.ParamStatement | ast.ConstStatement)


class _Checker:
    def __init__(self, spec: Spec, layer: ast.LayerStatement) -> None:
        self.spec, self.layer = spec, layer
        self.findings: list[Diagnostic] = []
        axis = layer.axes[0].name if len(layer.axes) == 1 else "D"
        targets = frozenset(t.name for line in layer.lines if isinstance(line, ast.Assignment) for t in line.targets)
        self.scope = Scope(spec, layer.input.name, axis, assigned_later=targets)
        self.result: Value | None = None

    def graph(self) -> LayerGraph | None:
        self._header()
        for line in sorted(self.layer.lines, key=_declares_last):
            try:
                self._line(line)
            except Fault as fault:
                self._keep(fault)
        self._complete()
        if self.result is None:
            return None
        scope = self.scope
        spec, findings = with_assigned_inputs(self.spec, scope.lines)
        if spec is None:
            self.findings.extend(findings)
            return None
        return LayerGraph(
            spec,
            scope.input,
            scope.model_axis,
            tuple(scope.params.values()),
            tuple(scope.consts.values()),
            tuple(scope.lines.values()),
            self.result,
            frozenset(scope.used & {*STATIC_COUNTS}),
        )

    def _keep(self, fault: Fault) -> None:
        if fault.finding is not None and fault.finding not in self.findings:
            self.findings.append(fault.finding)

    def _header(self) -> None:
        if len(self.layer.axes) != 1:
            self._error(
                "R0503",
                "a layer's input has one axis, the model's width",
                self.layer.input.span,
                "write `layer x : [D]`",
            )
        if any(self.layer.input.name == taken.name for taken in (*self.spec.inputs, *self.spec.outputs)):
            self._error(
                "R0506",
                f"`{self.layer.input.name}` already names a part of the mixer",
                self.layer.input.span,
                "the layer's input needs a name of its own",
            )

    def _line(self, line: ast.Assignment | ast.ParamStatement | ast.ConstStatement | ast.Return) -> None:
        match line:
            case ast.ParamStatement():
                for name in line.names:
                    self._param(name, line)
            case ast.ConstStatement():
                self._const(line)
            case ast.Assignment():
                for target in line.targets:
                    try:
                        self._assign(target, line)
                    except Fault as fault:
                        self._keep(fault)
            case ast.Return():
                self._return(line)

    def _declare(self, name: ast.Ident) -> None:
        """A name may be given a meaning once, and must leave torch's own names alone."""
        scope = self.scope
        taken = {scope.input, *scope.lines, *scope.params, *scope.consts, *(o.name for o in self.spec.outputs)}
        if name.name in taken:
            raise scope.fault(
                "R0506",
                f"`{name.name}` is already defined",
                name.span,
                "defined again here",
                help="a layer line gives a name once; take another name",
            )
        if name.name in _TAKEN:
            raise scope.fault(
                "R0511",
                f"`{name.name}` cannot name a part of a layer",
                name.span,
                "torch modules have an attribute of this name",
                help="take another name",
            )

    def _param(self, name: ast.Ident, line: ast.ParamStatement) -> None:
        self._declare(name)
        if line.complex:
            raise self.scope.fault("R0503", "a layer's params are real", line.span)
        axes = tuple(self.scope.axis(axis) for axis in line.axes)
        if not line.shared and not any(axis in (HEADS, GROUPS, self.scope.model_axis) for axis in axes):
            axes = (HEADS, *axes)
        if line.init is not None:
            check_initialiser(line.init, self.scope)
        self.scope.params[name.name] = LayerParam(name.name, self.scope.sorted(axes), line.init, name.span)

    def _const(self, line: ast.ConstStatement) -> None:
        self._declare(line.name)
        if not is_static(line.value, self.scope.static):
            raise self.scope.fault(
                "R0507",
                f"the const `{line.name.name}` is not a number",
                line.value.span,
                "made of numbers, sizes and consts above it",
            )
        self.scope.used.update(name.name for name in names(line.value))
        self.scope.consts[line.name.name] = LayerConst(line.name.name, line.value, line.name.span)

    def _assign(self, target: ast.Ident, line: ast.Assignment) -> None:
        try:
            self._declare(target)
            value = Typing(self.scope, target.name).value(line.value)
            self._fits_input(target, value)
        except Fault:
            if target.name not in self.scope.lines:
                self.scope.failed.add(target.name)
            raise
        self.scope.lines[target.name] = Line(target.name, value, target.span)

    def _fits_input(self, target: ast.Ident, value: Value) -> None:
        """A line that assigns a mixer's input gives it no other axes than it has."""
        declared = next((i for i in self.spec.inputs if i.name == target.name), None)
        if declared is None:
            return
        wanted = self.scope.sorted((GROUPS if declared.per_group else HEADS, *declared.axes))
        repeated = () if declared.per_group or HEADS in value.axes else (GROUPS,)
        extra = [axis for axis in value.axes if axis not in (*wanted, *repeated)]
        if extra:
            raise self.scope.fault(
                "R0503",
                f"`{target.name}` does not fit the mixer's input",
                target.span,
                f"it has the axes {shown(value.axes)}, the input {shown(wanted)}",
                help="write `[groups, ..]` in the brackets that make it" if GROUPS in wanted else None,
            )

    def _return(self, line: ast.Return) -> None:
        if line is not self.layer.lines[-1]:
            raise self.scope.fault("R0505", "`return` is the layer's last line", line.span, "lines follow it")
        value = Typing(self.scope, RESULT).value(line.value)
        if value.axes != (self.scope.model_axis,) or not value.timed:
            raise self.scope.fault(
                "R0503",
                "a layer returns to the model's stream",
                line.span,
                f"it returns {shown(value.axes)}, the stream is {shown((self.scope.model_axis,))}",
                help=f"end with `return linear[{self.scope.model_axis}](..)`",
            )
        self.result = value

    def _complete(self) -> None:
        lines = self.layer.lines
        if not lines or not isinstance(lines[-1], ast.Return):
            self._error(
                "R0505", "the layer has no `return`", self.layer.input.span, "its last line must be `return ..`"
            )
        for name in self.scope.missing:
            close = nearest(name, (n for n in self.scope.lines if n not in {i.name for i in self.spec.inputs}))
            self._error(
                "R0509",
                f"the layer never assigns the mixer's input `{name}`",
                self.layer.input.span,
                "in this layer",
                help=f"is it `{close}`?" if close else f"add a line `{name} = ..`",
            )
        if self.result is not None and not self.findings:
            self._unread()

    def _unread(self) -> None:
        fed = {*(i.name for i in self.spec.inputs), *(c.name for c in self.spec.consts)}
        for name in (*self.scope.lines, *self.scope.params, *self.scope.consts):
            if name not in self.scope.used and name not in fed:
                where = (self.scope.lines.get(name) or self.scope.params.get(name) or self.scope.consts[name]).span
                self._error("R0512", f"`{name}` is never read", where, "it does nothing", severity=Severity.WARNING)
        if not any(output.name in self.scope.used for output in self.spec.outputs):
            self._error(
                "R0512",
                "the layer never reads an output of the mixer",
                self.layer.input.span,
                "in this layer",
                severity=Severity.WARNING,
            )

    def _error(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        help: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        where = Label(span, label)
        self.findings.append(Diagnostic(code, message, where, (), (), help, severity, self.spec.source))
