"""What a caller of `compile` may choose, checked: sizes, heads, back end, form."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..check.spec import Spec
from ..diagnostics import CallError
from ..interpreter.binding import representative
from ..maths.recurrence import Recurrence
from ..options import QUIET, TRITON_INTERPRET

if TYPE_CHECKING:
    from torch import Tensor

BACKENDS = ("auto", "torch", "triton", "interpreter")
FORMS = ("auto", "chunk", "recurrent")


@dataclass(frozen=True, slots=True)
class Choices:
    """A checked and completed choice; `why` says how "auto" was resolved."""

    heads: int
    groups: int
    sizes: Mapping[str, int]
    consts: Mapping[str, float]
    backend: str
    form: str
    chunk_size: int | None
    why: str = ""
    fallback: bool = False  # triton was chosen by "auto": what it does not take goes to torch


def split_options(spec: Spec, options: Mapping[str, float]) -> tuple[dict[str, int], dict[str, float]]:
    """Keyword arguments of `compile` into sizes of dims and values of consts."""
    dims, consts = {d.name for d in spec.dims}, {c.name for c in spec.consts}
    for name in options:
        if name not in dims | consts:
            known = ", ".join(sorted(dims | consts))
            raise CallError("R0401", f"`{spec.name}` has no dim or const `{name}`", f"it has {known}")
    sizes = {n: _whole(n, v) for n, v in options.items() if n in dims}
    return _completed(spec, sizes), {n: _finite(n, v) for n, v in options.items() if n in consts}


def _whole(name: str, value: object, least: int = 1) -> int:
    number = _number(value)
    if isinstance(value, bool) or not number.is_integer() or number < least:
        raise CallError("R0402", f"`{name}` is {value!r}", f"give a whole number of at least {least}")
    return int(number)


def _finite(name: str, value: object) -> float:
    number = _number(value)
    if not math.isfinite(number):
        raise CallError("R0402", f"the const `{name}` is {value!r}", "give a finite number")
    return number


def _number(value: object) -> float:
    """The value as a number; NaN where it is none."""
    try:
        return math.nan if isinstance(value, str) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return math.nan


def _completed(spec: Spec, given: dict[str, int]) -> dict[str, int]:
    """Every dim's size: as given, by its default, or as an axis that it is renamed from or to."""
    sizes: dict[str, int] = {}
    for d in spec.dims:
        same = [e.name for e in spec.dims if representative(e.name, spec) == representative(d.name, spec)]
        found = {n: given[n] for n in same if n in given}
        if len(set(found.values())) > 1:
            raise CallError("R0402", f"{found} differ, but one axis is renamed to the other", "give one size to both")
        size = next(iter(found.values()), d.default)
        if size is None:
            raise CallError("R0401", f"no size for dim `{d.name}` of `{spec.name}`", f"add `{d.name}=64`, say")
        sizes[d.name] = size
    return sizes


def choose(
    recurrence: Recurrence,
    sizes: Mapping[str, int],
    consts: Mapping[str, float],
    *,
    heads: int,
    groups: int,
    backend: str,
    form: str,
    chunk_size: int | None,
) -> Choices:
    """The choices resolved. Raises CallError for one that cannot be honoured."""
    heads, groups = _whole("heads", heads), _whole("groups", groups)
    if heads % groups:
        raise CallError("R0402", f"{heads} heads do not divide into {groups} groups", "make heads a multiple of groups")
    if groups > 1 and not any(i.per_group for i in recurrence.spec.inputs):
        raise CallError(
            "R0407", f"groups={groups}, but `{recurrence.spec.name}` has no `per group` input", "leave it out"
        )
    _one_of("backend", backend, BACKENDS)
    _one_of("form", form, FORMS)
    chosen_backend, backend_why = _backend(backend)
    chosen_form, form_why = _form(recurrence, form) if chosen_backend != "interpreter" else _token_by_token(form)
    if chunk_size is not None:
        _whole("chunk_size", chunk_size)
        if chosen_form != "chunk":
            raise CallError("R0407", "chunk_size has no meaning in the recurrent form", "leave it out")
        if chosen_backend == "triton" and (chunk_size < 16 or chunk_size & (chunk_size - 1)):
            raise CallError("R0402", f"`chunk_size` is {chunk_size}", "the triton back end takes 16, 32, 64 or 128")
    why = "; ".join(w for w in (backend_why, form_why) if w)
    fallback = backend == "auto" and chosen_backend == "triton"
    return Choices(heads, groups, sizes, consts, chosen_backend, chosen_form, chunk_size, why, fallback)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise CallError("R0407", f"{name}={value!r} is none of {', '.join(allowed)}", "choose one of them")


def _form(recurrence: Recurrence, form: str) -> tuple[str, str]:
    if form == "chunk" and not recurrence.chunked:
        raise CallError(
            "R0407",
            f"`{recurrence.spec.name}` has no chunk form: {recurrence.reason}",
            "use form='auto' or 'recurrent'",
        )
    if form == "auto":
        chosen = "chunk" if recurrence.chunked else "recurrent"
        return chosen, f"form {chosen}, since {recurrence.reason}"
    return form, ""


def _token_by_token(form: str) -> tuple[str, str]:
    if form == "chunk":
        raise CallError("R0407", "the interpreter goes token by token", "use form='auto', or backend='torch'")
    return "recurrent", ""


def _backend(backend: str) -> tuple[str, str]:
    if backend == "triton" and not triton_installed():
        raise CallError("R0407", "the triton back end needs the package `triton`", "install it, or use backend='torch'")
    if backend == "auto":
        if triton_installed() and has_gpu():
            return "triton", "back end triton, since there is a GPU (on a CPU's tensors torch)"
        return "torch", "back end torch, which runs on every device"
    return backend, ""


def triton_installed() -> bool:
    """Can triton be imported? It is not imported here."""
    return importlib.util.find_spec("triton") is not None


def unfit(like: Tensor) -> tuple[str, str, str] | None:
    """Why the triton back end does not take a tensor: a message's code, text and help; None where it does."""
    import torch

    if like.dtype in (torch.float64, torch.complex128):
        return "R0404", f"the triton back end does not take {like.dtype}", "convert to float32, or use backend='torch'"
    if like.device.type != "cuda" and not interpreting():
        return "R0405", f"the triton back end needs a GPU; the inputs are on {like.device}", "use backend='torch' there"
    return None


def interpreting() -> bool:
    """Does Triton run its kernels in Python, on a CPU's tensors?"""
    return TRITON_INTERPRET.flag()


def has_gpu() -> bool:
    """Is there a device that Triton compiles for?"""
    import torch

    return torch.cuda.is_available()


_announced: set[str] = set()


def announce(spec: Spec, choices: Choices) -> None:
    """Says on stderr, once a choice, what "auto" chose and why."""
    text = f"recurrence_dsl: {spec.name}: {choices.why}"
    if choices.why and text not in _announced and not QUIET.flag():
        _announced.add(text)
        print(text, file=sys.stderr)
