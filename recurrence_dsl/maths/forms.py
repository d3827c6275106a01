"""Chooses how one state is evaluated over a chunk, and says why."""

from __future__ import annotations

from dataclasses import dataclass

from ..check.spec import State
from ..expr import Expr
from .affine import Affine, Collector, Reads, Term
from .algebra import Algebra
from .intervals import Interval
from .logs import Logs
from .ranges import Ranges
from .rank_one import rank_one, terms_of
from .recurrence import Form, Read, StateForm
from .split import Partition, Splitter


@dataclass(frozen=True, slots=True)
class Update:
    """A state's update taken apart: decay * S + erasing terms + input."""

    state: State
    decay: Expr
    erasing: tuple[Term, ...]
    input: Expr
    opaque: str


def take_apart(state: State, form: Affine, collector: Collector) -> Update:
    al = collector.al
    own = [t for t in form.terms if t.state == state.name]
    others = Affine(form.const, tuple(t for t in form.terms if t.state not in collector.held))
    decay = al.total([al.product(t.outer) for t in own if not t.contracted])
    erasing = tuple(t for t in own if t.contracted)
    return Update(state, decay, erasing, collector.plain(others, state.span), form.opaque)


class Chooser:
    """Decides MATRIX, SCAN or STEP for each state of one spec."""

    def __init__(self, algebra: Algebra, ranges: Ranges, logs: Logs, lets: dict[str, Expr], reads: Reads) -> None:
        self.al, self.ranges, self.logs, self.lets, self.reads = algebra, ranges, logs, lets, reads

    def choose(self, u: Update, coupled: str) -> StateForm:
        against_chunk = coupled or u.opaque
        matrix = self._matrix(u)
        if isinstance(matrix, StateForm) and not against_chunk:
            return matrix
        why = matrix if isinstance(matrix, str) else ""
        scan = against_chunk or self._scan(u, why)
        if isinstance(scan, StateForm):
            return scan
        reason = scan + (f"; and {why}" if why and why != scan else "")
        common = _common_axes(u)
        erases = rank_one(u.erasing, self.al) if common else terms_of(u.erasing, self.al)
        return self._form(u, Form.STEP, f"token by token, because {reason}", erases=erases, erase_axes=common)

    def _scan(self, u: Update, why: str) -> StateForm | str:
        """Elementwise; rank-one terms are writes once their implicit values are solved for."""
        if not u.erasing:
            return self._form(u, Form.SCAN, f"elementwise scan, because {why}")
        against = self._unsolvable(u)
        if against:
            return against
        found = self._apart(u, (frozenset(u.erasing[0].contracted),))
        if isinstance(found, str):
            return found
        reason = f"rank-one terms by matrix products, then an elementwise scan, because {why}"
        return self._form(u, Form.SCAN, reason, **found)

    def _form(self, u: Update, form: Form, reason: str, **found: object) -> StateForm:
        reads = tuple(r for r in self.reads.found.values() if r.state == u.state.name)
        fields: dict[str, object] = {
            "log_decay": (), "erase_axes": (), "erases": (), "writes": (), "reads": reads, "input": u.input,
            "decay": u.decay, "decay_range": self.decay_range(u.decay),
        }  # fmt: skip
        return StateForm(u.state.name, u.state.axes, form, reason, **(fields | found))  # type: ignore[arg-type]

    def decay_range(self, decay: Expr) -> Interval:
        found = self.ranges.of(decay)
        return found.magnitude if decay.is_complex else found

    # --- the matrix form and what stands against it ---

    def _matrix(self, u: Update) -> StateForm | str:
        reads = tuple(r for r in self.reads.found.values() if r.state == u.state.name)
        against = self._unfit(u, reads) or self._unsolvable(u)
        if against:
            return against
        axes = frozenset(u.state.axes)
        erase = frozenset(u.erasing[0].contracted) if u.erasing else frozenset()
        partitions = self._partitions(u, reads, erase)
        if erase and any(p not in (erase, axes - erase) for p in partitions):
            return "it is read along other axes than its rank-one terms contract"
        found = self._apart(u, partitions)
        if isinstance(found, str):
            return found
        return self._form(u, Form.MATRIX, "matrix products over pairs of tokens", **found)

    def _apart(self, u: Update, partitions: tuple[Partition, ...]) -> dict[str, object] | str:
        """The log-decay, the writes and the rank-one terms, none with a factor on both sides of a partition."""
        axes = frozenset(u.state.axes)
        erase = frozenset(u.erasing[0].contracted) if u.erasing else frozenset()
        splitter = Splitter(self.al, self.lets, axes, partitions)
        log = self.logs.of(u.decay)
        if log is None:
            return (
                "the decay may reach zero and its logarithm cannot be taken symbolically (an input that holds the "
                "logarithm, or a promised range that stays above zero such as [0.01, 1], would give matrix products)"
            )
        addends = splitter.addends(log)
        if addends is None:
            return "the decay does not split into a part for each side of its reads"
        if erase and any(axes & set(g.axes) - erase for g in addends):
            return "its rank-one terms act along one axis and its decay along the other"
        writes = splitter.writes(u.input)
        if writes is None:
            return "its write is not a product of a part for each side of its reads"
        return {
            "log_decay": addends,
            "writes": tuple(w for w in writes if all(getattr(f, "value", None) != 0 for f in w.factors)),
            "erases": rank_one(u.erasing, self.al),
            "erase_axes": _common_axes(u),
        }

    def _partitions(self, u: Update, reads: tuple[Read, ...], erase: Partition) -> tuple[Partition, ...]:
        found = [frozenset(r.contracted) for r in reads] + ([erase] if erase else [])
        return tuple(dict.fromkeys(found or [frozenset(u.state.axes[:1])]))

    def _unfit(self, u: Update, reads: tuple[Read, ...]) -> str:
        """What keeps the state itself from being left out: it must be read, and only read."""
        state = u.state
        if state.is_complex:
            return "its state is complex"
        if state.name in self.reads.whole:
            return "its state is used other than by contracting one side of it"
        if not reads and len(state.axes) < 2:
            return "its state is a vector that is never contracted"
        if any(r.query.is_complex for r in reads):
            return "it is read with a complex query"
        return ""

    def _unsolvable(self, u: Update) -> str:
        """What keeps pairs of tokens from being products: the decay between them, the shape of the rank-one terms."""
        if u.state.is_complex:
            return "its state is complex"
        proven = self.decay_range(u.decay)
        if proven.low < 0 or proven.high > 1:
            return f"its decay is only proven to lie in {proven}, not in [0, 1]"
        if len({t.contracted for t in u.erasing}) > 1:
            return "its rank-one terms contract different axes"
        for t in u.erasing:
            wide = {a for f in t.outer for a in f.axes} - set(t.contracted)
            if wide:
                return f"a rank-one term is scaled along {', '.join(sorted(wide))}, which it does not contract"
        return ""


def _common_axes(u: Update) -> tuple[str, ...]:
    """What every rank-one term contracts; empty where they differ."""
    contracted = {frozenset(t.contracted) for t in u.erasing}
    return tuple(a for a in u.state.axes if len(contracted) == 1 and a in next(iter(contracted)))
