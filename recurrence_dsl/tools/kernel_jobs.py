"""The kernels of a module for each target, with a digest of all that determines what compiling one finds."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

from ..runtime.load import load_source
from .resources import SHARED_LIMIT, Resources, Written, kernel_source, measured_within

MEASURING = 1
"""To be raised when `measured` finds other figures for the same kernel: what was recorded before is not read then."""
DIGITS = 20
"""Of a digest, in base 16."""


@dataclass(frozen=True, slots=True)
class Job:
    """One kernel for one target and dtype of inputs."""

    kernels: Written
    kernel: str
    target: str
    dtype: str
    digest: str

    @property
    def spec(self) -> str:
        return self.kernels.spec

    @property
    def sizes(self) -> str:
        return self.kernels.sizes

    def measured(self) -> Resources:
        """What the kernel needs, found by compiling it in a process of its own."""
        return measured_within(self.kernels, self.kernel, self.target, self.dtype)


def jobs_of(
    kernels: Written, targets: Iterable[str], dtype: str = "bfloat16", only_taken: bool = False
) -> tuple[Job, ...]:
    """A job for each kernel, or each that is taken unmeasured, and each target, kernel by kernel. Nothing is compiled;
    triton must be installed."""
    module, targets = load_source(kernels.text, kernels.spec), tuple(targets)
    common = _common(module)
    return tuple(
        Job(kernels, name, target, dtype, _digest((*common, *_own(module, name, target, dtype))))
        for name in (kernels.taken if only_taken else kernels.names)
        for target in targets
    )


def _common(module: ModuleType) -> tuple[str, ...]:
    """What all kernels of a module share: their helpers' text, the way that settings are chosen, and Triton, which
    brings its own ptxas."""
    import triton
    from triton.runtime.jit import JITFunction

    kernels = {row[0].__name__ for row in module.KERNELS.values()}
    helpers = {name: f for name, f in vars(module).items() if isinstance(f, JITFunction) and name not in kernels}
    texts = (helpers[name].src for name in sorted(helpers))
    return str(MEASURING), triton.__version__, inspect.getsource(module.without_spills), *texts


def _own(module: ModuleType, name: str, target: str, dtype: str) -> tuple[str, ...]:
    """What is a kernel's own: its text, but not where that stands in the file, and what it is compiled with. `repr`
    tells 1 from True and is the same in every process for all of these."""
    found, device, options = kernel_source(module, name, target, dtype)
    constants = sorted(found.constants.items())
    parts = (list(found.signature.items()), constants, sorted(found.attrs.items()), sorted(options.items()))
    relief = module.RELIEF.get(name, ())
    return found.fn.src, *map(repr, (*parts, module.SETTINGS[name], relief, device, SHARED_LIMIT[target]))


def _digest(parts: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:DIGITS]


__all__ = ["Job", "jobs_of"]
