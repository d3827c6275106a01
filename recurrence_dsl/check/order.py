"""Time: what is computed first within a step, and cycles that leave no first."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from ..diagnostics import Label
from ..expr import Kind
from ..source import Span
from ..syntax import ast, operands
from .report import Report
from .scope import Scope

MAX_PATH = 10
"""Names of a cycle that a message shows."""

Reads = Mapping[str, Mapping[str, Span]]
"""For each definition, what it reads, and where."""


def reads(scope: Scope, past: bool) -> Reads:
    """Which of the others each definition reads at time t and, with `past`, also at [t-1]."""
    defined = {symbol.name for symbol in scope.definitions()}
    found: dict[str, dict[str, Span]] = {}
    for symbol in scope.definitions():
        own = found[symbol.name] = {}
        pending = [symbol.definition]
        while pending:
            e = pending.pop()
            wanted = isinstance(e, ast.Name) or (past and isinstance(e, ast.Previous))
            if wanted and e.name in defined:  # type: ignore[union-attr]
                own.setdefault(e.name, e.span)  # type: ignore[union-attr]
            pending.extend(operands(e))
    return found


def sort(graph: Reads) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Names so that each follows what it reads, and the cycles that were cut on the way (each a path, closed)."""
    waiting = {name: graph.keys() & needs.keys() for name, needs in graph.items()}
    readers: dict[str, list[str]] = {name: [] for name in graph}
    for name, needs in waiting.items():
        for need in needs:
            readers[need].append(name)
    order: dict[str, None] = {}
    cycles: list[tuple[str, ...]] = []
    _release([name for name in graph if not waiting[name]], waiting, readers, order)
    for name in graph:
        while name not in order:
            cycles.append(_cycle(name, waiting))
            cut = list(dict.fromkeys(cycles[-1]))
            for member in cut:
                waiting[member].clear()
            _release(cut, waiting, readers, order)
    return tuple(order), tuple(cycles)


def _release(
    ready: list[str], waiting: Mapping[str, set[str]], readers: Mapping[str, list[str]], order: dict[str, None]
) -> None:
    """Append the names that wait for nothing to `order`, then those that they set free, and so on."""
    while ready:
        following: dict[str, None] = {}
        order.update(dict.fromkeys(ready))
        for name in ready:
            for reader in readers[name]:
                waiting[reader].discard(name)
                if not waiting[reader] and reader not in order:
                    following[reader] = None
        ready = list(following)


def _cycle(start: str, waiting: Mapping[str, set[str]]) -> tuple[str, ...]:
    """A closed path from what waits for each other; every name on the way waits for some other one."""
    path: dict[str, int] = {}
    name = start
    while name not in path:
        path[name] = len(path)
        name = min(waiting[name])
    return (*list(path)[path[name] :], name)


def _path(cycle: tuple[str, ...]) -> str:
    """`a` -> `b` -> `a`; the middle of a long one is left out."""
    words = [f"`{name}`" for name in cycle]
    if len(words) > MAX_PATH:
        words = [*words[: MAX_PATH - 2], "..", words[-1]]
    return " -> ".join(words)


def time_order(scope: Scope, report: Report) -> tuple[tuple[str, ...], frozenset[str]]:
    """The order of evaluation within a step, and the names on a cycle; reports each cycle."""
    graph = reads(scope, past=False)
    order, cycles = sort(graph)
    for cycle in cycles:
        _report_cycle(cycle, graph, scope, report)
    return order, frozenset(name for cycle in cycles for name in cycle)


def _report_cycle(cycle: tuple[str, ...], graph: Reads, scope: Scope, report: Report) -> None:
    first, second = cycle[0], cycle[1]
    state = next((name for name in cycle if scope.symbols[name].kind is Kind.STATE), None)
    if len(cycle) == 2 and state is not None:
        message = f"the state `{state}` reads itself at time t"
        advice = f"write `{state}[t-1]` for its value one step earlier"
        report.error("R0210", message, graph[first][first], "this is the value being defined", help=advice)
        return
    path = _path(cycle)
    also = [Label(graph[name][need], f"`{name}` reads `{need}`") for name, need in pairwise(cycle[1:MAX_PATH])]
    advice = "read one of them one step earlier, with `[t-1]`"
    label = f"`{first}` reads `{second}`"
    report.error("R0211", f"a cycle within one time step: {path}", graph[first][second], label, also=also, help=advice)


def typing_order(scope: Scope, report: Report, on_cycle: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Lets and outputs so that each follows those whose axes it needs, and those whose axes cannot be known.

    Axes of a state are declared, those of a let follow from its expression: a let that reads its own past has none.
    """
    inferred = {symbol.name for symbol in scope.definitions() if symbol.kind is not Kind.STATE}
    graph = {name: needs for name, needs in reads(scope, past=True).items() if name in inferred}
    order, cycles = sort(graph)
    for cycle in cycles:
        if not on_cycle.intersection(cycle):
            span, path = graph[cycle[0]][cycle[1]], _path(cycle)
            kind, name = scope.symbols[cycle[0]].word, cycle[0]
            report.error(
                "R0212", f"`{name}` remembers its own past, but is a {kind}", span, f"through {path}",
                help=f"what is carried over time is a state: `state {name} : [..] = ..`",
            )  # fmt: skip
    return order, frozenset(name for cycle in cycles for name in cycle)
