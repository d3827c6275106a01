"""Prints a recurrence in canonical form: each state's class, decay, rank-one terms, writes, reads and form."""

from __future__ import annotations

from ..expr import Expr, Number
from ..maths.algebra import Algebra
from ..maths.recurrence import Form, Read, Recurrence, StateForm, When
from .expressions import spec_text
from .latex import latex_factor, latex_text, symbol
from .transition import transition_class

Rows = list[tuple[str, str]]

FORMS = {Form.MATRIX: "chunk", Form.SCAN: "scan", Form.STEP: "recurrent"}


def canonical_text(recurrence: Recurrence) -> str:
    """The canonical form of every state, then what the other values are over the states' reads."""
    updates = {s.name: s.update for s in recurrence.spec.states}
    blocks = [
        _titled(f"state {f.name} : [{', '.join(f.axes)}]", state_rows(f, updates[f.name])) for f in recurrence.states
    ]
    values = [(name, spec_text(e)) for name, e in recurrence.values]
    return "\n\n".join([*blocks, _titled("over these", values)])


def state_rows(form: StateForm, update: Expr) -> Rows:
    """What is known of one state, as pairs of a heading and a text; `update` is its update as written."""
    rows: Rows = [("class", transition_class(form)), ("update", _update(form, update))]
    if not _keeps_all(form):
        rows.append(("decay", f"{spec_text(form.decay)}, proven to lie in {form.decay_range}"))
    if form.log_decay and not _keeps_all(form):
        rows.append(("log decay", " + ".join(spec_text(g) for g in form.log_decay)))
    for i, term in enumerate(() if form.form is Form.STEP else form.erases, 1):
        rows.append((f"a{i}, b{i}", f"{spec_text(term.a)}, {spec_text(term.b)}"))
    if form.writes:
        rows.append(("write", " + ".join(_product(form, w.factors) for w in form.writes)))
    elif form.form is not Form.STEP:
        rows.append(("write", spec_text(form.input)))
    rows += [("read", read_text(r)) for r in form.reads]
    rows.append(("form", f"{FORMS[form.form]}: {form.reason}"))
    return rows


def read_text(read: Read) -> str:
    """`read1_S = sum[K](q * S)`."""
    state = read.state if read.when is When.NOW else f"{read.state}[t-1]"
    return f"{read.name} = sum[{', '.join(read.contracted)}]({_factor(read.query)} * {state})"


def _factor(e: Expr) -> str:
    text = spec_text(e)
    return f"({text})" if " + " in text or " - " in text else text


def _product(form: StateForm, factors: tuple[Expr, ...]) -> str:
    return spec_text(Algebra(form.axes).product(factors))


def _update(form: StateForm, update: Expr) -> str:
    if form.form is Form.STEP:
        return f"{form.name} = {spec_text(update)}"
    over = ", ".join(form.erase_axes)
    erases = [f"a{i} * sum[{over}](b{i} * {form.name}[t-1])" for i in range(1, len(form.erases) + 1)]
    kept = f"{form.name}[t-1]" if _keeps_all(form) else f"decay * {form.name}[t-1]"
    return f"{form.name} = " + " + ".join([kept, *erases, "write"])


def _keeps_all(form: StateForm) -> bool:
    """Is the decay the number one?"""
    return isinstance(form.decay, Number) and form.decay.value == 1


def _titled(title: str, rows: Rows) -> str:
    width = max((len(heading) for heading, _ in rows), default=0)
    return "\n".join([title, *(f"  {heading:<{width}}  {text}" for heading, text in rows)])


def canonical_latex(recurrence: Recurrence) -> str:
    """The recurrence as an `align*` environment: updates, reads (r_1, r_2, ..), and the other values over the reads."""
    short = {read.name: f"r_{{{i}}}" for i, read in enumerate(recurrence.reads, 1)}
    updates = {s.name: s.update for s in recurrence.spec.states}
    lines = [_latex_update(f, updates[f.name], short) for f in recurrence.states]
    lines += [_latex_read(r, short) for r in recurrence.reads]
    lines += [rf"{symbol(name)} &= {latex_text(e, short)}" for name, e in recurrence.values]
    return "\n".join([r"\begin{align*}", " \\\\\n".join(lines), r"\end{align*}"])


def _latex_update(form: StateForm, update: Expr, short: dict[str, str]) -> str:
    """By its parts; a state that is evaluated token by token need not have them, and is shown as written."""
    state, before = f"{{{symbol(form.name)}}}_t", f"{{{symbol(form.name)}}}_{{t-1}}"
    if form.form is Form.STEP:
        return f"{state} &= {latex_text(update, short)}"
    over = ",".join(symbol(a) for a in form.erase_axes)
    terms = [before if _keeps_all(form) else rf"{latex_factor(form.decay, short)} \, {before}"]
    for term in form.erases:
        a, b = latex_factor(term.a, short), latex_factor(term.b, short)
        terms.append(rf"{a} \sum_{{{over}}} {b} \, {before}")
    return rf"{state} &= {' + '.join([*terms, latex_text(form.input, short)])}"


def _latex_read(read: Read, short: dict[str, str]) -> str:
    state = f"{{{symbol(read.state)}}}_{'t' if read.when is When.NOW else '{t-1}'}"
    over = ",".join(symbol(a) for a in read.contracted)
    return rf"{short[read.name]} &= \sum_{{{over}}} {latex_factor(read.query, short)} \, {state}"
