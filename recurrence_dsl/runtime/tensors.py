"""Checks a call's tensors against a spec, so that no wrong shape reaches a kernel."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..check.spec import Declared, Input, Spec
from ..diagnostics import CallError
from ..options import DEBUG
from .choices import Choices

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
COMPLEX = (torch.complex64, torch.complex128)


class Checker:
    """The shapes that one mixer's tensors must have."""

    def __init__(self, spec: Spec, choices: Choices) -> None:
        self.spec, self.choices = spec, choices
        self.debug = DEBUG.flag()

    def _shape(self, d: Declared, lead: Sequence[int | str]) -> tuple[int | str, ...]:
        grouped = isinstance(d, Input) and d.per_group
        heads = self.choices.groups if grouped else self.choices.heads
        return (*lead, heads, *(self.choices.sizes[a] for a in d.axes))

    def inputs(self, given: Mapping[str, Tensor], *, step: bool) -> None:
        """[B, T, H, *axes], or [B, H, *axes] for one token; one batch size, length, device; floating dtypes."""
        _expect(given, tuple(i.name for i in self.spec.inputs), "input", "R0406", required=True)
        lead: list[int] | None = None
        for i in self.spec.inputs:
            x = given[i.name]
            self._tensor(i.name, x)
            self._kind(f"input `{i.name}`", x, i.is_complex)
            names = ["B"] if step else ["B", "T"]
            known: Sequence[int | str] = lead if lead is not None else names
            want = self._shape(i, known)
            _fit(f"input `{i.name}`", x, want, [*names, "G" if i.per_group else "H", *i.axes])
            lead = list(x.shape[: len(names)])
        _one_device({i.name: given[i.name] for i in self.spec.inputs})
        if self.debug:
            for i in self.spec.inputs:
                _keeps_promise(i, given[i.name])

    def state(self, given: object, carried: Sequence[Declared], batch: int, device: torch.device) -> None:
        """[B, H, *axes] for each state and for each other value that is read at [t-1]."""
        if not isinstance(given, Mapping):
            names = ", ".join(f'"{d.name}": ..' for d in carried)
            raise CallError("R0408", f"the state is a {type(given).__name__}, not a dict", f"pass {{{names}}}")
        _expect(given, tuple(d.name for d in carried), "state", "R0408", required=True)
        for d in carried:
            x = given[d.name]
            self._tensor(d.name, x)
            self._kind(f"initial state `{d.name}`", x, getattr(d, "is_complex", False))
            want = self._shape(d, (batch,))
            grouped = isinstance(d, Input) and d.per_group
            _fit(f"initial state `{d.name}`", x, want, ["B", "G" if grouped else "H", *d.axes], "R0408")
            if x.device != device:
                raise CallError(
                    "R0405", f"initial state `{d.name}` is on {x.device}, the inputs on {device}", "move it"
                )

    def _tensor(self, name: str, x: object) -> None:
        if not isinstance(x, Tensor):
            raise CallError("R0406", f"`{name}` is a {type(x).__name__}, not a torch.Tensor", "pass a tensor")
        if x.is_nested or x.layout is not torch.strided:
            kind = "nested" if x.is_nested else str(x.layout).removeprefix("torch.")
            raise CallError(
                "R0404", f"`{name}` is a {kind} tensor", "pass a dense one; sequences of unequal length: cu_seqlens"
            )

    def _kind(self, what: str, x: Tensor, is_complex: bool) -> None:
        allowed = (*DTYPES, *COMPLEX) if is_complex else DTYPES
        if x.dtype not in allowed:
            listed = ", ".join(str(d).removeprefix("torch.") for d in allowed)
            raise CallError("R0404", f"{what} is {x.dtype}", f"convert it to one of {listed}")


def by_name(unnamed: Sequence[object]) -> None:
    """Inputs have names, not places."""
    if unnamed:
        raise CallError("R0406", f"{len(unnamed)} input(s) without a name", "pass every input by name, as in `q=q`")


def _expect(given: Mapping[str, object], names: Sequence[str], what: str, code: str, *, required: bool) -> None:
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            listed = ", ".join(f"`{n}`" for n in names) or "none"
            help = f"did you mean `{near[0]}`?" if near else f"the {what}s are {listed}"
            raise CallError(code, f"unknown {what} `{name}`", help)
    missing = [n for n in names if n not in given]
    if missing and required:
        raise CallError(code, f"missing {what} {', '.join(f'`{n}`' for n in missing)}", f"pass `{missing[0]}=..`")


def _fit(what: str, x: Tensor, want: Sequence[int | str], names: Sequence[str], code: str = "R0403") -> None:
    fits = x.dim() == len(want) and all(isinstance(w, str) or n == w for n, w in zip(x.shape, want, strict=True))
    if not fits:
        shown = ", ".join(str(w) for w in want)
        raise CallError(
            code,
            f"{what} has shape {list(x.shape)}, expected [{shown}]",
            f"its layout is [{', '.join(names)}]",
        )


def _keeps_promise(i: Input, x: Tensor) -> None:
    """Every number inside the declared range, and none of them NaN where there is one."""
    if i.is_complex or x.numel() == 0 or (math.isinf(i.low) and math.isinf(i.high)):
        return
    low, high = x.detach().amin().item(), x.detach().amax().item()
    fits = (i.low < low if i.low_open else i.low <= low) and (high < i.high if i.high_open else high <= i.high)
    if not fits:
        bounds = f"{'(' if i.low_open else '['}{i.low:g}, {i.high:g}{')' if i.high_open else ']'}"
        raise CallError(
            "R0410", f"input `{i.name}` holds numbers from {low:g} to {high:g}", f"the spec promises {bounds}"
        )


def _one_device(tensors: Mapping[str, Tensor]) -> None:
    for name, x in tensors.items():
        first, other = next(iter(tensors.items()))
        if x.device != other.device:
            raise CallError(
                "R0405", f"input `{name}` is on {x.device}, `{first}` on {other.device}", "move one of them"
            )
