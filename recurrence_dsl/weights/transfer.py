"""Moves tensors between a compiled layer or model and the names of a published format, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..diagnostics import CallError
from ..layers import LanguageModel, Layer
from .mapping import Entry, Format, read_format

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a transfer found. `missing` and `misshaped` are about tensors that were wanted, `unmatched` about others."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unmatched: tuple[str, ...]
    misshaped: tuple[tuple[str, Shape, Shape], ...]

    @property
    def complete(self) -> bool:
        return not (self.missing or self.unmatched or self.misshaped)

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} tensors fit"]
        lines += [f"missing: {name}" for name in self.missing]
        lines += [f"unmatched: {name}" for name in self.unmatched]
        lines += [f"misshaped: {name} is {list(has)}, wanted {list(want)}" for name, has, want in self.misshaped]
        return "\n".join(lines)


def load(
    target: Layer | LanguageModel, tensors: Mapping[str, Tensor], format: str | Format, *, strict: bool = True
) -> Report:
    """Copies a checkpoint's tensors into a layer or a model, in place, and says what did not fit.

    Raises CallError, with the report, when `strict` and something is missing, unmatched or of another shape; nothing is
    copied then.
    """
    own, aliases = _own(target)
    entries = entries_of(target, format, own)
    missing, misshaped, copies = [], [], {}
    for entry in entries:
        wanted = entry_shape(entry, [tuple(own[name].shape) for name in entry.ours])
        found = tensors.get(entry.theirs)
        if found is None:
            missing += [(entry.theirs, entry.ours)]
        elif tuple(found.shape) != wanted:
            misshaped += [(entry.theirs, tuple(found.shape), wanted)]
        else:
            copies |= zip(entry.ours, parts(entry, found, [own[name].shape for name in entry.ours]), strict=True)
    filled = {aliases[name] for name in copies}
    absent = [theirs for theirs, ours in missing if any(aliases[name] not in filled for name in ours)]
    unmapped = [name for name in own if aliases[name] not in filled | {aliases[n] for e in entries for n in e.ours}]
    known = {entry.theirs for entry in entries}
    report = Report(
        tuple(e.theirs for e in entries if e.theirs in tensors and all(n in copies for n in e.ours)),
        (*absent, *(f"(none for {name})" for name in unmapped)),
        tuple(name for name in tensors if name not in known),
        tuple(misshaped),
    )
    if strict and not report.complete:
        raise CallError("R0907", f"the checkpoint does not fit\n{report}")
    with torch.no_grad():
        for name, tensor in copies.items():
            own[name].copy_(tensor)
    return report


def export(source: Layer | LanguageModel, format: str | Format) -> dict[str, Tensor]:
    """A layer's or a model's tensors under the names of a format; a tensor that two names share is given once."""
    own, aliases = _own(source)
    exported: dict[str, Tensor] = {}
    seen: set[str] = set()
    for entry in entries_of(source, format, own):
        owners = {aliases[name] for name in entry.ours}
        if not owners <= seen:
            exported[entry.theirs] = joined(entry, [own[name] for name in entry.ours])
        seen |= owners
    return exported


def entries_of(target: Layer | LanguageModel, format: str | Format, own: Mapping[str, Tensor]) -> tuple[Entry, ...]:
    """The format's entries for a whole model, or for a layer by itself, whose tensors are `own`.

    Raises CallError where the format is about other tensors, that is, made for another spec.
    """
    chosen = read_format(format) if isinstance(format, str) else format
    whole = isinstance(target, LanguageModel)
    entries = chosen.model_entries(len(target.blocks)) if whole else chosen.layer_entries()
    strange = [name for entry in entries for name in entry.ours if name not in own]
    if strange:
        raise CallError(
            "R0906",
            f"the checkpoint format `{chosen.name}` is for the spec `{chosen.spec}`; there is no `{strange[0]}` here",
            "take the format that was made for this spec",
        )
    return entries


def joined(entry: Entry, ours: list[Tensor]) -> Tensor:
    """Their tensor from ours."""
    flat = [t if entry.merge is None else t.flatten(entry.merge, entry.merge + 1) for t in ours]
    joint = torch.stack(flat, entry.dim) if entry.stack else torch.cat(flat, entry.dim)
    return joint[(None,) * entry.ones] if entry.ones else joint


def parts(entry: Entry, theirs: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
    """Our tensors from theirs."""
    flat = [_merged(entry, tuple(shape)) for shape in shapes]
    theirs = theirs[(0,) * entry.ones] if entry.ones else theirs
    if entry.stack:
        pieces = list(theirs.unbind(entry.dim))
    else:
        pieces = list(theirs.split([shape[entry.dim] for shape in flat], entry.dim))
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def entry_shape(entry: Entry, shapes: list[Shape]) -> Shape:
    """The shape of their tensor, given the shapes of ours."""
    flat = [_merged(entry, shape) for shape in shapes]
    ones = (1,) * entry.ones
    if entry.stack:
        return (*ones, *flat[0][: entry.dim], len(flat), *flat[0][entry.dim :])
    joint = list(flat[0])
    joint[entry.dim] = sum(shape[entry.dim] for shape in flat)
    return (*ones, *joint)


def _merged(entry: Entry, shape: Shape) -> Shape:
    if entry.merge is None:
        return shape
    at = entry.merge
    return (*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :])


def _own(module: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The module's tensors by every name, and for each name the first name of the same tensor."""
    own = dict(module.named_parameters(remove_duplicate=False))
    first: dict[int, str] = {}
    return dict(own), {name: first.setdefault(id(tensor), name) for name, tensor in own.items()}
