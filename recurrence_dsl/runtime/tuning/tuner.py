"""Tunes a mixer's kernels when they are first called with tensors of some kind and size."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ...diagnostics import CallError
from ...options import QUIET, TUNE
from ...testing.measure import identical
from . import store
from .alternatives import alternatives
from .clock import Clock, seconds
from .proof import Call, Proof, small_case
from .search import Bench, Search

if TYPE_CHECKING:
    from ..mixer import Mixer

PASSES = ("FORWARD", "BACKWARD")
_LOCK = threading.RLock()
_failed: dict[tuple[str, str], str] = {}


def _on_gpu(x: Tensor) -> bool:
    return x.device.type == "cuda"


@dataclass(slots=True)
class Tuner:
    """How things are measured, and where. `bench` and `clock` can be replaced by ones that need no device."""

    clock: Clock = seconds
    wanted: Callable[[Tensor], bool] = _on_gpu
    bench: Callable[[Mixer, ModuleType, Call, str, Clock], Bench] = field(default=lambda *given: CallBench(*given))
    say: Callable[[str], None] = field(default=lambda line: print(line, file=sys.stderr))


TUNER = Tuner()


class CallBench:
    """Proves choices on a small problem and times them on a call's own tensors."""

    def __init__(self, mixer: Mixer, module: ModuleType, call: Call, table: str, clock: Clock) -> None:
        self.module, self.call, self.table, self.clock = module, call, table, clock
        kinds = {x.dtype for x in call.inputs}
        low = next((k for k in (torch.bfloat16, torch.float16) if k in kinds), torch.float32)
        case = small_case(mixer.spec, mixer.choices, module.BLOCK, low, call.cu is not None)
        self.proof = Proof(mixer.spec, case, module, mixer.kernels_of("torch"), call)
        self.incoming = call.incoming(module) if table == "BACKWARD" else []

    def fault(self, choice: str) -> str:
        return self.proof.fault(self.table, choice) or self._restless(choice)

    def _restless(self, choice: str) -> str:
        """A race may show at the call's own size alone."""
        first, second = (dict(enumerate(self._run(choice))) for _ in range(2))
        moved = identical({str(i): x for i, x in first.items()}, {str(i): x for i, x in second.items()})
        return "two runs of the call differ" if moved.units > 0 else ""

    def seconds(self, choice: str) -> float:
        return self.clock(lambda: self._run(choice), self.call.inputs[0].device)

    def _run(self, choice: str) -> list[Tensor]:
        if self.table == "FORWARD":
            return self.call.forward(self.module, choice)
        return self.call.backward(self.module, choice, self.incoming)


def adopt(module: ModuleType) -> ModuleType:
    """Gives a freshly loaded module the choices that are known for it, shipped or measured here before, and a way to
    say what it chose itself."""
    for key, choice in store.known(module.NAME).items():
        if _fits(module, key, choice):
            module.TUNED[key] = choice
    vars(module)["say"] = lambda line: _say(module.NAME, line)
    return module


def _fits(module: ModuleType, key: str, choice: str) -> bool:
    """Does the choice name a plan, kernels and settings that the module has? The chunk is not open to choice: other
    kernels read what one stores for it."""
    table = key.partition(" ")[0]
    plan, *changes = choice.split() or [""]
    parts = [(*c.partition("=")[0].partition(".")[::2], c.partition("=")[2]) for c in changes]
    own = {kernel: set(settings) - {"C", "LEVELS"} for kernel, settings in module.SETTINGS.items()}
    known = all(s in own.get(kernel, ()) and v.isdigit() for kernel, s, v in parts)
    return table in PASSES and plan in getattr(module, table) and known


def ready(mixer: Mixer, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor], cu: Tensor | None) -> None:
    """Sees to it that a call's kernels have been chosen. Raises CallError where none of them gives the right result.

    Nothing is measured while a trace is made or a CUDA graph captured, nor where `RECURRENCE_TUNE=0`.
    """
    module = mixer.kernels_of("triton")
    tensors = [inputs[row[0]] for row in module.INPUTS]
    if not TUNER.wanted(tensors[0]) or _watched(tensors):
        return
    keys = {t: module.tuning_key(t, tensors, cu, mixer.choices.heads) for t in _passes(mixer, inputs, state)}
    if all(key in module.TUNED for key in keys.values()):
        return
    call = _call(mixer, module, tensors, state, cu)
    with _LOCK, torch.no_grad():
        for table, key in keys.items():
            if key not in module.TUNED:
                module.TUNED[key] = _decided(mixer, module, call, table, key)


def _passes(mixer: Mixer, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Only the forward pass, where no gradient will be asked for."""
    leaves = (*inputs.values(), *state.values(), *mixer.parameters()) if torch.is_grad_enabled() else ()
    return PASSES if any(x.requires_grad for x in leaves) else PASSES[:1]


def _call(
    mixer: Mixer, module: ModuleType, tensors: Sequence[Tensor], state: Mapping[str, Tensor], cu: Tensor | None
) -> Call:
    """The call's tensors, detached, in the order of the module's tables."""
    params = dict(mixer.named_parameters())
    return Call(
        [x.detach() for x in tensors],
        [params[row[0]].detach() for row in module.PARAMS],
        [state[row[0]].detach() for row in module.STATES],
        cu,
        mixer.choices.heads,
    )


def _watched(tensors: Sequence[Tensor]) -> bool:
    """Is someone recording what is run?"""
    if torch.compiler.is_compiling() or any(type(x) not in (Tensor, nn.Parameter) for x in tensors):
        return True
    return _on_gpu(tensors[0]) and torch.cuda.is_current_stream_capturing()


def _decided(mixer: Mixer, module: ModuleType, call: Call, table: str, key: str) -> str:
    """The fastest choice, remembered on disk; the plan by rule where tuning is off."""
    if not TUNE.flag():
        return module.plan_by_rule(table, call.inputs, call.cu, call.heads)
    if (module.NAME, key) not in _failed:
        _line(
            mixer, f"measuring kernels for {key}; once, then kept in {store.folder()} (RECURRENCE_TUNE=0: not at all)"
        )
        found = Search(
            module.offered(table, call.inputs, call.cu, call.heads),
            alternatives(mixer.recurrence, mixer.choices),
            TUNER.bench(mixer, module, call, table, TUNER.clock),
            lambda line: _line(mixer, line),
        ).best()
        if found is not None:
            store.remember(module.NAME, key, found)
            return found
        _failed[module.NAME, key] = f"no kernel of `{mixer.spec.name}` gives the reference's result for {key}"
    raise CallError("R0411", _failed[module.NAME, key], "use backend='torch', or another version of triton")


def _line(mixer: Mixer, text: str) -> None:
    _say(mixer.spec.name, text)


def _say(name: str, text: str) -> None:
    if not QUIET.flag():
        TUNER.say(f"recurrence_dsl: {name}: {text}")
