"""Puts compile-time constants into a spec as numbers, so that the algebra can fold them."""

from __future__ import annotations

from dataclasses import replace

from ..check.spec import Spec
from ..expr import Apply, Expr, Fn, Kind, Now, Number, Over, Renamed
from .algebra import Algebra, number


def with_consts(spec: Spec, given: dict[str, float]) -> Spec:
    """The spec with its consts at the given values (defaults otherwise), substituted and folded everywhere."""
    consts = tuple(replace(c, value=float(given.get(c.name, c.value))) for c in spec.consts)
    fold = _Folder(Algebra(tuple(d.name for d in spec.dims)), {c.name: c.value for c in consts})
    return replace(
        spec,
        consts=consts,
        lets=tuple(replace(d, value=fold(d.value)) for d in spec.lets),
        states=tuple(replace(s, update=fold(s.update)) for s in spec.states),
        outputs=tuple(replace(o, value=fold(o.value)) for o in spec.outputs),
    )


class _Folder:
    def __init__(self, algebra: Algebra, values: dict[str, float]) -> None:
        self.al, self.values = algebra, values

    def __call__(self, e: Expr) -> Expr:
        match e:
            case Now(kind=Kind.CONST):
                return number(self.values[e.name])
            case Over() | Renamed():
                folded = self(e.arg)
                # `0 * q` is a number without axes, but a softmax, say, has to know over how many it is
                arg = folded if folded.axes == e.arg.axes else self._substituted(e.arg)
                return e if arg == e.arg else replace(e, arg=arg)
            case Apply():
                return self._apply(e, tuple(self(a) for a in e.args))
            case _:
                return e

    def _substituted(self, e: Expr) -> Expr:
        """The consts' values put in, and nothing folded."""
        match e:
            case Now(kind=Kind.CONST):
                return number(self.values[e.name])
            case Over() | Renamed():
                return replace(e, arg=self._substituted(e.arg))
            case Apply():
                return replace(e, args=tuple(self._substituted(a) for a in e.args))
            case _:
                return e

    def _apply(self, e: Apply, args: tuple[Expr, ...]) -> Expr:
        al = self.al
        match e.fn:
            case Fn.ADD | Fn.SUB | Fn.MUL | Fn.DIV if any(isinstance(a, Number) for a in args):
                make = {Fn.ADD: al.add, Fn.SUB: al.sub, Fn.MUL: al.mul, Fn.DIV: al.div}[e.fn]
                return self._placed(make(*args), e)
            case Fn.NEG:
                return self._placed(al.neg(args[0]), e)
            case Fn.POW if isinstance(args[1], Number) and args[1].value == 1:
                return args[0]
            case _:
                return e if args == e.args else replace(e, args=args)

    def _placed(self, new: Expr, e: Apply) -> Expr:
        """The folded expression, at the place of the one it stands for."""
        return replace(new, span=e.span)
