"""`recurrence compile --backend triton` writes files that need torch and triton alone."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import torch
from typer.testing import CliRunner

import recurrence_dsl as rd
from recurrence_dsl.cli import app
from recurrence_dsl.runtime.tuning import store

from .compare import Case, compare, random_inputs

CASE = Case("gated_delta_net", length=19, batch=2, heads=2, sizes={"K": 5, "V": 7})
_USE = """
import sys
sys.modules["recurrence_dsl"] = None  # an import of it fails
sys.path.insert(0, sys.argv[1])
import torch
import gated_delta_net as kernels

inputs, params = torch.load(sys.argv[2])
leaves = {n: x.requires_grad_() for n, x in inputs.items()}
outputs, final = kernels.run(leaves, params)
outputs["o"].square().sum().backward()
with torch.no_grad():
    token = {n: x[:, 0] for n, x in inputs.items()}
    first, after = kernels.step(token, params, kernels.zero_state(list(inputs.values())))
found = {"o": outputs["o"], "S": final["S"], "first": first["o"], **{f"d {n}": x.grad for n, x in leaves.items()}}
torch.save({n: x.detach() for n, x in found.items()}, sys.argv[3])
assert not [m for m in sys.modules if m.startswith("recurrence_dsl.")]
"""


def written(tmp_path: Path) -> Path:
    arguments = ["compile", CASE.spec, "--backend", "triton", "--heads", "2", "--set", "K=5", "--set", "V=7"]
    result = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    return tmp_path / "out" / f"{CASE.spec}.py"


def test_the_file_imports_torch_and_triton_alone(tmp_path: Path) -> None:
    tree = ast.parse(written(tmp_path).read_text())
    named = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    named |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {n.partition(".")[0] for n in named} - set(sys.stdlib_module_names) == {"torch", "triton"}


def test_the_file_runs_where_this_package_is_not(tmp_path: Path) -> None:
    folder = written(tmp_path).parent
    reference = rd.compile(CASE.spec, heads=2, K=5, V=7, backend="torch").double()
    inputs = random_inputs(reference.spec, CASE)
    params = {n: p.detach().float() for n, p in reference.named_parameters()}
    torch.save((inputs, params), tmp_path / "tensors")
    command = [sys.executable, "-c", _USE, str(folder), str(tmp_path / "tensors"), str(tmp_path / "found")]
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"}
    subprocess.run(command, env=environment, cwd=tmp_path, check=True, timeout=300)
    found = torch.load(tmp_path / "found")
    leaves = {n: x.double().requires_grad_() for n, x in inputs.items()}
    o, final = reference(**leaves, return_state=True)
    o.square().sum().backward()
    wanted = {"o": o, "S": final["S"], "first": o[:, 0], **{f"d {n}": x.grad for n, x in leaves.items()}}
    assert found.keys() == wanted.keys()
    for name, x in found.items():
        compare(name, x, wanted[name].detach(), 2e-5)


def test_what_was_measured_goes_along(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RECURRENCE_CACHE_DIR", str(tmp_path / "cache"))
    plain = written(tmp_path).read_text()
    (name,) = re.findall(r'^NAME = "(\w+)"$', plain, re.MULTILINE)
    store.remember(name, "FORWARD float32 ..", "split finish.num_warps=8")
    tuned = written(tmp_path).read_text()
    assert "FORWARD float32 ..': 'split finish.num_warps=8" in tuned
    namespace: dict[str, object] = {}
    (line,) = re.findall(r"^TUNED = \{.*?^\}", tuned, re.MULTILINE | re.DOTALL)
    exec(line, namespace)
    assert namespace["TUNED"] == {"FORWARD float32 ..": "split finish.num_warps=8"}
    assert tuned.replace(line, "TUNED = {}") == plain
