"""Low precision costs no more than rounding what goes in and what comes out."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...check.spec import Spec
from .. import reference, subject
from ..case import Case
from ..finding import Property
from ..measure import Error, worst
from ..random_inputs import Drawn, draw_inputs
from ..tolerance import tolerance


def rounding(spec: Spec, case: Case) -> Error:
    """The error in a narrow dtype, in units of twice what rounding the inputs and the exact results costs."""
    exact_case = replace(case, dtype="float64")
    exact = draw_inputs(spec, exact_case)
    narrow = Drawn(
        {name: _rounded(tensor, case.torch_dtype) for name, tensor in exact.inputs.items()},
        {name: _rounded(tensor, torch.float32) for name, tensor in exact.params.items()},
        {name: _rounded(tensor, torch.float32) for name, tensor in exact.state.items()},
    )
    mixer = subject.build(spec, case, narrow.params)
    got = subject.run(mixer, narrow.inputs, narrow.state)
    want = reference.results(spec, exact, exact_case)
    after_rounding = reference.results(spec, narrow, exact_case)
    accumulation = tolerance(torch.float32, case.length, max((n for _, n in case.sizes), default=1))
    errors = list[Error]()
    for name in (name for name in want if name.startswith("output:")):
        ideal = _rounded(after_rounding[name], case.torch_dtype)
        unavoidable = _largest(ideal.to(want[name].dtype) - want[name])
        unavoidable = max(unavoidable, accumulation * _largest(want[name]))
        error = _largest(got[name].to(want[name].dtype) - want[name])
        if error > 2 * unavoidable:  # where terms cancel, the float32 arithmetic in between costs more than the ends
            unavoidable = max(unavoidable, reference.rounding_slack(spec, narrow, case)[name] / 2)
        errors.append(Error(name, error, error / (2 * unavoidable) if error > 0 else 0.0))
    return worst(errors)


def _rounded(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(torch.promote_types(dtype, torch.complex64) if tensor.is_complex() else dtype)


def _largest(tensor: Tensor) -> float:
    tensor = tensor.detach()
    finite = tensor[torch.isfinite(tensor)]
    if finite.numel() < tensor.numel():
        return float("inf")
    return float(finite.abs().max()) if finite.numel() else 0.0


def _narrow(spec: Spec, case: Case) -> Case:
    return replace(case, dtype="bfloat16" if case.dtype == "float64" else case.dtype, scale=min(case.scale, 1.0))


LOW_PRECISION = Property(
    "low precision", "the error is at most twice that of rounding inputs and outputs", rounding, restrict=_narrow
)
