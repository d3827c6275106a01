"""The intermediate text of a kernel, made without a device, and what it says of the integers in it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType

from triton._C.libtriton import ir
from triton.compiler.compiler import make_backend

from recurrence_dsl.tools.resources import kernel_source

Interval = tuple[int, int]


def kernel_ir(module: ModuleType, name: str, dtype: str = "bfloat16", packed: bool = False) -> str:
    """The text that Triton makes of a kernel before any pass."""
    found, gpu, options = kernel_source(module, name, "sm_90", dtype, packed=packed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backend = make_backend(gpu)
        parsed = backend.parse_options(options)
        context = ir.context()
        ir.load_dialects(context)
        backend.load_dialects(context)
        return str(
            found.make_ir(gpu, parsed, backend.get_codegen_implementation(parsed), backend.get_module_map(), context)
        )


@dataclass(frozen=True)
class Line:
    """One operation: its results' name, its operands, and the types behind the colon."""

    name: str
    op: str
    operands: tuple[str, ...]
    rest: str

    @property
    def is_narrow(self) -> bool:
        """Is the result an integer of 32 bits?"""
        return re.search(r"(?<!\w)(?:tensor<(?:\d+x)+)?i32>?\s*$", self.rest) is not None


def lines_of(text: str) -> Iterator[Line]:
    """The operations of the kernel itself, without those of the functions that it calls."""
    body = text.split("tt.func public", 1)[1].split("\n  }", 1)[0]
    for line in re.sub(r" loc\([^)]*\)", "", body).splitlines():
        found = re.match(r"\s*(?:%(\S+?)(?::\d+)? = )?([a-z_]+\.[a-z_]+)\b(.*)", line)
        if found:
            name, op, rest = found.groups()
            yield Line(name or "", op, tuple(re.findall(r"%([\w#]+)", rest)), rest)


@dataclass
class Integers:
    """The values that integers in a kernel can have, where its text alone bounds them: those of the lines seen."""

    bounds: dict[str, Interval] = field(default_factory=dict)
    made: dict[str, Line] = field(default_factory=dict)

    def see(self, line: Line) -> None:
        """Takes the next line; a name may stand for something else than in a block before."""
        found = self._bound(line)
        if line.op == "scf.for":
            counter, first, end = line.operands[:3]
            known = first in self.bounds and end in self.bounds
            self._set(counter, line, (self.bounds[first][0], self.bounds[end][1] - 1) if known else None)
        self._set(line.name, line, found)

    def _set(self, name: str, line: Line, bounds: Interval | None) -> None:
        self.made[name] = line
        self.bounds.pop(name, None)
        if bounds is not None:
            self.bounds[name] = bounds

    def _bound(self, line: Line) -> Interval | None:
        known = [self.bounds[a] for a in line.operands if a in self.bounds]
        match line.op:
            case "arith.constant":
                number = re.match(r"\s*(?:dense<)?(-?\d+)>? : (?:tensor<[\dx]*)?i\d+", line.rest)
                return (int(number[1]), int(number[1])) if number else None
            case "tt.make_range":
                end, start = (int(re.findall(rf"{k} = (\d+)", line.rest)[0]) for k in ("end", "start"))
                return start, end - 1
            case "arith.remsi" if len(line.operands) == 2 and line.operands[1] in self.bounds:
                most = self.bounds[line.operands[1]][1] - 1
                return -most, most
        if len(known) < len(line.operands) or not known:
            return None
        match line.op:
            case "tt.splat" | "tt.broadcast" | "tt.expand_dims" | "arith.extsi" | "arith.trunci" | "arith.bitcast":
                return known[0]
            case "tt.call" if "._rolled_" in line.rest:  # it gives the number that it is given
                return known[0]
            case "arith.addi":
                (a, b), (c, d) = known
                return a + c, b + d
            case "arith.muli":
                (a, b), (c, d) = known
                corners = (a * c, a * d, b * c, b * d)
                return min(corners), max(corners)
            case _:
                return None

    def fits(self, name: str) -> bool:
        low, high = self.bounds.get(name, (-(2**63), 2**63))
        return low >= -(2**31) and high < 2**31

    def narrow_product(self, name: str, chunk: int) -> bool:
        """Does an unbounded value come from a product of 32 bits, other than a chunk's number times its tokens?"""
        line = self.made.get(name)
        if line is None or name in self.bounds or not line.is_narrow:
            return False
        if line.op == "arith.muli" and (chunk, chunk) not in [self.bounds.get(a) for a in line.operands]:
            return True
        plain = line.op.startswith(("arith.", "tt.splat", "tt.broadcast", "tt.expand_dims"))
        return plain and any(self.narrow_product(a, chunk) for a in line.operands)
