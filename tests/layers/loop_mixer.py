"""A mixer that evaluates a spec token by token: what layers are tested around, apart from the compiler."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import recurrence_dsl.interpreter  # noqa: F401
from recurrence_dsl.check.spec import Spec
from recurrence_dsl.initialise import draw_params
from recurrence_dsl.layers.build import build_layer
from recurrence_dsl.layers.layer import Layer
from recurrence_dsl.testing.token_loop import token_loop


class LoopMixer(nn.Module):
    """The interface of a compiled mixer over the token loop."""

    def __init__(self, spec: Spec, heads: int, groups: int = 1, **numbers: float) -> None:
        super().__init__()
        self.spec, self.heads, self.groups = spec, heads, groups
        self.sizes = {dim.name: int(numbers[dim.name]) for dim in spec.dims}
        self.consts = {const.name: numbers[const.name] for const in spec.consts if const.name in numbers}
        drawn = draw_params(spec, np.random.default_rng(0), sizes=self.sizes, heads=heads, consts=self.consts)
        for name, value in drawn.items():
            self.register_parameter(name, nn.Parameter(torch.tensor(value, dtype=torch.get_default_dtype())))

    def forward(
        self,
        *,
        initial_state: Any = None,
        return_state: bool = False,
        cu_seqlens: Tensor | None = None,
        **inputs: Tensor,
    ) -> Any:
        if cu_seqlens is not None:
            outputs, state = self._packed(inputs, initial_state, cu_seqlens)
        else:
            outputs, state = self._run(inputs, initial_state)
        result = next(iter(outputs.values())) if len(outputs) == 1 else outputs
        return (result, state) if return_state else result

    def step(self, state: Any, **inputs: Tensor) -> Any:
        outputs, state = self._run({name: value[:, None] for name, value in inputs.items()}, state)
        taken = {name: value[:, 0] for name, value in outputs.items()}
        return (next(iter(taken.values())) if len(taken) == 1 else taken), state

    def _run(self, inputs: dict[str, Tensor], state: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return token_loop(
            self.spec,
            inputs,
            dict(self.named_parameters()),
            state,
            sizes=self.sizes,
            heads=self.heads,
            groups=self.groups,
            consts=self.consts,
        )

    def _packed(self, inputs: dict[str, Tensor], state: Any, cu_seqlens: Tensor) -> tuple[dict, dict]:
        bounds = cu_seqlens.tolist()
        parts = [
            self._run(
                {name: value[:, start:end] for name, value in inputs.items()},
                {name: value[i : i + 1] for name, value in state.items()} if state else None,
            )
            for i, (start, end) in enumerate(pairwise(bounds))
        ]
        outputs = {name: torch.cat([part[0][name] for part in parts], 1) for name in parts[0][0]}
        return outputs, {name: torch.cat([part[1][name] for part in parts]) for name in parts[0][1]}


def loop_layer(spec: Spec, **options: Any) -> Layer:
    """A layer of the spec around a `LoopMixer`."""
    named = ("d_model", "heads", "groups", "layer_index", "layers")
    given = {name: options.pop(name) for name in named if name in options}
    return build_layer(spec, LoopMixer, **given, sizes=options)
