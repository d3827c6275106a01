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
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..check.spec import Spec
from ..diagnostics import CallError
from ..runtime.choices import choose, triton_installed
from ..runtime.kernels import source
from ..runtime.load import load_source

TARGETS = ("sm_80", "sm_90", "gfx942")
SHARED_LIMIT = {"sm_80": 166912, "sm_90": 232448, "gfx942": 65536}
"""Bytes of shared memory that one instance of a kernel may have."""
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


@dataclass(frozen=True, slots=True)
class Resources:
    """One kernel on one target. `spilled`: bytes of registers kept in local memory for each thread; `products`: matrix
    instructions in the text, a static count."""

    spec: str
    sizes: str
    kernel: str
    target: str
    warps: int
    registers: int
    spilled: int
    shared: int
    products: int

    @property
    def fits(self) -> bool:
        return self.shared <= SHARED_LIMIT[self.target]


def measure(
    spec: Spec,
    sizes: Mapping[str, int],
    targets: Iterable[str] = TARGETS,
    dtype: str = "bfloat16",
    heads: int = 8,
    only: Iterable[str] = (),
) -> list[Resources]:
    """Compiles every kernel of the default plans. Raises CallError where triton is missing or a target is unknown."""
    wanted = tuple(targets)
    for t in wanted:
        if t not in TARGETS:
            raise CallError("R0407", f"target {t!r} is none of {', '.join(TARGETS)}", "choose one of them")
    if not triton_installed():
        raise CallError(
            "R0407", "kernels can be compiled only where triton is installed", "install the package `triton`"
        )
    module = _module(spec, sizes, heads)
    shown = ", ".join(f"{n}={s}" for n, s in sizes.items())
    names = [n for n in module.KERNELS if not only or n in tuple(only)]
    return [_measured(module, spec.name, shown, name, target, dtype) for name in names for target in wanted]


def _module(spec: Spec, sizes: Mapping[str, int], heads: int) -> ModuleType:
    from ..pipeline import lifted

    recurrence = lifted(spec)
    chosen = choose(recurrence, sizes, {}, heads=heads, groups=1, backend="triton", form="auto", chunk_size=None)
    return load_source(source(recurrence, chosen), spec.name)


def _measured(module: ModuleType, spec: str, sizes: str, name: str, target: str, dtype: str) -> Resources:
    compiled = compile_kernel(module, name, target, dtype)
    registers, spilled = _registers(compiled, target)
    text = compiled.asm["amdgcn" if target.startswith("gfx") else "ptx"]
    products = len(re.findall(r"wgmma\.mma_async|mma\.sync|v_mfma", text))
    warps = module.SETTINGS[name]["num_warps"]
    return Resources(spec, sizes, name, target, warps, registers, spilled, compiled.metadata.shared, products)


def compile_kernel(module: ModuleType, name: str, target: str, dtype: str = "bfloat16", heads: int = 8) -> Any:
    """Triton's compiled kernel for a target, for contiguous tensors of one dtype."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel, names, rows, _, _ = module.KERNELS[name]
    low = _DTYPES[dtype]
    settings = dict(module.SETTINGS[name])
    options = {"num_warps": settings.pop("num_warps"), "num_stages": settings.pop("num_stages")}
    steps = {argument: heads * _size(argument, module) for argument in rows}
    constants: dict[str, Any] = {
        **settings,
        **steps,
        **_precision(dtype, target),
        "PACKED": False,
        "SPAN": module.BLOCK,
        "KEEP": True,
        "H": heads,
    }
    signature, attributes = {}, {}
    for i, argument in enumerate(kernel.arg_names):
        if argument in constants:
            signature[argument] = "constexpr"
        elif argument == "cu":
            signature[argument], constants[argument] = "constexpr", None
        elif argument in names and _is_pointer(argument, module):
            signature[argument] = f"*{_element(argument, low)}"
            attributes[(i,)] = [["tt.divisibility", 16]]
        else:
            signature[argument] = "i32"
            if argument in names and not _is_narrow(argument, module):
                attributes[(i,)] = [["tt.divisibility", 16]]
    found = ASTSource(kernel, signature, constants, attributes)
    gpu = GPUTarget("hip", target, 64) if target.startswith("gfx") else GPUTarget("cuda", int(target[3:]), 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return triton.compile(found, target=gpu, options=options)


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
    stored = argument.startswith(("in_", "out_", "kept_", "grad_", "d_")) and not argument.startswith(
        ("grad_end_", "d_init_")
    )
    return low if stored else "fp32"


def _registers(compiled: Any, target: str) -> tuple[int, int]:
    if target.startswith("gfx"):
        text = compiled.asm["amdgcn"]
        number = lambda key: int(re.findall(rf"\.{key}:\s+(\d+)", text)[0])  # noqa: E731
        return number("vgpr_count"), 4 * number("vgpr_spill_count")
    found = _usage(compiled.asm["cubin"])
    return int(re.findall(r"REG:(\d+)", found)[-1]), int(re.findall(r"STACK:(\d+)", found)[-1])


def _usage(cubin: bytes) -> str:
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run(
            [str(tool), "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        ).stdout


def as_json(found: Iterable[Resources]) -> list[dict[str, Any]]:
    """Rows for a report."""
    return [asdict(r) for r in found]
