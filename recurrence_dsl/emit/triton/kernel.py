"""A slice of a block program, and how it walks over the chunks -> the text of one kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from ...check.spec import Spec
from ...program.ops import COL, ROW, TERM
from ...program.step import carried_names
from ...schedule.preparing import Stored, stored_values
from ...schedule.pressure import block_of
from ...schedule.splits import separable
from ...schedule.spread import GROUP, USUAL_WARPS, Spread, kinds_of
from ...schedule.tasks import Start, Task, Walk
from .flat_states import flat_dims
from .loops import Segment, along, segments
from .lower import Setting, lower
from .memory import Memory, Tensor, tensors
from .order import Sizes, element_count, needed, root
from .printer import TilePrinter
from .reorder import bettered
from .rounds import loop_lines
from .shapes import Layout, aligned, index_name
from .tiles import PAIRWISE, Dims, Kind, Source, Tile
from .uses import Uses


@dataclass(frozen=True, slots=True)
class Split:
    axis: str
    block: str
    count: str
    size: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the template writes; every field holds names or finished statements."""

    name: str
    doc: str
    walk: str
    pointers: tuple[str, ...]
    strides: tuple[str, ...]
    row_strides: tuple[str, ...]
    constants: tuple[str, ...]
    splits: tuple[Split, ...]
    axes: tuple[str, ...]
    offsets: tuple[str, ...]
    static: tuple[str, ...]
    start: tuple[str, ...]
    keeps: tuple[str, ...]
    chunk_offsets: tuple[str, ...]
    body: tuple[str, ...]
    advance: tuple[str, ...]
    finish: tuple[str, ...]
    stages: str = ""
    partial: tuple[str, ...] = ()
    helpers: frozenset[str] = frozenset()

    @property
    def rolls(self) -> bool:
        """Are there loops inside?"""
        return "rolled" in self.helpers

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """Each split's block and the size of its axis."""
        return tuple((s.block, s.size) for s in self.splits)


_TIMELESS = frozenset((Kind.NUMBER, Kind.HEAD, Kind.MAP, Kind.EXPAND, Kind.SUM, Kind.MAX, Kind.RENAME, Kind.MASK))


class KernelPrinter:
    """Prints one task for given sizes of the axes. `chunk` is what the order of statements is planned for."""

    def __init__(self, spec: Spec, sizes: Mapping[str, int], task: Task, chunk: int, blocks: Mapping[str, int]) -> None:
        self.spec, self.sizes, self.task = spec, sizes, task
        least = self.least()
        full = {a: block_of(s, least) for a, s in sizes.items()}
        masked = frozenset(a for a, s in sizes.items() if full[a] != s)
        self.layout = Layout(
            {a: f"B_{a}" if a in task.splits or a == task.loop else str(full[a]) for a in sizes}, masked
        )
        self.tensors = {**tensors(spec, sizes)}
        for p in spec.params:
            self.tensors[f"param:{p.name}"] = self.tensors[p.name]
        self.tensors |= {n: Tensor(n, *self.kept_axes(x)) for n, x in stored_values(task.program).items()}
        self.names = carried_names(spec)
        self.tiles = lower(task.program, Setting(masked | {ROW, COL}, self.carried()))
        self.flats = flat_dims(self.tiles)
        counts = {
            **full,
            **{a: blocks.get(a, full[a]) for a in (*task.splits, *([task.loop] if task.loop else []))},
            ROW: chunk,
            COL: chunk,
        }
        self.segments = segments(self.tiles, task.loop)
        self.counted = element_count(counts)
        self.order = self.plan_order(self.counted)
        separate = frozenset(a for a in task.splits if separable(task.program, a))
        walks = task.walk is not Walk.PARALLEL
        self.memory = Memory(self.tensors, self.layout, walks, task.splits, task.partial, separate)
        self.printer = TilePrinter(self.tiles, self.all_tiles(), self.layout, self.place, self.taken())
        self.printer.sparing = task.loop is not None
        for t in self.tiles.tiles:
            if t.kind is Kind.CARRIED and t.index in self.printer.names:
                assert isinstance(t.attr, Source)
                self.printer.names[t.index] = self.register(t.attr.name, t.attr.part)

    def kept_axes(self, x: Stored) -> tuple[Dims, tuple[int, ...]]:
        """The axes of what kernels store for one another, and how large they are: tiles of pairs of tokens, or what
        each token has of the terms and the spec's axes."""
        if x.pairs:
            return (ROW, COL), (x.tiles,)
        return (TERM, *x.axes), (x.tiles, *(self.sizes[a] for a in x.axes))

    def plan_order(self, sizes: Sizes) -> dict[Segment, tuple[int, ...]]:
        """Each segment's tiles in order."""
        costs = Spread(self.tiles, kinds_of(self.tiles), sizes, USUAL_WARPS)
        uses = Uses(self.tiles, tuple(sorted(needed(self.tiles))))
        found = {}
        for at, s in enumerate(self.segments):
            later = {a for o in self.segments[at + 1 :] for i in o.tiles for a in self.tiles.tiles[i].args}
            kept = (later & s.tiles) | (s.stored - self.stored_at_once())
            uses.sums, uses.later = s.sums, frozenset(later)
            found[s] = bettered(self.tiles, sizes, s.tiles, kept, uses.summands(s.tiles), costs)
        return found

    def all_tiles(self) -> tuple[int, ...]:
        """Every tile of the kernel, in the order in which it is first computed."""
        return tuple(dict.fromkeys(i for order in self.order.values() for i in order))

    def least(self) -> int:
        """The smallest block of an axis: what a product of matrices takes, where there is one."""
        tiles = lower(self.task.program, Setting(frozenset({ROW, COL, *self.sizes})))
        found = needed(tiles)
        return 16 if any(tiles.tiles[i].kind in (Kind.DOT, *PAIRWISE) for i in found) else 1

    def carried(self) -> frozenset[str]:
        """Leaves that stay in registers."""
        match self.task.walk:
            case _ if self.task.cached:
                return frozenset()
            case Walk.FORWARD:
                return frozenset(self.names)
            case Walk.REVERSE:
                return frozenset(f"state:{n}" for n in self.names)
            case Walk.PARALLEL:
                return frozenset()

    def taken(self) -> set[str]:
        """Names that no tile may have."""
        kinds = (
            "in",
            "param",
            "out",
            "init",
            "end",
            "kept",
            "grad",
            "grad_end",
            "d",
            "d_init",
            "kept_d",
            "now",
            "held",
            "made",
        )
        names = {f"{k}_{n}" for k in kinds for n in self.tensors}
        return names | {f"{p}_{a}" for p in "im" for a in self.sizes} | {"share", "UNITS", "ROWS", "RATIO"}

    # --- memory ---

    def place(self, source: Source, dims: Dims) -> tuple[str, str]:
        kind = {"input": "in", "param": "param", "state": "kept", "stored": "made"}.get(source.kind)
        name = source.name
        if kind is None:
            of, name = source.name.split(":")
            kind = "grad" if of == "output" else "held" if self.task.cached else "kept_d"
        return self.memory.pointer(kind, name, source.part, dims)

    def register(self, name: str, part: int) -> str:
        """The variable of a state, or of its cotangent, that the walk carries."""
        plain = name.removeprefix("state:")
        ending = ("_im" if part else "_re") if self.tensors[plain].is_complex else ""
        return f"now_{plain}{ending}"

    def flat(self, name: str, part: int, text: str) -> str:
        """A state as the walk carries it."""
        dims = self.flats.get((name, part))
        return f"tl.reshape({text}, {self.layout.shape(dims)})" if dims else text

    def whole(self, name: str, part: int, dims: Dims) -> str:
        """What the walk carries, with all its dims."""
        register = self.register(name, part)
        flat = (name, part) in self.flats
        return f"tl.reshape({register}, {self.layout.shape(dims)})" if flat else register

    def store(self, kind: str, source: Source, value: str, dims: Dims) -> str:
        pointer, mask = self.memory.pointer(kind, source.name, source.part, dims)
        guard = f", mask={mask}" if mask else ""
        return f"tl.store({pointer}, {value}{guard})"

    # --- parts of the kernel ---

    def static(self) -> frozenset[int]:
        """Tiles that neither time nor the state changes."""
        found: set[int] = set()
        for i in self.all_tiles():
            t = self.tiles.tiles[i]
            if along(t, self.task.loop):
                continue
            timeless = not {ROW, COL} & set(t.dims)
            of_param = t.kind is Kind.LOAD and isinstance(t.attr, Source) and t.attr.kind == "param"
            if timeless and (of_param or (t.kind in _TIMELESS and all(a in found for a in t.args))):
                found.add(i)
        return frozenset(found)

    def states(self) -> list[tuple[str, int, Dims]]:
        """Name, part and dims of everything that the walk carries."""
        found = []
        for name in self.names:
            tensor = self.tensors[name]
            dims = tuple(a for a in (d.name for d in self.spec.dims) if a in tensor.axes)
            found += [(name, part, dims) for part in range(2 if tensor.is_complex else 1)]
        return found

    def results(self, kinds: tuple[str, ...]) -> list[tuple[Source, Tile]]:
        return [(r.target, self.tiles.tiles[r.tile]) for r in self.tiles.results if r.target.kind in kinds]

    def value(self, t: Tile) -> str:
        return self.printer.fit(t.index, t.dims)[0]

    def body_lines(self, static: frozenset[int]) -> list[str]:
        """The statements of all segments, with the stores of results that are neither carried nor summed up."""
        lines: list[str] = []
        known: set[int] = set()
        for at, s in enumerate(self.segments):
            later = {a for o in self.segments[at + 1 :] for i in o.tiles - s.tiles for a in self.tiles.tiles[i].args}
            order = [i for i in self.order[s] if i not in static]
            found = self.printer.lines(order, s.sums, later, self.held_loads(s), self.stores)
            found += [x for i in sorted(s.stored.difference(order)) for x in self.stores(i)]
            found += self.late_stores(s)
            if s.looped:
                found = [*self.printer.beginnings(s.sums, known), *self.block_lines(found)]
            known |= later & (s.sums if s.looped else s.tiles)
            lines += found
        return lines

    def held_loads(self, s: Segment) -> frozenset[int]:
        """Loads outside a loop that registers would hold for its products: those of few rows take their factors from
        there, others from shared memory."""
        found: set[int] = set()
        for t in (self.tiles.tiles[i] for i in s.tiles if s.looped):
            if t.kind is Kind.DOT and not t.attr and self.counted((t.dims[0],)) < GROUP:
                found.update(root(self.tiles, a) for a in t.args)
        loads = (self.tiles.tiles[i] for i in found)
        return frozenset(t.index for t in loads if t.kind is Kind.LOAD and not along(t, self.task.loop))

    def block_lines(self, inside: list[str]) -> list[str]:
        """Statements for each block of the axis that is looped over."""
        axis = self.task.loop
        if axis is None:
            return inside
        start, block = f"start_{axis}", f"B_{axis}"
        self.printer.helpers.add("rolled")
        body = [*self.axis_lines(axis, f"{start} + "), *inside]
        return loop_lines(start, f"0, {self.sizes[axis]}, {block}", body, block)

    def stores(self, i: int) -> list[str]:
        """The stores of a tile that is an output, a gradient of an input, or of a param in a parallel kernel."""
        found = []
        for r in self.tiles.results:
            kind = self.written.get(r.target.kind)
            if r.tile == i and kind is not None:
                text = self.store(kind, r.target, self.value(self.tiles.tiles[i]), self.tiles.tiles[i].dims)
                # a walk stores for others as it stores states: where they are wanted
                found.append(f"if KEEP: {text}" if r.target.kind == "stored" and self.sequential else text)
        return found

    def late_stores(self, s: Segment) -> list[str]:
        """The stores of what a cached walk carries, which may be read until the end."""
        found = [(x, t) for x, t in self.results(("dstate",)) if self.task.cached and t.index in s.stored]
        return [self.store("next", x, self.value(t), t.dims) for x, t in found]

    @property
    def written(self) -> dict[str, str]:
        """What is stored as soon as it is computed, and nothing in the kernel reads: kinds of results, and of
        tensors."""
        kinds = {"output": "out", "dinput": "d", "stored": "made"}
        return kinds if self.sequential else {**kinds, "dparam": "d"}

    def stored_at_once(self) -> frozenset[int]:
        """Results that need not be held once they are computed."""
        held = {r.tile for r in self.tiles.results if r.target.kind not in self.written}
        return frozenset(r.tile for r in self.tiles.results if r.tile not in held)

    @property
    def sequential(self) -> bool:
        return self.task.walk is not Walk.PARALLEL

    def print(self) -> Kernel:
        static, task = self.static(), self.task
        static_lines = self.printer.lines([i for i in self.all_tiles() if i in static])
        body = self.body_lines(static)
        carry = self.cached_lines if task.cached else self.carry_lines
        start, advance, finish = carry() if self.sequential else ((), (), ())
        keeps = self.keep_lines() if self.sequential and task.keep else []
        sums, more_start, more_finish = self.param_lines() if self.sequential else ([], [], [])
        memory = self.memory
        return Kernel(
            name=task.name,
            doc=task.doc,
            walk=task.walk.value,
            pointers=memory.pointers(),
            strides=memory.strides("b", "h"),
            row_strides=memory.strides("t"),
            constants=tuple(f"B_{a}" for a in (*task.splits, *([task.loop] if task.loop else []))),
            splits=tuple(self.split(a) for a in task.splits),
            axes=self.all_axis_lines(),
            offsets=tuple(memory.offsets(per_chunk=False)),
            static=tuple(static_lines),
            start=(*start, *more_start),
            chunk_offsets=tuple(memory.offsets(per_chunk=True)),
            keeps=tuple(keeps),
            body=(*body, *sums),
            advance=tuple(advance),
            finish=(*finish, *more_finish),
            stages=", num_stages=1" if task.cached else "",
            partial=tuple(sorted(task.partial)),
            helpers=frozenset(self.printer.helpers),
        )

    def split(self, axis: str) -> Split:
        size = self.sizes[axis]
        return Split(axis, f"B_{axis}", f"(({size} + B_{axis} - 1) // B_{axis})", size)

    def all_axis_lines(self) -> tuple[str, ...]:
        """Positions along the axes, and their masks, but for the axis of the loops."""
        used = {p for i in self.all_tiles() for d in self.tiles.tiles[i].dims for p in d.split("*")}
        if self.sequential:
            used |= {a for _, _, dims in self.states() for a in dims}
        return tuple(x for a in self.sizes if a in used and a != self.task.loop for x in self.axis_lines(a))

    def axis_lines(self, axis: str, start: str = "") -> list[str]:
        found = [] if axis in self.task.splits else [f"i_{axis} = {start}tl.arange(0, {self.layout.blocks[axis]})"]
        return found + ([f"m_{axis} = i_{axis} < {self.sizes[axis]}"] if axis in self.layout.masked else [])

    def carry_lines(self) -> tuple[list[str], list[str], list[str]]:
        """Statements that load what the walk carries, replace it after a chunk, and store it in the end."""
        forward = self.task.walk is Walk.FORWARD
        first, last, kind = ("init", "end", "state") if forward else ("grad_end", "d_init", "dstate")
        values = {(s.name, s.part): t for s, t in self.results((kind,))}
        start, new, advance, finish = [], [], [], []
        for name, part, dims in self.states():
            register = self.register(name, part)
            start.append(f"{register} = {self.flat(name, part, self.start_value(first, name, part, dims))}")
            if (name, part) in values:
                new.append(f"next_{register} = {self.value(values[name, part])}")
                advance.append(f"{register} = next_{register}")
            elif not forward:  # nothing depends on the state before the chunk
                advance.append(f"{register} = tl.zeros_like({register})")
            finish.append(self.store(last, Source(kind, name, part), self.whole(name, part, dims), dims))
        return start, [*new, *advance], finish

    def cached_lines(self) -> tuple[list[str], list[str], list[str]]:
        """As `carry_lines`, for a walk back that carries what lies in memory. What a thread has stored
        others read: a barrier comes between, and no load may be moved before it."""
        stored = {(s.name, s.part) for s, _ in self.results(("dstate",))}
        start, gone, finish = [], [], []
        for name, part, dims in self.states():
            source = Source("dstate", name, part)
            start.append(self.store("begin", source, self.start_value("grad_end", name, part, dims), dims))
            if (name, part) not in stored:
                gone.append(self.store("next", source, f"tl.zeros({self.layout.shape(dims)}, tl.float32)", dims))
            finish.append(self.store("d_init", source, self.start_value("left", name, part, dims), dims))
        barrier, loop = "tl.debug_barrier()", self.block_lines
        return [*loop(start), barrier], [*(loop(gone) if gone else ()), barrier], loop(finish)

    def start_value(self, kind: str, name: str, part: int, dims: Dims) -> str:
        """What a walk begins with."""
        shape = self.layout.shape(dims)
        mask = self.memory.mask(dims)
        match self.task.start:
            case Start.GIVEN:
                pointer, mask = self.memory.pointer(kind, name, part, dims)
                return f"tl.load({pointer}{f', mask={mask}, other=0.0' if mask else ''}).to(tl.float32)"
            case Start.ZERO:
                return f"tl.zeros({shape}, tl.float32)"
            case Start.ONES:
                ones = f"tl.full({shape}, {0.0 if part else 1.0}, tl.float32)"
                return f"tl.where({mask}, {ones}, 0.0)" if mask else ones
            case Start.IDENTITY:
                row, column = (self.axis_position(d, dims) for d in dims)
                return f"tl.where({' & '.join([f'({row} == {column})', *([mask] if mask else [])])}, 1.0, 0.0)"
            case _:
                assert_never(self.task.start)

    def axis_position(self, axis: str, dims: Dims) -> str:
        return aligned(index_name(axis), (axis,), dims)

    def keep_lines(self) -> list[str]:
        kind = "kept" if self.task.walk is Walk.FORWARD else "kept_d"
        return [self.store(kind, Source("state", n, p), self.whole(n, p, dims), dims) for n, p, dims in self.states()]

    def param_lines(self) -> tuple[list[str], list[str], list[str]]:
        """Statements that add up the gradients of params over the walk."""
        body, start, finish = [], [], []
        for source, t in self.results(("dparam",)):
            total = f"sum_{source.name}" + ("_im" if source.part else "")
            start.append(f"{total} = tl.zeros({self.layout.shape(t.dims)}, tl.float32)" if t.dims else f"{total} = 0.0")
            body.append(f"{total} += {self.value(t)}")
            finish.append(self.store("d", source, total, t.dims))
        return body, start, finish


__all__ = ["Kernel", "KernelPrinter"]
