"""Checks a recurrence: every part has only the axes it may have, and the forms agree with their parts."""

from __future__ import annotations

from collections.abc import Iterable

from ..check.verify import Typing, meanings
from ..expr import Expr, Kind, Now, Prev, walk
from ..stage_error import require
from .recurrence import Form, Read, Recurrence, StateForm

STAGE = "lift"


def verify_recurrence(recurrence: Recurrence) -> None:
    """Raises StageError where the recurrence does not hold together."""
    spec = recurrence.spec
    declared = [(s.name, s.axes) for s in spec.states]
    require([(s.name, s.axes) for s in recurrence.states] == declared, STAGE, "the states are not the spec's")
    steps = [s for s in recurrence.states if s.form is Form.STEP]
    require(recurrence.chunked == (not steps), STAGE, "`chunked` does not follow from the states' forms")
    require(recurrence.reason, STAGE, "no reason is given")
    typing = _typing(recurrence)
    for read in recurrence.reads:
        _read(read, recurrence.state(read.state), typing)
    for s in recurrence.states:
        _state(s, recurrence, typing)
    for _, value in recurrence.values:
        typing.verify(value)
        _whole_states(value, recurrence)


def _typing(recurrence: Recurrence) -> Typing:
    """Names as the spec declares them, and the reads."""
    spec = recurrence.spec
    order = tuple(d.name for d in spec.dims)
    complex_states = {s.name for s in spec.states if s.is_complex}
    reads = {
        r.name: (Kind.READ, tuple(a for a in order if a in r.axes), r.state in complex_states or r.query.is_complex)
        for r in recurrence.reads
    }
    return Typing(STAGE, order, {**meanings(spec), **reads})


def _read(read: Read, state: StateForm, typing: Typing) -> None:
    contracted, own = set(read.contracted), set(state.axes)
    require(contracted and contracted <= own, STAGE, f"`{read.name}` contracts axes that `{state.name}` has not")
    require(set(read.axes) == own - contracted, STAGE, f"`{read.name}` has the wrong axes")
    require(set(read.query.axes) <= contracted, STAGE, f"the query of `{read.name}` varies along what it leaves")
    require(read in state.reads, STAGE, f"`{read.name}` is not among the reads of `{state.name}`")
    typing.verify(read.query)


def _state(s: StateForm, recurrence: Recurrence, typing: Typing) -> None:
    own = set(s.axes)
    for e in (s.decay, s.input, *s.log_decay, *_parts(s)):
        typing.verify(e)
        require(set(e.axes) <= own, STAGE, f"a part of `{s.name}` varies along axes that it has not")
        _whole_states(e, recurrence)
    require(s.reason, STAGE, f"no reason is given for the form of `{s.name}`")
    if s.form is Form.MATRIX or (s.form is Form.SCAN and s.erases):
        _pairwise(s)
    else:
        require(not (s.log_decay or s.writes), STAGE, f"`{s.name}` has parts of a matrix form")


def _pairwise(s: StateForm) -> None:
    """Decays between pairs of tokens: for the reads of a matrix form, and for rank-one terms."""
    proven = s.decay_range
    require(0 <= proven.low <= proven.high <= 1, STAGE, f"the decay of `{s.name}` lies in {proven}")
    require(bool(s.erases) == bool(s.erase_axes), STAGE, f"`{s.name}` has erase axes without erases, or none with")
    complex_parts = any(e.is_complex for e in (s.decay, s.input, *s.log_decay, *_parts(s)))
    require(not complex_parts, STAGE, f"`{s.name}` has a complex part")
    for e in s.erases:
        inside = set(e.a.axes) | set(e.b.axes) <= set(s.erase_axes)
        require(inside, STAGE, f"a rank-one term of `{s.name}` varies along what it does not contract")
    reads = s.reads if s.form is Form.MATRIX else ()
    for side in {frozenset(r.contracted) for r in reads} | ({frozenset(s.erase_axes)} if s.erases else set()):
        for e in (*s.log_decay, *(f for w in s.writes for f in w.factors)):
            one_side = set(e.axes) <= side or not set(e.axes) & side
            require(one_side, STAGE, f"a factor of `{s.name}` varies along both sides of a read")


def _parts(s: StateForm) -> Iterable[Expr]:
    yield from (f for w in s.writes for f in w.factors)
    yield from (part for e in s.erases for part in (e.a, e.b))


def _whole_states(e: Expr, recurrence: Recurrence) -> None:
    """A state in matrix form is never formed at every token."""
    for node in walk(e):
        if isinstance(node, (Now, Prev)) and node.kind is Kind.STATE:
            form = recurrence.state(node.name).form
            require(form is not Form.MATRIX, STAGE, f"`{node.name}` is used whole, but is in matrix form")
