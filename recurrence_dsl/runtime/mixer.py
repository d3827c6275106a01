"""The compiled mixer as a torch module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..check.spec import Spec
from ..diagnostics import CallError
from ..initialise import draw_params
from ..interpreter.binding import remembered
from ..maths.recurrence import Recurrence
from .choices import Choices, announce, unfit
from .conversion import Conversion, on_parts
from .kernels import build, zero_state
from .packed import checked_ends, packing, run_packed
from .tensors import Checker, by_name
from .tuning import adopt, ready

Tensors = dict[str, Tensor]


class Mixer(nn.Module):
    """A spec's recurrence for fixed sizes. The spec's params are its parameters, [H, *axes] or, if shared, [*axes].

    Call it with every input by name, [B, T, H, *axes] (`per group`: [B, T, G, *axes]), in float32, bfloat16, float16 or
    float64; the state is kept in float32 at least.
    """

    def __init__(self, recurrence: Recurrence, choices: Choices) -> None:
        super().__init__()
        self.recurrence, self.choices = recurrence, choices
        self.checker = Checker(self.spec, choices)
        self._kernels: dict[str, ModuleType] = {}
        for name, value in self.drawn().items():
            kind = torch.complex64 if np.iscomplexobj(value) else torch.float32
            self.register_parameter(name, nn.Parameter(torch.as_tensor(value).to(kind)))
        announce(self.spec, choices)

    @property
    def spec(self) -> Spec:
        return self.recurrence.spec

    @property
    def kernels(self) -> ModuleType:
        """The emitted module; `.kernels.__file__` is its source."""
        return self.kernels_of(self.choices.backend)

    def kernels_of(self, backend: str) -> ModuleType:
        """The module that a back end, torch or triton, emitted."""
        if backend not in self._kernels:
            module = build(self.recurrence, replace(self.choices, backend=backend))
            self._kernels[backend] = adopt(module) if backend == "triton" else module
        return self._kernels[backend]

    def backend(self, like: Tensor) -> str:
        """The back end for tensors like this one. Raises CallError for one that the triton back end does not take."""
        chosen = self.choices.backend
        if chosen != "triton":
            return chosen
        reason = unfit(like)
        if reason is None:
            return chosen
        if self.choices.fallback:
            return "torch"
        raise CallError(*reason)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kernels": {}}

    def extra_repr(self) -> str:
        c = self.choices
        sizes = ", ".join(f"{n}={s}" for n, s in c.sizes.items())
        return f"{self.spec.name}, heads={c.heads}, {sizes}, backend={c.backend}, form={c.form}"

    def drawn(self) -> dict[str, np.ndarray]:
        """A fresh draw of every param, from torch's random numbers."""
        seed = int(torch.randint(2**31, (1,)))
        rng = np.random.default_rng(seed)
        return draw_params(
            self.spec, rng, sizes=self.choices.sizes, heads=self.choices.heads, consts=self.choices.consts
        )

    def reset_parameters(self) -> None:
        """Draws every param again from its initialiser."""
        with torch.no_grad():
            for name, value in self.drawn().items():
                self.get_parameter(name).copy_(torch.as_tensor(value))

    def initial_state(self, batch: int, *, dtype: torch.dtype = torch.float32, device: Any = None) -> Tensors:
        """The state before the first token: zeros, [B, H, *axes] for each state and each value read at [t-1]."""
        return zero_state(self.spec, self.choices, batch, dtype, device)

    def forward(
        self,
        *unnamed: object,
        initial_state: Mapping[str, Tensor] | None = None,
        return_state: bool = False,
        cu_seqlens: Tensor | None = None,
        **inputs: Tensor,
    ) -> Any:
        """Outputs [B, T, H, *axes]: a tensor, or a dict where the spec has several; with `return_state` also the state.

        `cu_seqlens` [N + 1] packs N sequences into one row (B = 1); states then have one entry a sequence, [N, H, ..].
        Raises CallError where a tensor's name, shape, dtype or device does not fit.
        """
        by_name(unnamed)
        self.checker.inputs(inputs, step=False)
        batch, length, first = self._extent(inputs)
        if cu_seqlens is not None and self.backend(first) == "triton":
            ends = checked_ends(cu_seqlens, batch, length)
            state = self._state(initial_state, ends.numel() - 1, first)
            if self._prepared(inputs, state, ends):
                outputs, final = self.kernels_of("triton").run(inputs, self._params(), state, cu_seqlens=ends)
                return self._answer(outputs, final, return_state)
        packed = packing(cu_seqlens, batch, length) if cu_seqlens is not None else None
        count = batch if packed is None else len(packed.lengths)
        state = self._state(initial_state, count, first)
        run = lambda rows, before: self._run(rows, before)  # noqa: E731
        outputs, final = run(inputs, state) if packed is None else run_packed(run, packed, inputs, state)
        return self._answer(outputs, final, return_state)

    def step(self, state: Mapping[str, Tensor] | None, *unnamed: object, **inputs: Tensor) -> tuple[Any, Tensors]:
        """One token: inputs [B, H, *axes] -> (outputs [B, H, *axes], next state). `None` starts from zeros."""
        by_name(unnamed)
        self.checker.inputs(inputs, step=True)
        first = next(iter(inputs.values()))
        before = self._state(state, first.shape[0], first)
        backend = self.backend(first)
        if backend == "triton" and not self._printed():
            backend = "torch"
        if backend == "interpreter":
            rows, final = self._run({n: x.unsqueeze(1) for n, x in inputs.items()}, before)
            outputs = {n: o.squeeze(1) for n, o in rows.items()}
        else:
            outputs, final = self.kernels_of(backend).step(inputs, self._params(), before)
        return self._answer(outputs, final, True)

    # --- inside ---

    def _apply(self, fn: Conversion, recurse: bool = True) -> Mixer:
        """What torch's `to`, `double`, `cuda`, .. are made of."""
        return super()._apply(on_parts(fn), recurse)

    def _params(self) -> Tensors:
        return dict(self.named_parameters())

    def _extent(self, inputs: Mapping[str, Tensor]) -> tuple[int, int, Tensor]:
        first = next(iter(inputs.values()))
        return first.shape[0], first.shape[1], first

    def _state(self, given: Mapping[str, Tensor] | None, batch: int, like: Tensor) -> Tensors:
        if given is None:
            wide = like.dtype in (torch.float64, torch.complex128)
            return self.initial_state(batch, dtype=torch.float64 if wide else torch.float32, device=like.device)
        self.checker.state(given, remembered(self.spec), batch, like.device)
        return dict(given)

    def _run(self, inputs: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        backend = self.backend(next(iter(inputs.values())))
        if backend == "interpreter":
            from ..testing.token_loop import token_loop

            c = self.choices
            return token_loop(
                self.spec, inputs, self._params(), state, heads=c.heads, groups=c.groups, sizes=c.sizes, consts=c.consts
            )
        if backend == "triton" and not self._prepared(inputs, state, None):
            backend = "torch"
        return self.kernels_of(backend).run(inputs, self._params(), state)

    def _prepared(self, inputs: Tensors, state: Tensors, cu_seqlens: Tensor | None) -> bool:
        """Have the kernels for such a call been chosen? Where none gives the right result, "auto" turns to torch."""
        if torch.compiler.is_compiling():
            return True
        return self._printed() and self._possible(lambda: ready(self, inputs, state, cu_seqlens))

    def _printed(self) -> bool:
        """Are there kernels for this spec? Where there are none, "auto" turns to torch."""
        return self._possible(lambda: self.kernels_of("triton"))

    def _possible(self, attempt: Callable[[], object]) -> bool:
        try:
            attempt()
        except CallError as error:
            if error.code not in ("R0411", "R0412") or not self.choices.fallback:
                raise
            why = f"back end torch from here on: {error}"
            self.choices = replace(self.choices, backend="torch", fallback=False, why=why)
            announce(self.spec, self.choices)
            return False
        return True

    def _answer(self, outputs: Tensors, final: Tensors, return_state: bool) -> Any:
        answer = outputs if len(outputs) > 1 else next(iter(outputs.values()))
        return (answer, final) if return_state else answer
