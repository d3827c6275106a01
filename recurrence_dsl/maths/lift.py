"""Spec -> Recurrence: finds the canonical form, or says where the spec is not a linear recurrence."""

from __future__ import annotations

from ..check.spec import Let, Spec, State
from ..diagnostics import Diagnostic, Label, Severity
from ..expr import Expr
from .affine import Affine, Collector, NotAffine, Reads
from .algebra import Algebra
from .constants import with_consts
from .dependence import Dependence
from .forms import Chooser, Update, take_apart
from .logs import Logs
from .ranges import Ranges
from .recurrence import Form, Recurrence, StateForm

SLACK = 1e-12


def lift(spec: Spec, consts: dict[str, float] | None = None) -> tuple[Recurrence | None, tuple[Diagnostic, ...]]:
    """The canonical form with the given consts; None where an update is not affine in its past or a promise fails."""
    return _Lift(with_consts(spec, consts or {})).run()


class _Lift:
    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.consts = {c.name: c.value for c in spec.consts}
        self.algebra = Algebra(tuple(d.name for d in spec.dims))
        self.values: dict[str, Expr] = {d.name: d.value for d in (*spec.lets, *spec.outputs)}
        self.states = {s.name: (s.axes, s.is_complex) for s in spec.states}
        self.graph = Dependence(spec)
        self.reads = Reads()
        self.ranges = Ranges(spec, self.consts)
        self.found: list[Diagnostic] = []

    def run(self) -> tuple[Recurrence | None, tuple[Diagnostic, ...]]:
        for let in self.spec.lets:
            if let.decay:
                self._check_promise(let)
        updates = [u for s in self.spec.states if (u := self._update(s)) is not None]
        free = self._collector(frozenset())
        values = self._lifted_values(free)
        if any(d.severity is Severity.ERROR for d in self.found):
            return None, tuple(self.found)
        lets = self.values | values
        logs = Logs(self.algebra, self.ranges, lets)
        chooser = Chooser(self.algebra, self.ranges, logs, lets, self.reads)
        forms = tuple(chooser.choose(u, self._coupling(u.state)) for u in updates)
        self._warn(forms)
        return self._assemble(forms, values), tuple(self.found)

    def _assemble(self, forms: tuple[StateForm, ...], values: dict[str, Expr]) -> Recurrence:
        stuck = [f for f in forms if f.form is Form.STEP]
        reason = "; ".join(f"`{f.name}` is evaluated {f.reason}" for f in stuck)
        return Recurrence(
            self.spec,
            tuple(self.consts.items()),
            forms,
            tuple(values.items()),
            tuple(self.reads.found.values()),
            not stuck,
            reason or "every state has a chunk form",
        )

    # --- collecting ---

    def _collector(self, held: frozenset[str]) -> Collector:
        lagged = self.graph.dependents(held) if held else frozenset()
        return Collector(self.algebra, self.values, self.states, held, lagged, self.reads)

    def _update(self, state: State) -> Update | None:
        collector = self._collector(self.graph.coupled(state.name))
        try:
            form = collector.of(state.update)
            return take_apart(state, self._joined(form, collector), collector)
        except NotAffine as e:
            self.found.append(_not_affine(self.spec, state, e))
            return None

    def _joined(self, form: Affine, collector: Collector) -> Affine:
        """Terms of coupled states make the form opaque: they are linear, but not of the canonical form."""
        other = sorted({t.state for t in form.terms if t.state in collector.held} - {None})
        if len(collector.held) > 1 and other and not form.opaque:
            return Affine(form.const, form.terms, "it is coupled with other states")
        return form

    def _coupling(self, state: State) -> str:
        others = sorted(self.graph.coupled(state.name) - {state.name})
        return f"it is coupled with {', '.join(f'`{o}`' for o in others)} through time" if others else ""

    def _lifted_values(self, free: Collector) -> dict[str, Expr]:
        """Lets and outputs over reads. A let that is a multiple of a state is looked through where it is used."""
        outputs = {o.name for o in self.spec.outputs}
        done: dict[str, Expr] = {}
        for name in (n for n in self.spec.order if n in self.values):
            form = free.of(self.values[name])
            if form.constant:
                done[name] = form.const
            elif name in outputs or self._carried(name):
                done[name] = free.plain(form, self.values[name].span)
        return done

    def _carried(self, name: str) -> bool:
        return any(c.name == name for c in self.spec.carried)

    # --- findings ---

    def _check_promise(self, let: Let) -> None:
        proven = self.ranges.of(let.value)
        if let.is_complex:
            proven = proven.magnitude
        elif proven.low < -SLACK:
            self.found.append(self._promise(let, "R0303", f"may be negative: it is proven to lie in {proven}"))
        if proven.high > 1 + SLACK:
            self.found.append(self._promise(let, "R0302", f"cannot be proven <= 1: it is proven to lie in {proven}"))

    def _promise(self, let: Let, code: str, what: str) -> Diagnostic:
        return Diagnostic(
            code,
            f"decay `{let.name}` {what}",
            Label(let.value.span, f"lies in {self.ranges.of(let.value)}"),
            help=f"write it with sigmoid(..) or exp(-softplus(..)), promise its input's range as in "
            f"`input x in (-inf, 0]`, or use `let {let.name} = ..` if it is no decay",
            source=self.spec.source,
        )

    def _warn(self, forms: tuple[StateForm, ...]) -> None:
        for f in forms:
            if f.decay_range.high > 1 + SLACK and not f.decay.is_complex:
                self.found.append(_may_grow(self.spec, f))


def _may_grow(spec: Spec, f: StateForm) -> Diagnostic:
    return Diagnostic(
        "R0302",
        f"the coefficient of `{f.name}[t-1]` cannot be proven <= 1: it is proven to lie in {f.decay_range}",
        Label(next(s.span for s in spec.states if s.name == f.name), "may grow without bound"),
        help="name the coefficient with `decay` once it is bounded by sigmoid(..), exp(-softplus(..)) or a promised "
        "input range",
        severity=Severity.WARNING,
        source=spec.source,
    )


def _not_affine(spec: Spec, state: State, e: NotAffine) -> Diagnostic:
    joint = [s for s in e.states if s != state.name]
    code = "R0304" if joint else "R0301"
    text = spec.source.text[e.span.start : e.span.end] if spec.source.text else ""
    line, column = spec.source.position(e.span.start)
    shown = f": the term `{text}` at {line}:{column}" if text else ""
    return Diagnostic(
        code,
        f"not affine in {', '.join(e.states)}{shown}",
        Label(e.span, e.why),
        (Label(state.span, f"in the update of `{state.name}`"),),
        help=_joint_advice(state.name, joint) if joint else _affine_advice(state.name),
        source=spec.source,
    )


def _affine_advice(name: str) -> str:
    return (
        f"an update may scale `{name}[t-1]`, contract it with a vector and add terms without it; functions of the "
        "state belong in an output, or in another state that this one does not depend on"
    )


def _joint_advice(name: str, others: list[str]) -> str:
    return (
        f"let only one of them depend on the other: `{name}` may be a function of `{others[0]}` in any way, "
        f"where `{others[0]}` does not read `{name}`"
    )
