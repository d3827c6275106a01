"""Betters the order in which a kernel computes its tiles, one statement at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Protocol

from .order import Graph, Node, Sizes
from .tiles import Tiles

SHARPNESS = 6
"""How much more full moments weigh than others: with little of it the whole is made slimmer, with much of it only the
fullest moment."""
SWEEPS = 6
EFFORT = 1_000_000
"""How many nodes are looked at at most, a second's work: large kernels come nowhere near their best order."""


class Costs(Protocol):
    """In registers of a thread."""

    def whole(self, i: int) -> float:
        """What holds a tile."""
        ...

    def extra(self, i: int) -> float:
        """What an operation holds besides its operands and its result."""
        ...


def bettered(
    tiles: Tiles,
    sizes: Sizes,
    wanted: Collection[int],
    kept: Collection[int],
    summands: Mapping[int, int],
    costs: Costs,
) -> tuple[int, ...]:
    """The wanted tiles in an order in which few numbers are held at a time; `kept` are those that are still needed
    afterwards, `summands` products that are computed where they are added to something, and the sums.

    From each of two orders, statements are moved singly as long as that makes the full moments less full.
    """
    search = Search(Graph(tiles, sizes, wanted, kept, summands), costs)
    found = [search.run(order) for order in (search.graph.onwards(), search.graph.backwards())]
    return search.graph.flat(search.with_leaves(min(found, key=search.fullness)))


class Search:
    """Orders of a graph's nodes but for what is loaded, which comes where it is first used."""

    def __init__(self, graph: Graph, costs: Costs) -> None:
        self.graph = graph
        self.held = {i: costs.whole(i) if graph.held[i] else 0.0 for i in graph.held}
        self.extra = {n: max(costs.extra(i) for i in n) for n in graph.nodes}
        self.touched = {n: (*n, *sorted(graph.args[n])) for n in graph.nodes}
        self.users = {n: frozenset(u for i in n for u in graph.users[i]) for n in graph.nodes}

    def run(self, order: list[Node]) -> list[Node]:
        """The order after moves of single nodes, as long as they better it."""
        nodes = [n for n in order if not self.waits(n)]
        least, left = self.fullness(nodes), EFFORT // max(1, len(nodes))
        for _ in range(SWEEPS):
            before = least
            for n in tuple(nodes):
                for trial in islice(self._moves(nodes, n), left):
                    fullness, left = self.fullness(trial), left - 1
                    if fullness < least:
                        least, nodes = fullness, trial
            if least == before:
                break
        return nodes

    def waits(self, node: Node) -> bool:
        """Is this loaded only where it is used?"""
        return self.graph.is_leaf(node) and node not in self.graph.carried

    def _moves(self, nodes: list[Node], node: Node) -> Iterator[list[Node]]:
        """The orders that differ in one node's place, and keep it behind its operands and before its users."""
        if node in self.graph.carried:
            return
        here = nodes.index(node)
        rest = nodes[:here] + nodes[here + 1 :]
        args = {self.graph.node[a] for a in self.graph.args[node]}
        first = max((at + 1 for at, n in enumerate(rest) if n in args), default=len(self.graph.carried))
        last = next((at for at, n in enumerate(rest) if n in self.users[node]), len(rest))
        yield from ([*rest[:at], node, *rest[at:]] for at in range(first, last + 1) if at != here)

    def fullness(self, nodes: list[Node]) -> float:
        """How many registers are held at each node, to a power, in all."""
        start: dict[int, int] = {}
        end: dict[int, int] = {}
        for at, n in enumerate(nodes):
            for i in self.touched[n]:
                start.setdefault(i, at)
                end[i] = at
        change = [0.0] * (len(nodes) + 1)
        for i, at in start.items():
            change[at] += self.held[i]
            change[len(nodes) if i in self.graph.kept else end[i] + 1] -= self.held[i]
        live = total = 0.0
        for n, more in zip(nodes, change, strict=False):
            live += more
            total += (live + self.extra[n]) ** SHARPNESS
        return total

    def with_leaves(self, nodes: list[Node]) -> list[Node]:
        """All nodes, with what is loaded just before its first user."""
        graph = self.graph
        found: dict[Node, None] = {}
        for n in nodes:
            args = sorted(graph.node[a] for a in graph.args[n])
            found.update(dict.fromkeys([a for a in args if self.waits(a)]))
            found[n] = None
        return list(found | dict.fromkeys(graph.nodes))
