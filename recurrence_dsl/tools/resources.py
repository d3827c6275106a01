"""What compiled kernels need of a device, found without one: registers, spilled bytes, shared memory, matrix
products.
"""

from __future__ import annotations

import math
import re
import subprocess
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..check.spec import Spec
from ..diagnostics import CallError
from ..runtime.choices import choose, split_options, triton_installed
from ..runtime.kernels import source
from ..runtime.load import load_source
from .limited import BYTES, SECONDS, OverLimit, limited

TARGETS = ("sm_80", "sm_90", "gfx942")
SHARED_LIMIT = {"sm_80": 166912, "sm_90": 232448, "gfx942": 65536}
"""Bytes of shared memory that one instance of a kernel may have."""
NO_SPILLS = ("sm_90",)
"""Targets for which the plans' default settings must not spill."""
HEADS = 8
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


@dataclass(frozen=True, slots=True)
class Resources:
    """One kernel on one target. `changed`: what differs from the plan's settings, since those spill; `spilled`: bytes
    of registers kept in local memory for each thread; `products`: matrix instructions in the text, a static count;
    `missed`: products of matrices that are computed without any; `compiled`: False where that took too much."""

    spec: str
    sizes: str
    kernel: str
    target: str
    warps: int
    registers: int
    spilled: int
    shared: int
    products: int
    missed: int
    changed: str = ""
    compiled: bool = True

    @property
    def faults(self) -> tuple[str, ...]:
        """What must not be, in words."""
        found = []
        if not self.compiled:
            found.append(f"not compiled within {SECONDS} seconds of a processor and {BYTES >> 30} GiB")
        if self.spilled and self.target in NO_SPILLS:
            found.append(f"{self.spilled} bytes of each thread's registers are spilled")
        return (*found, *self.hard_faults)

    @property
    def hard_faults(self) -> tuple[str, ...]:
        """Those of them with which a kernel does not start, or does not use what a device has."""
        found = []
        if self.shared > SHARED_LIMIT[self.target]:
            found.append(f"{self.shared} bytes of shared memory, of {SHARED_LIMIT[self.target]} that there are")
        if self.missed:
            found.append(f"{self.missed} products of matrices miss the tensor cores")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Written:
    """The kernels of a spec's plans: the text of their module, its kernels' names, those of them that are taken without
    a measurement, and what they are for."""

    spec: str
    sizes: str
    text: str
    names: tuple[str, ...]
    taken: tuple[str, ...]


def written(spec: Spec, settings: Mapping[str, float], heads: int = HEADS) -> Written:
    """The kernels that `compile` would write for sizes of axes and values of consts."""
    from ..pipeline import lifted

    sizes, consts = split_options(spec, settings)
    recurrence = lifted(spec, consts)
    chosen = choose(recurrence, sizes, consts, heads=heads, groups=1, backend="triton", form="auto", chunk_size=None)
    text = source(recurrence, chosen)
    shown = ", ".join(f"{n}={s}" for n, s in sizes.items())
    module = load_source(text, spec.name)
    return Written(spec.name, shown, text, tuple(module.KERNELS), _taken(module))


def _taken(module: ModuleType) -> tuple[str, ...]:
    """The kernels of the plans that are taken without a measurement, and the one for a single token."""
    if not module.RULE:
        return tuple(module.KERNELS)
    busy, idle, back, back_idle = module.RULE
    plans = module.FORWARD[busy], module.FORWARD[idle], module.BACKWARD[back], module.BACKWARD[back_idle]
    used = {module.STEP}.union(*plans)
    return tuple(name for name in module.KERNELS if name in used)


def check_targets(targets: Iterable[str]) -> None:
    """Raises CallError for an unknown target, and where triton is missing."""
    for t in targets:
        if t not in TARGETS:
            raise CallError("R0407", f"target {t!r} is none of {', '.join(TARGETS)}", "choose one of them")
    if not triton_installed():
        raise CallError(
            "R0407", "kernels can be compiled only where triton is installed", "install the package `triton`"
        )


def measured_within(kernels: Written, name: str, target: str, dtype: str = "bfloat16") -> Resources:
    """As `measured`, in a process of its own that is ended when it takes too much."""
    try:
        return limited(measured, kernels, name, target, dtype)
    except OverLimit:
        return Resources(kernels.spec, kernels.sizes, name, target, 0, 0, 0, 0, 0, 0, compiled=False)


def measured(kernels: Written, name: str, target: str, dtype: str = "bfloat16") -> Resources:
    """What one kernel needs of a target; it is compiled, with the settings that a call on such a device would take."""
    from triton.runtime.errors import PTXASError

    module = load_source(kernels.text, kernels.spec)
    found: dict[str, tuple[Any, int, int]] = {}

    def spills(settings: Mapping[str, int]) -> tuple[float, float]:
        if "maxnreg" in settings and target.startswith("gfx"):
            return 0, math.inf
        try:
            compiled = compile_kernel(module, name, target, dtype, settings=settings)
        except PTXASError:
            if settings == module.SETTINGS[name]:
                raise OverLimit from None
            return 0, math.inf
        found[str(settings)] = compiled, *_registers(compiled, target)
        registers, spilled = found[str(settings)][1:]
        return registers, spilled if compiled.metadata.shared <= SHARED_LIMIT[target] else math.inf

    settings, _ = module.without_spills(name, spills)
    compiled, registers, spilled = found[str(settings)]
    warps, shared = settings["num_warps"], compiled.metadata.shared
    own = module.SETTINGS[name]
    changed = " ".join(f"{key}={value}" for key, value in settings.items() if own.get(key) != value)
    return Resources(
        kernels.spec, kernels.sizes, name, target, warps, registers, spilled, shared, *products_of(compiled, target),
        changed,
    )  # fmt: skip


def products_of(compiled: Any, target: str) -> tuple[int, int]:
    """Matrix instructions in a compiled kernel's text, and products of matrices whose result no such instruction
    makes."""
    text = compiled.asm["amdgcn" if target.startswith("gfx") else "ptx"]
    missed = re.findall(r"= tt\.dot .*-> tensor<\S+ #blocked\d*>", compiled.asm["ttgir"])
    return len(re.findall(r"wgmma\.mma_async|mma\.sync|v_mfma", text)), len(missed)


def compile_kernel(
    module: ModuleType,
    name: str,
    target: str,
    dtype: str = "bfloat16",
    heads: int = HEADS,
    settings: Mapping[str, int] | None = None,
) -> Any:
    """Triton's compiled kernel for a target, for contiguous tensors of one dtype; the plan's settings, or others."""
    import triton

    found, gpu, options = kernel_source(module, name, target, dtype, heads, settings=settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return triton.compile(found, target=gpu, options=options)


def kernel_source(
    module: ModuleType,
    name: str,
    target: str,
    dtype: str = "bfloat16",
    heads: int = HEADS,
    packed: bool = False,
    settings: Mapping[str, int] | None = None,
) -> tuple[Any, Any, dict[str, int]]:
    """What Triton compiles: a kernel with its arguments' types and constants, the device, and the options."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel, names, rows, _, _ = module.KERNELS[name]
    low = _DTYPES[dtype]
    settings = dict(module.SETTINGS[name] if settings is None else settings)
    options = {key: settings.pop(key) for key in ("num_warps", "num_stages", "maxnreg") if key in settings}
    steps = {argument: heads * _size(argument, module) for argument in rows}
    constants: dict[str, Any] = {
        **settings,
        **steps,
        **_precision(dtype, target),
        "PACKED": packed,
        "WIDE": False,
        "SPAN": module.BLOCK,
        "KEEP": True,
        "H": heads,
    }
    signature, attributes = {}, {}
    for i, argument in enumerate(kernel.arg_names):
        if argument in constants:
            signature[argument] = "constexpr"
        elif argument == "cu" and not packed:
            signature[argument], constants[argument] = "constexpr", None
        elif argument == "cu":
            signature[argument] = "*i64"
        elif argument in names and _is_pointer(argument, module):
            signature[argument] = f"*{_element(argument, low)}"
            attributes[(i,)] = [["tt.divisibility", 16]]
        else:
            signature[argument] = "i32"
            if argument in names and not _is_narrow(argument, module):
                attributes[(i,)] = [["tt.divisibility", 16]]
    found = ASTSource(kernel, signature, constants, attributes)
    gpu = GPUTarget("hip", target, 64) if target.startswith("gfx") else GPUTarget("cuda", int(target[3:]), 32)
    return found, gpu, options


def _precision(dtype: str, target: str) -> dict[str, Any]:
    import triton.language as tl

    exact = dtype == "float32"
    return {"DT": getattr(tl, dtype), "PRECISION": 3 if exact else 2, "EXACT": exact,
            "DEVICE": "hip" if target.startswith("gfx") else "cuda"}  # fmt: skip


def _input(argument: str, module: ModuleType) -> tuple[Any, ...] | None:
    """The row of the input that a stride belongs to."""
    found = [row for row in module.INPUTS if argument in (f"in_{row[0]}_{d}" for d in "bth")]
    return found[0] if found else None


def _is_pointer(argument: str, module: ModuleType) -> bool:
    return _input(argument, module) is None


def _size(argument: str, module: ModuleType) -> int:
    row = _input(argument, module)
    return math.prod(row[1]) * (2 if row[4] else 1) if row else 1


def _is_narrow(argument: str, module: ModuleType) -> bool:
    """Is it a stride of an input with so few numbers a head that 16 need not divide it?"""
    return _size(argument, module) % 16 > 0


def _element(argument: str, low: str) -> str:
    if argument.startswith("made_"):
        return "fp32" if argument.startswith("made_inverse") else low
    stored = argument.startswith(("in_", "out_", "kept_", "grad_", "d_")) and not argument.startswith(
        ("grad_end_", "d_init_")
    )
    return low if stored else "fp32"


def _registers(compiled: Any, target: str) -> tuple[int, int]:
    if target.startswith("gfx"):
        text = compiled.asm["amdgcn"]
        number = lambda key: int(re.findall(rf"\.{key}:\s+(\d+)", text)[0])  # noqa: E731
        return number("vgpr_count"), 4 * number("vgpr_spill_count")
    found = _said("cuobjdump", compiled.asm["cubin"], "--dump-resource-usage")
    registers, stack = (int(re.findall(rf"{what}:(\d+)", found)[-1]) for what in ("REG", "STACK"))
    # a stack in which nothing is stored holds no registers: calls of the device's own functions have one
    spills = stack and re.search(r"\bSTL\b", _said("nvdisasm", compiled.asm["cubin"], "-c"))
    # what such functions keep in memory, in whole units of 8 bytes, is no register either
    kept = sum(-(-int(size) // 8) * 8 for size in re.findall(r"__local_depot\d+\[(\d+)\]", compiled.asm["ptx"]))
    return registers, max(0, stack - kept) if spills else 0


def _said(tool: str, given: bytes, *options: str) -> str:
    """What one of the tools that come with triton says of a file."""
    import triton

    path = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / tool
    with tempfile.NamedTemporaryFile() as file:
        file.write(given)
        file.flush()
        return subprocess.run([str(path), *options, file.name], capture_output=True, text=True, check=True).stdout
