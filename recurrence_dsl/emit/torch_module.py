"""Programs -> the text of a torch module: printed statements put into a template that holds the loops."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import jinja2

from ..check.spec import Spec
from ..program.ops import Op, Program, Value, only
from ..program.step import carried_names, is_complex
from ..resources import templates
from ..schedule.phases import phases
from .layout import packed, unpacked
from .names import docstring, operator_name
from .torch_narrow import Leaves, may_stay_narrow, narrow_results
from .torch_pointwise import handed_over
from .torch_printer import TorchPrinter
from .torch_release import released
from .torch_shapes import Sizes

_UNNAMED = "@unique@"
"""Stands for the operators' name until the text is known: equal names must mean equal operators."""


@dataclass(frozen=True, slots=True)
class Function:
    """One printed program: the lines of what is computed once a call, and of what is computed for each block."""

    name: str
    doc: str
    static: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A row of the emitted file's tables."""

    name: str
    axes: tuple[int, ...]
    order: tuple[int, ...]
    per_group: bool = False
    shared: bool = False
    is_complex: bool = False


@dataclass(frozen=True, slots=True)
class Programs:
    """What a module is printed from; in the recurrent form `body` is `step` itself."""

    body: Program
    backward: Program
    step: Program


def torch_source(spec: Spec, programs: Programs, sizes: dict[str, int], heads: int, about: dict[str, object]) -> str:
    """The module's text: it imports torch alone and runs by itself."""
    printed = _Module(spec, programs, sizes)
    functions = printed.functions()
    context: dict[str, object] = {
        "spec": spec.name,
        "doc": docstring(spec.doc),
        "origin": spec.source.name,
        "digest": digest(spec),
        "heads": heads,
        "sizes": tuple(sizes.items()),
        "tables": printed.tables(),
        "functions": functions,
        "carry_needs": printed.carry_needs,
        "helpers": printed.helpers(),
        "unique_name": _UNNAMED,
        "recurrent": programs.body is programs.step,
        "phased": printed.phased,
        "narrow": bool(printed.narrow),
        **about,
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates() / "torch"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("module.py.jinja").render(context)
    return text.replace(_UNNAMED, operator_name(spec.name, text))


def digest(spec: Spec) -> str:
    """A short hash of the spec's text."""
    return hashlib.sha256(spec.source.text.encode()).hexdigest()[:12]


def _from_later(v: Value) -> bool:
    """Backwards, the gradient of the state comes from the chunk after."""
    return v.op is Op.COTANGENT and str(v.attr).startswith("state:")


class _Module:
    def __init__(self, spec: Spec, programs: Programs, sizes: dict[str, int]) -> None:
        self.spec, self.programs = spec, programs
        whole = any(v.op in (Op.SCAN, Op.SHIFT) for v in programs.body.values)
        self.phased = programs.body is not programs.step and not whole
        self.sizes = Sizes(sizes)
        self.narrow = self._narrow()
        self.used: set[str] = set()
        self.carry_needs: dict[str, dict[str, bool]] = {}
        self.carried = carried_names(spec)

    def _narrow(self) -> frozenset[str]:
        """Inputs that keep a single entry for all heads where they have a single group."""
        grouped = frozenset(i.name for i in self.spec.inputs if i.per_group)
        whole = (self.programs.body, self.programs.backward)
        return grouped if self.phased and all(may_stay_narrow(p, grouped) for p in whole) else frozenset()

    def functions(self) -> tuple[Function, ...]:
        p = self.programs
        forward_keys = (self._keys("output", self.spec.outputs), tuple(f"state:{n}" for n in self.carried))
        gradient_keys = (
            self._keys("input", self.spec.inputs),
            self._keys("param", self.spec.params),
            tuple(f"state:{n}" for n in self.carried),
        )
        if self.phased:
            found = self._phased("forward", p.body, lambda v: v.op is Op.STATE, forward_keys)
            found += self._phased("gradient", p.backward, _from_later, gradient_keys)
        else:
            advance = only(p.body, lambda key: key.startswith("state:"))
            found = [
                self._function("forward", p.body, "A block's outputs and the state after it.", forward_keys),
                self._function("advance", advance, "The state after a block.", ((), forward_keys[1])),
                self._function(
                    "gradient", p.backward, "Gradients of a block's inputs, params and state.", gradient_keys
                ),
            ]
        if p.step is not p.body:
            found.append(self._function("step", p.step, "One token's outputs and the state after it.", forward_keys))
        return tuple(found)

    def _phased(
        self, name: str, program: Program, sequential: Callable[[Value], bool], keys: tuple[tuple[str, ...], ...]
    ) -> list[Function]:
        """One function for each phase; `keys` ends with the states."""
        p = phases(program, sequential)
        keep = lambda names: tuple(f"keep:{n}" for n in names)  # noqa: E731
        needs = "The state after a chunk, and what else needs the state before it."
        early = (keep(p.to_carry), keep(p.to_finish))
        handed = handed_over(p.prepare)
        first = Leaves(narrow=self.narrow)
        second = Leaves(handed - set(p.to_finish), self.narrow | narrow_results(p.prepare, first))
        third = Leaves(handed - set(p.to_carry), second.narrow | narrow_results(p.carry, second))
        received = (*p.to_finish, *p.carried)
        self.carry_needs[name] = {
            "inputs": any(v.op is Op.INPUT and v.attr not in p.to_carry for v in p.carry.values),
            "state": any(v.op is Op.STATE for v in p.carry.values),
            "coming": any(v.op is Op.COTANGENT and not _from_later(v) for v in p.carry.values),
        }
        return [
            self._function(f"{name}_prepare", p.prepare, "What needs no carried state.", early, (), first),
            self._function(f"{name}_carry", p.carry, needs, (keys[-1], keep(p.carried)), p.to_carry, second),
            self._function(f"{name}_finish", p.finish, "The results.", keys[:-1], received, third),
        ]

    def helpers(self) -> tuple[str, ...]:
        folder = templates() / "torch" / "support"
        return tuple((folder / f"{name}.py").read_text().rstrip() for name in sorted(self.used))

    def tables(self) -> dict[str, tuple[Tensor, ...]]:
        spec = self.spec
        return {
            "INPUTS": tuple(self._tensor(i.name, i.axes, per_group=i.per_group) for i in spec.inputs),
            "PARAMS": tuple(self._tensor(p.name, p.axes, shared=p.shared) for p in spec.params),
            "STATES": tuple(self._tensor(n, self._axes(n), per_group=self._grouped(n)) for n in self.carried),
            "OUTPUTS": tuple(self._tensor(o.name, o.axes) for o in spec.outputs),
        }

    def _grouped(self, name: str) -> bool:
        return any(i.name == name and i.per_group for i in self.spec.inputs)

    def _axes(self, name: str) -> tuple[str, ...]:
        spec = self.spec
        return next(d.axes for d in (*spec.states, *spec.inputs, *spec.lets, *spec.outputs) if d.name == name)

    def _tensor(self, name: str, axes: tuple[str, ...], *, per_group: bool = False, shared: bool = False) -> Tensor:
        layout = tuple(d.name for d in self.spec.dims if d.name in axes)
        order = tuple(axes.index(a) for a in layout)
        sizes = tuple(self.sizes.axes[a] for a in axes)
        return Tensor(name, sizes, order, per_group, shared, is_complex(self.spec, name))

    def _keys(self, kind: str, declared: tuple[object, ...]) -> tuple[str, ...]:
        return tuple(f"{kind}:{d.name}" for d in declared)  # type: ignore[attr-defined]

    def _function(
        self,
        name: str,
        program: Program,
        doc: str,
        keys: tuple[tuple[str, ...], ...],
        kept: tuple[str, ...] = (),
        leaves: Leaves | None = None,
    ) -> Function:
        printer = TorchPrinter(program, self.sizes, in_place=leaves is not None, leaves=leaves)
        static, lines = printer.body(static=True), printer.body(static=False)
        given = {(v.op, str(v.attr)): printer.names[v.index] for v in program.values}
        named = lambda op, names: [given.get((op, n), "_") for n in names]  # noqa: E731
        params = unpacked(named(Op.PARAM, [p.name for p in self.spec.params]), "params")
        coming = [*self._keys("output", self.spec.outputs), *(f"state:{n}" for n in self.carried)]
        opening = (
            *unpacked(named(Op.INPUT, [i.name for i in self.spec.inputs]), "inputs"),
            *params,
            *unpacked(named(Op.STATE, self.carried), "state"),
            *unpacked(named(Op.COTANGENT, coming), "incoming"),
            *unpacked(named(Op.INPUT, kept), "kept"),
            *unpacked(printer.crossing(), "static"),
        )
        self.used |= printer.helpers
        results = self._results(printer, program, keys)
        lines = released(lines, results) if leaves is not None else lines
        return Function(
            name,
            doc,
            (*params, *static, *packed("return ", printer.crossing())),
            (*opening, *lines, *results),
        )

    def _results(self, printer: TorchPrinter, program: Program, keys: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
        """A tuple for each group of keys; None where the program has no such result."""
        present = {k for k, _ in program.outputs}
        groups = [[printer.result(k) if k in present else "None" for k in group] for group in keys]
        names = ("first", "second", "third")[: len(groups)]
        lines = [line for n, group in zip(names, groups, strict=True) for line in packed(f"{n} = ", group)]
        return (*lines, f"return {', '.join(names)}")
