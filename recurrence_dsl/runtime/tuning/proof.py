"""A small problem whose result is known, on which a choice must prove itself before it may be measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor

from ...check.spec import Spec
from ...testing.case import Case
from ...testing.feeds import feeds
from ...testing.measure import Error, compare, identical, largest
from ...testing.random_inputs import cotangents, draw_inputs
from ...testing.reference import NEGLIGIBLE
from ..packed import packing, run_packed

Tensors = dict[str, Tensor]

PRODUCTS = 4.0
"""Tolerances that a choice may be off: `tolerance` admits one intermediate of the inputs' precision, kernels round
every factor of the three or four products that a result goes through. A wrong schedule is off by far more."""


@dataclass(frozen=True, slots=True)
class Call:
    """The tensors of one call, in the order of the emitted module's tables."""

    inputs: list[Tensor]
    params: list[Tensor]
    state: list[Tensor]
    cu: Tensor | None
    heads: int

    def forward(self, module: ModuleType, choice: str, keep: bool = False) -> list[Tensor]:
        return module._run_op(self.inputs, self.params, self.state, self.cu, self.heads, choice, keep)

    def backward(self, module: ModuleType, choice: str, incoming: list[Tensor]) -> list[Tensor]:
        return module._gradient_op(self.inputs, self.params, self.state, [], incoming, self.cu, self.heads, choice)

    def incoming(self, module: ModuleType, seed: int = 1) -> list[Tensor]:
        """Random gradients of outputs and last states."""
        like = [*module._outputs(self.inputs, self.heads), *module._finals(self.state)]
        drawn = cotangents({str(i): x for i, x in enumerate(like)}, seed)
        return [drawn[str(i)].to(x.dtype) for i, x in enumerate(like)]


class Proof:
    """The small problem: three chunks, the last one short, with the dtypes of a call and all of its heads."""

    def __init__(self, spec: Spec, case: Case, module: ModuleType, reference: ModuleType, like: Call) -> None:
        self.spec, self.case, self.module = spec, case, module
        drawn = draw_inputs.__wrapped__(spec, case)
        device = like.inputs[0].device
        lay = lambda given, rows, kinds: [  # noqa: E731
            given[row[0]].to(device=device, dtype=x.dtype) for row, x in zip(rows, kinds, strict=True)
        ]
        cu = torch.tensor([0, 1, 1, case.length], device=device) if like.cu is not None else None
        state = drawn.state if cu is None else {n: s.expand(3, *s.shape[1:]) for n, s in drawn.state.items()}
        self.call = Call(
            lay(drawn.inputs, module.INPUTS, like.inputs),
            lay(drawn.params, module.PARAMS, like.params),
            lay(state, module.STATES, like.state),
            cu,
            case.heads,
        )
        self.incoming = self.call.incoming(module)
        self.wanted = _reference(reference, self.call, self.incoming, module)

    def fault(self, table: str, choice: str) -> str:
        """What is wrong with a choice's result, or nothing: it must agree, repeat itself, and write every element."""
        with poisoned():
            first, second = self._results(table, choice), self._results(table, choice)
        if (moved := identical(first, second)).units > 0:
            return f"two runs differ in `{moved.name}`"
        error = self._error(table, first)
        if error.units > PRODUCTS:
            return f"`{error.name}` is off by {error.absolute:.2g}, {error.units / PRODUCTS:.2g} times what is admitted"
        return ""

    def _results(self, table: str, choice: str) -> Tensors:
        if table == "FORWARD":
            found = self.call.forward(self.module, choice)
            return {name: x.cpu() for name, x in zip(_result_names(self.module), found, strict=True)}
        found = self.call.backward(self.module, choice, self.incoming)
        return {name: x.cpu() for name, x in zip(_leaf_names(self.module), found, strict=True)}

    def _error(self, table: str, found: Tensors) -> Error:
        wanted = {name: self.wanted[name] for name in found}
        floors = self._floors() if table == "BACKWARD" else None
        return compare(found, wanted, self.case, floors=floors, dtype=self.case.torch_dtype)

    def _floors(self) -> dict[str, float]:
        """A gate's gradient is a difference of what flows through it, and inherits the rounding of these terms."""
        leaves = dict(zip(_leaf_names(self.module), _leaves(self.call), strict=True))
        slopes = {n: self.wanted[n] for n in leaves}
        flow = max((largest(leaves[n].detach().cpu() * slopes[n]) for n in leaves if n[2] != "p"), default=0.0)
        least = NEGLIGIBLE * max(largest(x) for x in self.incoming)
        gates = {f"d input {n}" for n in feeds(self.spec).gates}
        scaled = [n for n in leaves if n in gates or n.startswith("d param")]
        return dict.fromkeys(leaves, least) | dict.fromkeys(scaled, max(flow * self.case.gates.depth, least))


def _result_names(module: ModuleType) -> list[str]:
    return [f"output {row[0]}" for row in module.OUTPUTS] + [f"state {row[0]}" for row in module.STATES]


def _leaf_names(module: ModuleType) -> list[str]:
    tables = (("input", module.INPUTS), ("param", module.PARAMS), ("state", module.STATES))
    return [f"d {kind} {row[0]}" for kind, rows in tables for row in rows]


def _leaves(call: Call) -> list[Tensor]:
    return [*call.inputs, *call.params, *call.state]


def _reference(reference: ModuleType, call: Call, incoming: list[Tensor], module: ModuleType) -> Tensors:
    """Results and gradients of the torch back end in float64, on the CPU."""
    wide = lambda x: x.detach().cpu().to(torch.complex128 if x.is_complex() else torch.float64)  # noqa: E731
    leaves = [wide(x).requires_grad_() for x in _leaves(call)]
    n, p = len(call.inputs), len(call.params)
    inputs, params, state = (
        dict(zip((row[0] for row in rows), part, strict=True))
        for rows, part in (
            (module.INPUTS, leaves[:n]),
            (module.PARAMS, leaves[n : n + p]),
            (module.STATES, leaves[n + p :]),
        )
    )
    with torch.enable_grad():
        outputs, final = _run(reference, inputs, params, state, call.cu)
        results = [*(outputs[row[0]] for row in module.OUTPUTS), *(final[row[0]] for row in module.STATES)]
        weighed = [(r, wide(w)) for r, w in zip(results, incoming, strict=True) if r.requires_grad]
        slopes = torch.autograd.grad([r for r, _ in weighed], leaves, [w for _, w in weighed], materialize_grads=True)
    found = dict(zip(_result_names(module), (r.detach() for r in results), strict=True))
    return found | dict(zip(_leaf_names(module), slopes, strict=True))


def _run(
    reference: ModuleType, inputs: Tensors, params: Tensors, state: Tensors, cu: Tensor | None
) -> tuple[Tensors, Tensors]:
    if cu is None:
        return reference.run(inputs, params, state)
    length = next(iter(inputs.values())).shape[1]
    packed = packing(cu.cpu(), 1, length)
    return run_packed(lambda rows, before: reference.run(rows, params, before), packed, inputs, state)


@contextmanager
def poisoned() -> Iterator[None]:
    """New tensors hold NaN until they are written."""
    enabled = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled[0], warn_only=enabled[1])
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]


def small_case(spec: Spec, choices: object, block: int, dtype: torch.dtype, packed: bool) -> Case:
    """Shapes of the small problem for a mixer's choices."""
    length = 2 * max(block, 16) + 5
    return Case(
        batch=1 if packed else 2,
        length=length,
        heads=choices.heads,  # type: ignore[attr-defined]
        groups=choices.groups,  # type: ignore[attr-defined]
        sizes=tuple((d.name, choices.sizes[d.name]) for d in spec.dims),  # type: ignore[attr-defined]
        dtype=str(dtype).removeprefix("torch."),
        consts=tuple(choices.consts.items()),  # type: ignore[attr-defined]
        seed=1,
    )


__all__ = ["Call", "Mapping", "Proof", "poisoned", "small_case"]
