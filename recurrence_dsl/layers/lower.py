"""Lowers a typed layer graph, with every size known, to torch modules and a list of operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import nn

from .graph import (
    GROUPS,
    HEADS,
    Apply,
    At,
    CumulativeSum,
    Index,
    LayerGraph,
    Over,
    Pointwise,
    Position,
    Previous,
    Read,
    Renamed,
    Source,
    Static,
    Value,
)
from .layer import Instruction
from .modules import LAYER_FUNCTIONS
from .modules.signature import Site
from .operations import (
    EPS,
    Accumulation,
    Call,
    Constant,
    Counted,
    Drive,
    Elementwise,
    Feed,
    Learned,
    Operation,
    Permutation,
    Positions,
    PreviousToken,
    Reduction,
    Selection,
    Take,
)
from .static import evaluate


@dataclass(slots=True)
class Lowering:
    """The program so far; result 0 is the layer's input."""

    graph: LayerGraph
    sizes: Mapping[str, int]
    values: Mapping[str, float]
    modules: dict[str, nn.Module] = field(default_factory=dict)
    program: list[Instruction] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    shared: dict[tuple[str, str], int] = field(default_factory=dict)

    def run(self) -> tuple[Instruction, ...]:
        for line in self.graph.lines:
            self.lines[line.name] = self.value(line.value)
        self.value(self.graph.result)
        return freed(tuple(self.program))

    def emit(self, operation: Operation, *arguments: int) -> int:
        self.program.append(Instruction(operation, arguments))
        return len(self.program)

    def once(self, kind: str, name: str, operation: Operation, *arguments: int) -> int:
        """Emits an operation the first time that it is asked for."""
        if (kind, name) not in self.shared:
            self.shared[kind, name] = self.emit(operation, *arguments)
        return self.shared[kind, name]

    def value(self, v: Value) -> int:
        match v:
            case Static():
                return self.emit(Constant(float(evaluate(v.expression, self.values))))
            case Index():
                return self.once("index", v.axes[0], Counted(self.sizes[v.axes[0]]))
            case Position():
                return self.once("position", "", Positions())
            case Read():
                return self._read(v)
            case Previous():
                return self.once("previous", v.key, PreviousToken(v.key), self.value(v.arg))
            case Pointwise():
                spreads = tuple(missing(arg, v.axes) for arg in v.args)
                return self.emit(Elementwise(v.fn, spreads), *(self.value(arg) for arg in v.args))
            case Over():
                eps = EPS if v.eps is None else float(evaluate(v.eps, self.values))
                dims = tuple(place(v.arg, axis) for axis in v.over)
                return self.emit(Reduction(v.fn, dims, eps), self.value(v.arg))
            case CumulativeSum():
                return self.emit(Accumulation(place(v.arg, v.axis)), self.value(v.arg))
            case At():
                where = int(evaluate(v.place, self.values))
                return self.emit(Selection(place(v.arg, v.axis), where), self.value(v.arg))
            case Renamed():
                return self._renamed(v)
            case Apply():
                return self._apply(v)

    def _read(self, v: Read) -> int:
        match v.source:
            case Source.INPUT:
                return 0
            case Source.LINE:
                return self.lines[v.name]
            case Source.PARAM:
                return self.once("param", v.name, Learned(v.name))
            case Source.MIXER_PARAM:
                return self._mixer_param(v)
            case Source.OUTPUT:
                return self.once("output", v.name, Take(v.name), self._drive())

    def _mixer_param(self, v: Read) -> int:
        """A param of the mixer, whose dimensions stand in the order of its own declaration."""
        learned = next(p for p in self.graph.spec.params if p.name == v.name)
        declared = learned.axes if learned.shared else (HEADS, *learned.axes)
        held = self.once("param", f"mixer.{v.name}", Learned(f"mixer.{v.name}"))
        order = tuple(declared.index(axis) for axis in v.axes)
        return held if order == tuple(range(len(order))) else self.emit(Permutation(order), held)

    def _drive(self) -> int:
        if ("drive", "") in self.shared:
            return self.shared["drive", ""]
        spec = self.graph.spec
        feeds = tuple(self._feed(declared.name) for declared in spec.inputs)
        inputs = tuple(self.lines[declared.name] for declared in spec.inputs)
        return self.once("drive", "", Drive(feeds, tuple(output.name for output in spec.outputs)), *inputs)

    def _feed(self, name: str) -> Feed:
        declared = next(i for i in self.graph.spec.inputs if i.name == name)
        line = self.graph.line(name)
        assert line is not None
        part = GROUPS if declared.per_group else HEADS
        dims = [dim.name for dim in self.graph.spec.dims if dim.name in declared.axes]
        axes = (part, *dims)
        order = (0, 1, 2, *(3 + dims.index(axis) for axis in declared.axes))
        grouped = part == HEADS and GROUPS in line.value.axes
        repeats = self.sizes[HEADS] // self.sizes[GROUPS] if grouped else 1
        has = {*line.value.axes, *((HEADS,) if grouped else ())}
        spreads = tuple(2 + place for place, axis in enumerate(axes) if axis not in has)
        return Feed(name, spreads, line.value.timed, tuple(self.sizes[axis] for axis in axes), order, repeats)

    def _renamed(self, v: Renamed) -> int:
        renamed = tuple(v.target if axis == v.source else axis for axis in v.arg.axes)
        start = 2 if v.timed else 0
        order = (*range(start), *(start + renamed.index(axis) for axis in v.axes))
        return self.emit(Permutation(order), self.value(v.arg))

    def _apply(self, v: Apply) -> int:
        function = LAYER_FUNCTIONS[v.function]
        arg = self.value(v.arg)
        site = Site(v.path, v.arg.axes, v.axes, v.brackets, v.options, self.sizes, self.values)
        self.modules[v.path] = function.build(site)
        return self.emit(Call(v.path), arg)


def place(value: Value, axis: str) -> int:
    """The dimension that an axis of a value is."""
    return value.axes.index(axis) + (2 if value.timed else 0)


def missing(value: Value, axes: tuple[str, ...]) -> tuple[int, ...]:
    """The dimensions to insert into a value so that it has all of `axes`."""
    start = 2 if value.timed else 0
    return tuple(start + place for place, axis in enumerate(axes) if axis not in value.axes)


def freed(program: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    """Marks at each instruction the results that it is the last to read."""
    last = {argument: index for index, instruction in enumerate(program) for argument in instruction.arguments}
    return tuple(
        replace(instruction, frees=tuple(a for a in dict.fromkeys(instruction.arguments) if last[a] == index))
        for index, instruction in enumerate(program)
    )
