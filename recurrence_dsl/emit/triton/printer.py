"""Prints tiles as Triton statements."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from .block_inverse import block_inverse_lines
from .expressions import Expressions
from .joined import Joined, joined
from .naming import RESERVED, further_names, tile_names
from .order import root
from .pairwise import Group, group_lines
from .rounds import AGAIN
from .shapes import Layout, aligned, index_name, number_text
from .tiles import PAIRWISE, Dims, Kind, Source, Tile, Tiles
from .uses import Uses

Place = Callable[[Source, Dims], tuple[str, str]]
"""The pointer to a tile in memory and the mask of its lanes, as texts; an empty mask where none is needed."""


class TilePrinter:
    """Statements for a kernel's tiles, in a given order."""

    def __init__(
        self, tiles: Tiles, order: tuple[int, ...], layout: Layout, place: Place, taken: Iterable[str] = ()
    ) -> None:
        self.tiles, self.layout, self.place = tiles.tiles, layout, place
        self.uses = Uses(tiles, order)
        self._root = {i: root(tiles, i) for i in order}
        used = {*RESERVED, *taken}
        self.names = tile_names(self.tiles, order, used)
        self.short = further_names(self.names, self.uses.shortened(), "short", used)
        matrices = [i for i in order if self.tiles[i].kind in (Kind.LOAD, Kind.PAIR) and len(self.tiles[i].dims) == 2]
        self._again_names = further_names(self.names, matrices, "again", used)
        self._again: dict[int, str] = {}  # loads under the names that they have in a loop which loads them again
        self.helpers: set[str] = set()
        self.expressions = Expressions(self)
        self._renewed: dict[int, str] = {}  # decays that are computed again, likewise
        self._text: dict[int, tuple[str, int]] = {}
        self._grouped: set[int] = set()  # tiles of which the statements of a group have taken care
        self._done: dict[int, None] = {}  # tiles whose turn has been, in order
        self._rounds: set[int] = set()  # those of `short` that have been written
        self._products = 0
        self.sparing = False  # has the kernel a setting that lets it hold less?
        self.added: set[int] = set()  # products that are written where they are added to something
        self.begun: dict[int, int] = {}  # what is added to a sum over blocks: that sum, which has begun with the rest

    def number(self) -> int:
        """A number of its own for each product of matrices."""
        self._products += 1
        return self._products - 1

    @property
    def sums(self) -> frozenset[int]:
        """Tiles that blocks add up."""
        return self.uses.sums

    # --- statements ---

    def lines(
        self,
        order: Sequence[int],
        sums: frozenset[int] = frozenset(),
        used_later: Collection[int] = (),
        again: Collection[int] = (),
        then: Callable[[int], list[str]] = lambda _: [],
    ) -> list[str]:
        """The statements of tiles in order, each followed by what `then` says of it; `sums` are added to what blocks
        before gave; `used_later` get names; `again` are loads that a loop's products may do without holding."""
        self.uses.here, self.uses.sums, self.uses.later = frozenset(order), sums, frozenset(used_later)
        self._grouped, self._done, self._again, self._renewed = set(), {}, {}, {}
        found: list[str] = []
        for at, i in enumerate(order):
            found += [*self._loads_again(self.tiles[i], again), *self._decays_again(self.tiles[i], order[:at])]
            if i not in self._grouped:
                found += self._statement(self.tiles[i], order[at:])
            self._done[i] = None
            found += then(i)
        return found

    def _loads_again(self, t: Tile, again: Collection[int]) -> Iterator[str]:
        """Loads of a product's factors in each round, which registers would hold from the first to the last."""
        for a in t.args if t.kind is Kind.DOT and not t.attr else ():
            i = self._root[a]
            if i in again and i not in self._again:
                x = self.tiles[i]
                held, name = self.short[i] if i in self._rounds else self.names[i], self._again_names[i]
                self._again[i] = name
                yield f"{name} = {self._rounded(x, self.expressions.loaded(x))} if {AGAIN} else {held}"

    def _decays_again(self, t: Tile, before: Sequence[int]) -> Iterator[str]:
        """Decays between tokens that a statement before has used, computed once more."""
        for i in t.args:
            if (
                i in before
                and self.sparing
                and self.tiles[i].kind is Kind.PAIR
                and any(u in before for u in self.uses.of[i])
            ):
                self._renewed[i] = name = self._again_names[i]
                yield f"{name} = {self.expressions.of(self.tiles[i])[0]} if {AGAIN} else {self.names[i]}"

    def beginnings(self, sums: Iterable[int], known: Collection[int]) -> list[str]:
        """The statements that begin sums over blocks: with zero, or with what is known by name and only added later."""
        found = []
        for i in sorted(sums):
            t = self.tiles[i]
            start = f"tl.zeros({self.layout.shape(t.dims)}, tl.float32)" if t.dims else "0.0"
            rest = self.uses.added_later(i)
            if rest is not None and rest[1] in known:
                self.begun[rest[0]] = i
                start = self.names[rest[1]]
            found.append(f"{self.names[i]} = {start}")
        return found

    def _statement(self, t: Tile, rest: Sequence[int]) -> list[str]:
        if t.kind in (Kind.NUMBER, Kind.CARRIED) or (t.kind is Kind.EXPAND and self.uses.only_aligned(t)):
            return []
        if self.uses.summand(t):
            self.added.add(t.index)
            return []
        self.added.discard(t.index)
        if t.kind in PAIRWISE:
            return self._pairwise(t, rest)
        if t.kind is Kind.INVERSE and len(t.args) > 1:
            return self._block_inverse(t)
        if t.kind is Kind.DOT and t.index in self.sums:
            return [f"{self.names[t.index]} = {self.expressions.product(t, t.index)}"]
        text, strength = (self.names[self.begun[t.index]], 9) if t.index in self.begun else self.expressions.of(t)
        if self.uses.inlined(t, text):
            self._text[t.index] = (text, strength)
            return []
        return self._assigned(t, text)

    def _assigned(self, t: Tile, text: str) -> list[str]:
        """A tile's value under its name, and under its short one as a factor of products."""
        name, short = self.names[t.index], self.short.get(t.index)
        if t.index in self.sums:
            return [f"{name} += {text}"]
        if self.uses.factor(t):
            return [f"{name} = {self._rounded(t, text)}"]
        if short is not None:
            self._rounds.add(t.index)
            if t.kind is Kind.LOAD:
                return [f"{short} = {self.expressions.loaded(t)}", f"{name} = {short}.to(tl.float32)",
                        f"{short} = {self._rounded(t, short)}"]  # fmt: skip
            return [f"{name} = {text}", f"{short} = {self._rounded(t, name)}"]
        if self.uses.fenced(t):
            self.helpers.add("once")
            text = f"_once({text}, DEVICE)"
        return [f"{name} = {text}"]

    def _rounded(self, t: Tile, text: str) -> str:
        """A factor of products; what is loaded is taken as it lies in memory."""
        self.helpers.update(("dot", "once"))
        if t.kind is Kind.LOAD:
            return f"_loaded({text.removesuffix('.to(tl.float32)')}, DT, DEVICE)"
        return f"_factor({text}, DT, DEVICE)"

    # --- operands ---

    def text(self, i: int) -> str:
        return self._operand(i)[0]

    def atom(self, i: int) -> str:
        text, strength = self._operand(i)
        return text if strength >= 9 else f"({text})"

    def _operand(self, i: int) -> tuple[str, int]:
        t = self.tiles[i]
        if t.kind is Kind.NUMBER:
            return number_text(t.attr)  # type: ignore[arg-type]
        return self._text.get(i, (self._renewed.get(i, self.names[i]), 9))

    def fit(self, i: int, want: Dims, user: Tile | None = None) -> tuple[str, int]:
        """The operand aligned to a result's dims."""
        t = self.tiles[i]
        if t.kind is Kind.EXPAND and user is not None and self.uses.only_aligned(t):
            return self.fit(t.args[0], want)
        if not t.dims or t.dims == want:
            return self._operand(i)
        return aligned(self.atom(i), t.dims, want), 9

    def taken(self, i: int) -> str:
        """A factor of a product, by the short name of what was loaded."""
        t = self.tiles[i]
        if i in self._again:
            return self._again[i]
        if t.kind is Kind.RENAME and self._loaded(i):
            return self.taken(t.args[0])
        if t.kind is Kind.TURN and self._loaded(i):
            return f"tl.trans({self.taken(t.args[0])})"
        return self.short[i] if i in self._rounds else self.text(i)

    def _loaded(self, i: int) -> bool:
        """Is it another name of something that has a name of its own as a factor?"""
        i = self._root[i]
        return i in self._rounds or i in self._again

    def at(self, dim: str, dims: Dims, name: Callable[[str], str] = index_name) -> str:
        return aligned(name(dim), (dim,), dims)

    # --- groups of statements ---

    def _pairwise(self, t: Tile, rest: Sequence[int]) -> list[str]:
        self.helpers.update(("dot", "rolled", "levels"))
        group = self._companions(t, rest)
        waiting = self._before_loop()
        known = [i for i in self._done if i not in self.added]
        sums = joined(group, self.uses, frozenset(known), frozenset(rest))
        for s in sums:
            self._grouped.update(self._up_to(s))
            self._text.pop(s.total, None)
        return [*waiting, *group_lines(Group(self, sums))]

    def _up_to(self, s: Joined) -> Iterator[int]:
        """The members of a sum, and what they are added up by."""
        for m in s.members:
            yield (i := m.index)
            while i != s.total:
                yield (i := self.uses.users_here(i)[0])

    def _before_loop(self) -> list[str]:
        """What is yet to be written where it is used, if less is held once it is computed: its user comes after a
        loop."""
        found = []
        for i in [i for i in self._done if i in self._text and self._awaited(i)]:
            inside = self._inside(i)
            taken = {a for j in inside for a in self.tiles[j].args} - inside
            freed = [a for a in taken if len(self.tiles[a].dims) > 1 and self._last(a, inside)]
            if len(self.tiles[i].dims) > 1 and len(freed) > 1:
                found.append(f"{self.names[i]} = {self._text.pop(i)[0]}")
        return found

    def _awaited(self, i: int) -> bool:
        return any(u not in self._done for u in self.uses.users_here(i))

    def _inside(self, i: int) -> set[int]:
        """A tile and what is written as part of it."""
        return {i}.union(*(self._inside(a) for a in self.tiles[i].args if a in self._text))

    def _last(self, a: int, users: set[int]) -> bool:
        """Are these the last users of a tile, which is no other name of something?"""
        plain = self.tiles[a].kind not in (Kind.RENAME, Kind.TURN, Kind.EXPAND, Kind.NUMBER)
        return (
            plain and not self.uses.asked_for(a) and all(u in users or u in self._done for u in self.uses.users_here(a))
        )

    def _companions(self, t: Tile, rest: Sequence[int]) -> tuple[Tile, ...]:
        """Operations with the same decays that follow at once and do not depend on one another."""
        found: list[Tile] = []
        for i in rest:
            o = self.tiles[i]
            if o.kind not in PAIRWISE or o.args[2] != t.args[2] or o.attr != t.attr:
                break
            if any(a in {m.index for m in found} for a in o.args):
                break
            found.append(o)
        return tuple(found)

    def _block_inverse(self, t: Tile) -> list[str]:
        self.helpers.update(("dot", "rolled"))
        side = round(len(t.args) ** 0.5)
        return block_inverse_lines(self.names[t.index], [self.text(a) for a in t.args], side, bool(t.attr), self.number)
