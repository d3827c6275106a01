"""Names a state's transition class from its lifted form; docs/formalism.md has the table."""

from __future__ import annotations

from ..expr import Number
from ..maths.recurrence import StateForm


def transition_class(form: StateForm) -> str:
    """`scalar`, `key channel`, `full`, ..., with `+ rank-one` for every erasing term, as in `scalar + rank-one`."""
    count = len(form.erases)
    rank_one = {0: "", 1: " + rank-one"}.get(count, f" + {count} rank-one")
    return decay_class(form) + rank_one


def decay_class(form: StateForm) -> str:
    """What the decay varies over, relative to the axes that the reads or the rank-one terms sum over."""
    kind = "complex " if form.decay.is_complex else ""
    if isinstance(form.decay, Number) and form.decay.value == 1:
        return "no decay"
    if not form.axes:
        return f"{kind}scalar state"
    if len(form.axes) == 1 and not contracted(form):
        return f"{kind}vector"
    varying = set(form.decay_axes)
    if not varying:
        return f"{kind}scalar"
    key = contracted(form)
    if varying <= key:
        return f"{kind}key channel"
    if not varying & key:
        return f"{kind}value channel"
    separable = form.log_decay and all(set(g.axes) <= key or not set(g.axes) & key for g in form.log_decay)
    return f"{kind}key and value channel" if separable else f"{kind}full"


def contracted(form: StateForm) -> frozenset[str]:
    """The key side: what the rank-one terms sum over, else what the first read does, else a matrix's first axis."""
    if form.erase_axes:
        return frozenset(form.erase_axes)
    return frozenset(form.reads[0].contracted if form.reads else form.axes[:1] if len(form.axes) > 1 else ())
