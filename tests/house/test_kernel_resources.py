"""What kernels need of a device that is not here: `recurrence resources` and what stands behind it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from typer.testing import CliRunner, Result

import recurrence_dsl as rd
from recurrence_dsl.cli import app
from recurrence_dsl.tools import resource_report
from recurrence_dsl.tools.compile_kernels import Outcome
from recurrence_dsl.tools.resources import SHARED_LIMIT, TARGETS, Resources, measured, products_of, written

SUMS = """mixer running
dim    K, V
input  q, k : [K]
input  v : [V]
const  rate = 0.5
state  S : [K, V] = rate * S[t-1] + k * v
output o = sum[K](q * S)
"""
FINE = Resources("x", "K=64", "forward", "sm_90", 4, 128, 0, 1024, 8, 0)


@triton.jit
def _product(x, y, z, PRECISION: tl.constexpr):
    i = tl.arange(0, 16)
    at = i[:, None] * 16 + i[None, :]
    tl.store(z + at, tl.dot(tl.load(x + at), tl.load(y + at), input_precision=PRECISION))


def resources(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(app, ("resources", *arguments), prog_name="recurrence")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == status, result.output
    return result


@pytest.mark.parametrize("target", TARGETS)
def test_a_kernel_is_measured(target):
    kernels = written(rd.load(SUMS), {"K": 32, "V": 16, "rate": 0.25})
    assert "carry" in kernels.names
    found = measured(kernels, "carry", target)
    assert (found.spec, found.sizes, found.kernel, found.target) == ("running", "K=32, V=16", "carry", target)
    assert 0 < found.registers <= 512
    assert 0 < found.shared <= SHARED_LIMIT[target]
    assert (found.spilled, found.missed) == (0, 0)
    assert found.products > 0


@pytest.mark.parametrize(("precision", "missed"), [("tf32", 0), ("ieee", 1)])
def test_a_product_that_misses_the_tensor_cores_is_found(precision, missed):
    arguments = {"x": "*fp32", "y": "*fp32", "z": "*fp32", "PRECISION": "constexpr"}
    source = ASTSource(_product, arguments, {"PRECISION": precision})
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    products, found = products_of(compiled, "sm_90")
    assert found == missed
    assert (products == 0) == bool(missed)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"spilled": 8}, "8 bytes of each thread's registers are spilled"),
        ({"shared": 300_000}, "300000 bytes of shared memory, of 232448 that there are"),
        ({"shared": 66_000, "target": "gfx942"}, "66000 bytes of shared memory, of 65536 that there are"),
        ({"missed": 2}, "2 products of matrices miss the tensor cores"),
    ],
)
def test_faults_fail_the_command_with_a_line_each(monkeypatch, changed, fault):
    faulty = replace(FINE, **changed)
    monkeypatch.setattr(resource_report, "compiled_all", lambda *_: Outcome((FINE, faulty)))
    text = resources("gla", status=1).stdout
    assert f"x (K=64), forward on {faulty.target}: {fault}" in text
    assert "2 kernels: 1 faults" in text


def test_spills_on_a_small_device_are_told_but_no_fault():
    assert not replace(FINE, target="sm_80", spilled=8).faults


def test_the_command_compiles_every_kernel_of_every_file(tmp_path):
    (tmp_path / "a.spec").write_text(SUMS)
    sizes = ("--set", "K=16", "--size", "16", "--size", "32", "--target", "sm_80", "--jobs", "1")
    found = resources(str(tmp_path / "a.spec"), *sizes, "--json")
    rows = json.loads(found.stdout)
    names = written(rd.load(SUMS), {"K": 16, "V": 16}).names
    assert [r["kernel"] for r in rows if r["sizes"] == "K=16, V=16"] == list(names)
    assert {r["sizes"] for r in rows} == {"K=16, V=16", "K=16, V=32"}
    assert "no faults" in found.stderr


def test_a_table_has_a_row_for_each_kernel(monkeypatch):
    monkeypatch.setattr(resource_report, "compiled_all", lambda *_: Outcome((FINE, replace(FINE, kernel="backward"))))
    text = resources("gla").stdout
    assert all(f" {n} " in text for n in (FINE.kernel, "backward"))
    assert "2 kernels: no faults" in text


def test_an_axis_with_a_size_of_its_own_is_compiled_once(monkeypatch):
    seen = []
    monkeypatch.setattr(resource_report, "compiled_all", lambda cases, *_: seen.extend(cases) or Outcome(()))
    resources("gla", "--set", "K=8", "--set", "V=4")
    assert seen == [("gla", {"K": 8, "V": 4})]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gla", "--target", "sm_12"), "target 'sm_12' is none of sm_80, sm_90, gfx942"),
        (("gla", "--dtype", "float64"), "dtype='float64' is nothing that kernels take"),
        (("glaa",), "did you mean `gla`?"),
    ],
)
def test_mistakes_get_a_message(arguments, message):
    assert message in " ".join(resources(*arguments, status=1).stderr.split())
