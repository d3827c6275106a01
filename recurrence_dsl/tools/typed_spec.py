"""Prints a checked spec: every name with its axes and shape, every definition in the order of evaluation."""

from __future__ import annotations

import math

from ..check.spec import Input, Let, Output, Param, Spec, State
from .expressions import number_text, spec_text


def typed_spec_text(spec: Spec) -> str:
    """One declaration a line, aligned; shapes with B batch entries, T tokens, H heads and G groups."""
    lines = [f"mixer {spec.name}"]
    lines += [f"dim    {d.name}" + ("" if d.default is None else f" = {d.default}") for d in spec.dims]
    lines += [_input(i) for i in spec.inputs]
    lines += [_param(p) for p in spec.params]
    lines += [f"const  {c.name} = {number_text(c.value)}" for c in spec.consts]
    defined = {d.name: d for d in (*spec.lets, *spec.states, *spec.outputs)}
    lines += [_definition(defined[name]) for name in spec.order]
    if spec.carried:
        lines.append(f"carried beside the states: {', '.join(c.name for c in spec.carried)}")
    return "\n".join(lines)


def _typing(axes: tuple[str, ...], is_complex: bool) -> str:
    return f" : {'complex ' if is_complex else ''}[{', '.join(axes)}]"


def _shape(*parts: str) -> str:
    return f"    # [{', '.join(parts)}]"


def _input(i: Input) -> str:
    group = " per group" if i.per_group else ""
    low, high = ("(" if i.low_open else "[") + number_text(i.low), number_text(i.high) + (")" if i.high_open else "]")
    bounds = "" if math.isinf(i.low) and math.isinf(i.high) else f" in {low}, {high}"
    shape = _shape("B", "T", "G" if i.per_group else "H", *i.axes)
    return f"input  {i.name}{_typing(i.axes, i.is_complex)}{group}{bounds}{shape}"


def _param(p: Param) -> str:
    shape = _shape(*p.axes) if p.shared else _shape("H", *p.axes)
    return f"param  {p.name}{_typing(p.axes, p.is_complex)}{' shared' if p.shared else ''}{shape}"


def _definition(d: Let | State | Output) -> str:
    match d:
        case State():
            return f"state  {d.name}{_typing(d.axes, d.is_complex)} = {spec_text(d.update)}{_shape('B', 'H', *d.axes)}"
        case Output():
            shape = _shape("B", "T", "H", *d.axes)
            return f"output {d.name}{_typing(d.axes, d.is_complex)} = {spec_text(d.value)}{shape}"
        case Let():
            return f"{'decay' if d.decay else 'let  '}  {d.name}{_typing(d.axes, d.is_complex)} = {spec_text(d.value)}"
