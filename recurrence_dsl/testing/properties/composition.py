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
from ..measure import Error, compare, worst
from ..random_inputs import draw_inputs
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
    """Sequences of unequal length in one row, some of them empty, against each of them alone."""
    drawn = draw_inputs(spec, replace(case, batch=1))
    bounds = packing(case)
    count = len(bounds) - 1
    starts = draw_inputs(spec, replace(case, batch=count, length=0)).state
    mixer = subject.build(spec, case, drawn.params)
    together = subject.run(mixer, drawn.inputs, starts, cu_seqlens=torch.tensor(bounds))
    alone = [
        reference.results(
            spec,
            replace(drawn.tokens(a, b), state={n: t[i : i + 1] for n, t in starts.items()}),
            replace(case, batch=1, length=b - a),
        )
        for i, (a, b) in enumerate(pairwise(bounds))
    ]
    want = {
        name: torch.cat([results[name] for results in alone], dim=1 if name.startswith("output:") else 0)
        for name in together
    }
    return compare(together, want, case, slack=lambda: reference.values_slack(spec, replace(case, batch=1)))


def steps(spec: Spec, case: Case) -> Error:
    """One token at a time through `step`."""
    drawn = draw_inputs(spec, case)
    mixer = subject.build(spec, case, drawn.params)
    state: Mapping[str, Tensor] = drawn.state
    columns = list[dict[str, Tensor]]()
    for t in range(case.length):
        outputs, state = mixer.step(state, **{name: tensor[:, t] for name, tensor in drawn.inputs.items()})
        columns.append(subject.named(spec, outputs, {}))
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
PACKED = Property("packed", "packed sequences equal the same sequences alone", packed)
STEP = Property("step", "one token at a time equals the whole sequence", steps)
SHORT = Property("short", "sequences of zero and of one token", _agree_when_short, restrict=_short)
