"""The forms agree with the interpreter, in values and in gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ...check.spec import Spec
from .. import reference, subject
from ..case import Case, Gates
from ..finding import Property
from ..measure import Error, compare, worst
from ..random_inputs import Drawn, draw_inputs


def agrees(spec: Spec, case: Case) -> Error:
    """Every form's outputs and final state against the interpreter."""
    drawn = draw_inputs(spec, case)
    return worst(
        _labelled(form, against_values(spec, case, subject.run(mixer, drawn.inputs, drawn.state)))
        for form, mixer in subject.forms(spec, case, drawn.params).items()
    )


def slopes_agree(spec: Spec, case: Case) -> Error:
    """Every form's gradients against autograd through the token loop."""
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    return worst(
        _labelled(form, against_slopes(spec, case, subject.gradients(mixer, drawn, weights)))
        for form, mixer in subject.forms(spec, case, drawn.params).items()
    )


def directional(spec: Spec, case: Case) -> Error:
    """The derivative along a random direction against a difference quotient of the interpreter."""
    drawn, weights = draw_inputs(spec, case), reference.weights(spec, case)
    mixer = subject.build(spec, case, drawn.params)
    found = subject.gradients(mixer, drawn, weights)
    direction = _direction(drawn, case.seed + 3)
    slope = sum(float(_inner(found[name], direction[name])) for name in direction)
    size = max((abs(float(_inner(found[name], direction[name]))) for name in direction), default=0.0)

    def along(step: float) -> float:
        values = reference.results(spec, _moved(drawn, direction, step), case)
        return sum(float(_inner(values[name], weights[name])) for name in weights)

    quotients = [_quotient(along, step) for step in (1e-3, 1e-4)]
    errors = [abs(quotient - slope) for quotient in quotients]
    single = {"directional derivative": torch.tensor(min(errors), dtype=torch.float64)}
    floor = {"directional derivative": max(size, *(abs(q) for q in quotients))}
    zero = {"directional derivative": torch.zeros((), dtype=torch.float64)}

    def slack() -> dict[str, float]:
        """What rounding makes of each gradient, seen along the direction."""
        of_each = reference.slopes_slack(spec, case)
        return {"directional derivative": sum(of_each[name] * float(x.abs().sum()) for name, x in direction.items())}

    return compare(single, zero, case, floors=floor, slack=slack, dtype=torch.float32)


def against_values(
    spec: Spec,
    case: Case,
    got: Mapping[str, Tensor],
    want: Mapping[str, Tensor] | None = None,
    slack: Callable[[], Mapping[str, float]] | None = None,
) -> Error:
    """Results of a case's own tensors, measured against the interpreter's, or against `want` with its `slack`."""
    return compare(
        got,
        reference.values(spec, case) if want is None else want,
        case,
        floors=reference.value_floors(spec, case),
        slack=slack or (lambda: reference.values_slack(spec, case)),
    )


def against_slopes(
    spec: Spec,
    case: Case,
    got: Mapping[str, Tensor],
    want: Mapping[str, Tensor] | None = None,
    slack: Callable[[], Mapping[str, float]] | None = None,
) -> Error:
    """Gradients of a case's own tensors, measured against the token loop's, or against `want` with its `slack`."""
    return compare(
        got,
        reference.slopes(spec, case) if want is None else want,
        case,
        floors=reference.slope_floors(spec, case),
        slack=slack or (lambda: reference.slopes_slack(spec, case)),
    )


def _labelled(form: str, error: Error) -> Error:
    return replace(error, name=f"{form} form, {error.name}")


def _quotient(along: Callable[[float], float], step: float) -> float:
    """The central difference of fourth order."""
    near, far = along(step) - along(-step), along(2 * step) - along(-2 * step)
    return (8 * near - far) / (12 * step)


def _direction(drawn: Drawn, seed: int) -> dict[str, Tensor]:
    """Random signs, relative to the size of what they move."""
    generator = torch.Generator().manual_seed(seed)
    groups = {"input": drawn.inputs, "param": drawn.params, "state": drawn.state}
    return {
        f"{kind}:{name}": tensor.double() * torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if not tensor.is_complex()
        else tensor * torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        for kind, group in groups.items()
        for name, tensor in group.items()
    }


def _moved(drawn: Drawn, direction: Mapping[str, Tensor], step: float) -> Drawn:
    def moved(kind: str, group: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor + step * direction[f"{kind}:{name}"] for name, tensor in group.items()}

    return Drawn(moved("input", drawn.inputs), moved("param", drawn.params), moved("state", drawn.state))


def _inner(left: Tensor, right: Tensor) -> Tensor:
    product = left.conj() * right if left.is_complex() or right.is_complex() else left * right
    return (product.real if product.is_complex() else product).sum()


def _in_double(spec: Spec, case: Case) -> Case:
    """In the widest dtype that the back end has; the difference quotients are in float64 anyway."""
    dtype = "float32" if case.backend == "triton" else "float64"
    return replace(case, dtype=dtype, gates=Gates.TYPICAL, length=min(case.length, 24))


def _extreme(spec: Spec, case: Case) -> Case:
    gates = case.gates if case.gates is not Gates.TYPICAL else Gates.MIXED
    return replace(case, gates=gates)


AGREEMENT = Property("agreement", "chunk form = recurrent form = interpreter, outputs and final state", agrees)
GRADIENTS = Property("gradients", "every gradient equals autograd through the token loop", slopes_agree)
DIRECTIONAL = Property(
    "directional derivative",
    "gradients equal difference quotients of the interpreter",
    directional,
    restrict=_in_double,
)
EXTREME = Property(
    "extreme gates", "log-decays of 0, -1e-6, -50 and -1e4 change nothing about agreement", agrees, restrict=_extreme
)
EXTREME_GRADIENTS = Property("extreme gates, gradients", "the same for gradients", slopes_agree, restrict=_extreme)
