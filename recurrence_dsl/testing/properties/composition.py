"""However a sequence is cut up, the result is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from ...check.spec import Spec
from .. import reference, subject
from ..case import Case
from ..finding import Property
from ..measure import Error, worst
from ..random_inputs import Drawn, cotangents, draw_inputs
from .agreement import against_slopes, against_values

CHUNK_SIZES = (1, 2, 7, 16, 64)


def any_chunk_size(spec: Spec, case: Case) -> Error:
    """Several chunk sizes, in values and gradients."""
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    errors = list[Error]()
    for size in dict.fromkeys((case.chunk_size, *CHUNK_SIZES)):
        mixer = subject.build(spec, replace(case, chunk_size=size), drawn.params)
        found = (
            against_values(spec, case, subject.run(mixer, drawn.inputs, drawn.state)),
            against_slopes(spec, case, subject.gradients(mixer, drawn, weights)),
        )
        errors += [replace(error, name=f"chunk size {size}, {error.name}") for error in found]
    return worst(errors)


def split(spec: Spec, case: Case) -> Error:
    """Two parts with the state carried over, in values and gradients."""
    drawn = draw_inputs(spec, case)
    cut = case.seed % (case.length + 1)
    mixer = subject.build(spec, case, drawn.params)
    values = against_values(spec, case, _in_parts(mixer, drawn.inputs, drawn.state, (0, cut, case.length)))
    inputs, state = ({n: t.clone().requires_grad_() for n, t in group.items()} for group in (drawn.inputs, drawn.state))
    leaves = {f"input:{n}": t for n, t in inputs.items()} | {f"param:{n}": t for n, t in mixer.named_parameters()}
    leaves |= {f"state:{n}": t for n, t in state.items()}
    results = _in_parts(mixer, inputs, state, (0, cut, case.length))
    slopes = against_slopes(spec, case, subject.slopes(results, leaves, reference.weights(spec, case)))
    return worst((values, slopes))


def packed(spec: Spec, case: Case) -> Error:
    """Sequences of unequal length in one row, some of them empty, against each of them alone, gradients too."""
    row, bounds = replace(case, batch=1), packing(case)
    drawn = draw_inputs(spec, row)
    starts = draw_inputs(spec, replace(case, batch=len(bounds) - 1, length=0)).state
    mixer, ends = subject.build(spec, case, drawn.params), torch.tensor(bounds)
    together = subject.run(mixer, drawn.inputs, starts, cu_seqlens=ends)
    weights = cotangents(together, case.seed + 1)
    slopes = subject.gradients(mixer, replace(drawn, state=starts), weights, cu_seqlens=ends)
    parts = list[tuple[Case, Drawn, dict[str, Tensor]]]()
    for i, (a, b) in enumerate(pairwise(bounds)):
        its = {n: w[:, a:b] if n.startswith("output:") else w[i : i + 1] for n, w in weights.items()}
        state = {n: t[i : i + 1] for n, t in starts.items()}
        parts.append((replace(row, length=b - a), replace(drawn.tokens(a, b), state=state), its))
    values = _joined([reference.results(spec, part, of) for of, part, _ in parts])
    wanted = _joined([reference.slopes_of(spec, part, of, its) for of, part, its in parts])

    def values_slack() -> Mapping[str, float]:
        return _added([reference.values_slack(spec, of, part) for of, part, _ in parts])

    def slopes_slack() -> Mapping[str, float]:
        return _added([reference.slopes_slack(spec, of, part, its) for of, part, its in parts])

    of_values = against_values(spec, row, together, values, values_slack)
    return worst((of_values, against_slopes(spec, row, slopes, wanted, slopes_slack)))


def _added(parts: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(part[name] for part in parts) for name in parts[0]}


def _joined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """What sequences have alone, as a packed row has it: params' gradients added, the rest one after another."""
    named = {name: [part[name] for part in parts] for name in parts[0]}
    along = lambda name: 1 if name.startswith(("output:", "input:")) else 0  # noqa: E731
    return {
        name: torch.stack(found).sum(0) if name.startswith("param:") else torch.cat(found, dim=along(name))
        for name, found in named.items()
    }


def steps(spec: Spec, case: Case) -> Error:
    """One token at a time through `step`."""
    drawn = draw_inputs(spec, case)
    mixer = subject.build(spec, case, drawn.params)
    state: Mapping[str, Tensor] = drawn.state
    columns = list[dict[str, Tensor]]()
    for t in range(case.length):
        outputs, state = subject.step(mixer, {name: tensor[:, t] for name, tensor in drawn.inputs.items()}, state)
        columns.append(outputs)
    want = reference.values(spec, case)
    got = {f"state:{name}": tensor for name, tensor in state.items()}
    for name in (name for name in want if name.startswith("output:")):
        got[name] = torch.stack([column[name] for column in columns], dim=1) if columns else want[name]
    return against_values(spec, case, got)


def packing(case: Case) -> tuple[int, ...]:
    """Bounds that cut the row at places that the seed chooses; the first sequence may be empty, the second is."""
    generator = torch.Generator().manual_seed(case.seed)
    inner = torch.randint(0, case.length + 1, (3,), generator=generator).sort().values.tolist()
    return (0, inner[0], inner[0], *inner[1:], case.length)


def _in_parts(
    mixer: subject.Mixer, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor], bounds: tuple[int, ...]
) -> dict[str, Tensor]:
    parts = list[dict[str, Tensor]]()
    for a, b in pairwise(bounds):
        parts.append(subject.run(mixer, {name: tensor[:, a:b] for name, tensor in inputs.items()}, state))
        state = {n.removeprefix("state:"): t for n, t in parts[-1].items() if n.startswith("state:")}
    outputs = [name for name in parts[0] if name.startswith("output:")]
    return parts[-1] | {name: torch.cat([part[name] for part in parts], dim=1) for name in outputs}


def _short(spec: Spec, case: Case) -> Case:
    return replace(case, length=case.length % 2)


def _agree_when_short(spec: Spec, case: Case) -> Error:
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    errors = list[Error]()
    for mixer in subject.forms(spec, case, drawn.params).values():
        errors.append(against_values(spec, case, subject.run(mixer, drawn.inputs, drawn.state)))
        errors.append(against_slopes(spec, case, subject.gradients(mixer, drawn, weights)))
    return worst(errors)


CHUNK_SIZE = Property(
    "chunk size", "the chunk size changes neither values nor gradients", any_chunk_size, subject.is_chunked
)
SPLIT = Property("split", "two parts with the state carried equal the whole, gradients too", split)
PACKED = Property("packed", "packed sequences equal the same sequences alone, gradients too", packed)
STEP = Property("step", "one token at a time equals the whole sequence", steps)
SHORT = Property("short", "sequences of zero and of one token", _agree_when_short, restrict=_short)
