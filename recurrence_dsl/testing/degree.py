"""In which inputs a spec is linear: found by degrees, with the states starting from zero."""

from __future__ import annotations

from collections.abc import Mapping

from ..check.spec import Spec, expression
from ..expr import Apply, AxisFn, Expr, Fn, Now, Over, Prev, Renamed, children

NONLINEAR = 99
"""The degree of whatever is not a polynomial."""


def linear_results(spec: Spec) -> dict[str, tuple[str, ...]]:
    """For each input in which the spec is linear, the results (`output:o`, `state:S`) of degree one in it."""
    found = {i.name: _of_degree_one(spec, i.name) for i in spec.inputs}
    return {name: results for name, results in found.items() if results}


def _of_degree_one(spec: Spec, name: str) -> tuple[str, ...]:
    degrees = {name: 1}
    for _ in range(2 * len(spec.definitions) + 2):
        found = degrees | {d.name: degree(expression(d), degrees) for d in spec.definitions}
        if found == degrees:
            break
        degrees = found
    keyed = {f"output:{d.name}": degrees[d.name] for d in spec.outputs}
    keyed |= {f"state:{d.name}": degrees[d.name] for d in spec.states}
    return tuple(key for key, found in keyed.items() if found == 1)


def degree(e: Expr, degrees: Mapping[str, int | None]) -> int | None:
    """The degree of homogeneity in the chosen input: None for a value that is zero, 0 where it does not occur."""
    match e:
        case Now() | Prev():
            return degrees.get(e.name, 0 if e.kind.value in ("input", "param", "const") else None)
        case Apply(fn=Fn.ADD | Fn.SUB):
            return _alike([degree(arg, degrees) for arg in e.args])
        case Apply(fn=Fn.NEG | Fn.RE | Fn.IM):
            return degree(e.args[0], degrees)
        case Apply(fn=Fn.MUL):
            left, right = (degree(arg, degrees) for arg in e.args)
            return None if left is None or right is None else min(left + right, NONLINEAR)
        case Apply(fn=Fn.DIV):
            left, right = (degree(arg, degrees) for arg in e.args)
            return left if right == 0 else NONLINEAR
        case Over(fn=AxisFn.SUM | AxisFn.MEAN):
            return degree(e.arg, degrees)
        case Renamed():
            return degree(e.arg, degrees)
        case _:
            found = [degree(child, degrees) for child in children(e)]
            return 0 if all(d == 0 for d in found) else NONLINEAR


def _alike(found: list[int | None]) -> int | None:
    known = {d for d in found if d is not None}
    if len(known) > 1:
        return NONLINEAR
    return next(iter(known), None)
