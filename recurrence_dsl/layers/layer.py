"""The compiled layer: from the model's stream to the recurrence and back, in parallel or token by token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..diagnostics import CallError
from .flow import Flow, State
from .graph import LayerGraph
from .operations import Operation


@dataclass(frozen=True, slots=True)
class Instruction:
    """An operation, the results that it reads, and those that nothing reads any more."""

    operation: Operation
    arguments: tuple[int, ...]
    frees: tuple[int, ...] = ()


class Layer(nn.Module):
    """The layer block of a spec as a torch module: x [B, T, D] -> y [B, T, D].

    Its modules are named after the lines that hold them (`q.linear.weight`), those of the `return` line after `out`;
    the recurrence is `mixer`, and the block's params are its own. Made by `compile_layer`.
    """

    def __init__(
        self,
        graph: LayerGraph,
        mixer: nn.Module,
        modules: Mapping[str, nn.Module],
        params: Mapping[str, nn.Parameter],
        program: tuple[Instruction, ...],
        sizes: Mapping[str, int],
    ) -> None:
        super().__init__()
        self.graph, self.program, self.sizes = graph, program, dict(sizes)
        self.d_model = sizes[graph.model_axis]
        for name, param in params.items():
            self.register_parameter(name, param)
        for path, module in modules.items():
            line, _, function = path.partition(".")
            if line not in self._modules:
                self.add_module(line, nn.Module())
            self.get_submodule(line).add_module(function, module)
        self.mixer = mixer
        self._carried: frozenset[str] | None = None

    def forward(
        self,
        x: Tensor,
        state: Mapping[str, Tensor] | None = None,
        return_state: bool = False,
        cu_seqlens: Tensor | None = None,
    ) -> Any:
        """x [B, T, D] -> y [B, T, D], or (y, state after the last token) when `return_state`.

        `state` is what an earlier call returned: the two calls then give what one call on the joined rows would.
        `cu_seqlens` [N + 1] packs N sequences into one row (B = 1); the state then has N entries.
        """
        self._fits(x, 3, "[B, T, D]")
        if cu_seqlens is not None and x.shape[0] != 1:
            raise CallError("R0513", f"packed sequences stand in one row, but the batch is {x.shape[0]}")
        self._continues(state)
        flow = Flow(x, state, cu_seqlens)
        y = self._run(x, flow)
        return (y, flow.after) if return_state else y

    def step(self, x: Tensor, state: Mapping[str, Tensor] | None = None) -> tuple[Tensor, State]:
        """One token, x [B, D] -> (y [B, D], state), by the recurrence itself."""
        self._fits(x, 2, "[B, D]")
        self._continues(state)
        flow = Flow(x[:, None], state, step=True)
        return self._run(x[:, None], flow).squeeze(1), flow.after

    def initial_state(self, batch: int) -> State:
        """The state before the first token: what no tokens at all leave behind."""
        first = next(self.parameters())
        empty = torch.zeros(batch, 0, self.d_model, dtype=first.dtype, device=first.device)
        with torch.no_grad():
            return cast(State, self.forward(empty, return_state=True)[1])

    def _run(self, x: Tensor, flow: Flow) -> Tensor:
        results: list[Any] = [x]
        for instruction in self.program:
            arguments = tuple(results[place] for place in instruction.arguments)
            results.append(instruction.operation.run(self, flow, arguments))
            for place in instruction.frees:
                results[place] = None
        return results[-1]

    def _fits(self, x: Tensor, rank: int, wanted: str) -> None:
        name = self.graph.input
        if not isinstance(x, Tensor):
            raise CallError("R0513", f"the layer's input `{name}` is a {type(x).__name__}, not a torch.Tensor")
        own = {p.dtype for p in self.parameters()}
        if own and x.dtype not in own and not torch.is_autocast_enabled(x.device.type):
            weights = " or ".join(sorted(str(d) for d in own))
            message = f"the layer's input `{name}` is {x.dtype}, its weights are {weights}"
            raise CallError("R0513", message, "convert one of them, or use torch.autocast")
        if x.ndim != rank or x.shape[-1] != self.d_model:
            raise CallError(
                "R0513",
                f"the layer's input `{name}` is {wanted} with D = {self.d_model}, not {list(x.shape)}",
            )

    def _continues(self, state: Mapping[str, Tensor] | None) -> None:
        """A state that is handed in has the names of those that come out."""
        if state is None or torch.compiler.is_compiling():
            return
        if not isinstance(state, Mapping):
            raise CallError("R0513", f"the layer's state is a {type(state).__name__}, not a dict", "pass what it gave")
        if self._carried is None:
            self._carried = frozenset(self.initial_state(1))
        if self._carried != set(state):
            wanted, given = (", ".join(sorted(map(str, names))) or "none" for names in (self._carried, state))
            raise CallError("R0513", f"the layer's state holds {given}; it needs {wanted}", "pass what it gave")

    @property
    def across_layers(self) -> tuple[str, ...]:
        """Params that are one tensor for all layers of a model."""
        return tuple(param.name for param in self.graph.params if "layers" in param.axes)

    def extra_repr(self) -> str:
        return ", ".join(f"{axis}={size}" for axis, size in self.sizes.items())
