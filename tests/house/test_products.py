"""The numbers that a device's matrix products take: bfloat16 factors, sums in float32, inverses never rounded."""

from __future__ import annotations

import re

import pytest

import recurrence_dsl as rd
from recurrence_dsl.runtime.load import load_source
from recurrence_dsl.tools.resources import Written, written

from .kernel_ir import kernel_ir

TWO_TERMS = """mixer two_terms
dim K, V
input q, k, p : [K]
input v, u : [V]
input beta in [0, 1]
let H = S[t-1] + beta * k * (v - sum[K](k * S[t-1]))
state S : [K, V] = H + beta * p * (u - sum[K](p * H))
output o = sum[K](q * S)
"""
SPECS = ("gla", "mamba2", "gated_delta_net", "rwkv7", TWO_TERMS)
DOT = re.compile(r"tt\.dot .*: tensor<[\dx]*x(\w+)> \* tensor<[\dx]*x(\w+)> -> tensor<[\dx]*x(\w+)>")


def made(name: str) -> Written:
    spec = rd.load(name)
    return written(spec, {d.name: 64 for d in spec.dims})


def functions(text: str) -> dict[str, str]:
    """The bodies of a kernel's functions by their names, without their types."""
    parts = re.split(r"\n  tt\.func (?:public|private) @", text)[1:]
    return {re.split(r"__|\(", part.rpartition("}")[0].split("(")[0])[0]: part for part in parts}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("spec", SPECS)
def test_factors_are_bfloat16_and_sums_float32(spec: str, dtype: str) -> None:
    """Of other dtypes too, whose factors are taken apart into such numbers."""
    kernels = made(spec)
    module = load_source(kernels.text, kernels.spec)
    for name in kernels.names:
        text = kernel_ir(module, name, dtype)
        found = DOT.findall(text)
        assert len(found) == text.count("tt.dot "), name
        assert set(found) <= {("bf16", "bf16", "f32")}, name


def test_there_are_products_to_look_at() -> None:
    kernels = made("gla")
    module = load_source(kernels.text, kernels.spec)
    assert all(DOT.search(kernel_ir(module, name)) for name in ("forward", "carry", "finish_back"))


def rounded_inverses(text: str) -> list[str]:
    """Products that round an inverse, or what is read of a stored one, in any of the kernels."""
    found = []
    for body in text.split("\n@triton.jit"):
        inverses = set(re.findall(r"\b(\w+) = _inverse\(", body)) | set(re.findall(r"\b(inverse\w*)\b", body))
        products = re.findall(r"_(?:dot|factor)\([^\n]*?, DT", body)
        found += [p for p in products if inverses & set(re.findall(r"\w+", p)) and "_dot_exact" not in p]
    return found


@pytest.mark.parametrize("spec", ["gated_delta_net", "rwkv7", TWO_TERMS])
def test_inverses_are_not_rounded(spec: str) -> None:
    """They are formed by products of float32 factors, stored in float32, and multiplied as such."""
    kernels = made(spec)
    module = load_source(kernels.text, kernels.spec)
    assert [exact for name, _, exact, _ in module.PREPARED if "inverse" in name] == [True]
    assert rounded_inverses(kernels.text) == []
    assert rounded_inverses(re.sub(r"_dot_exact\((\w*inverse.*), PRECISION", r"_dot(\1, DT, PRECISION", kernels.text))
    for name in kernels.names:
        for function, body in functions(kernel_ir(module, name)).items():
            if function.endswith("._inverse"):
                assert "tt.dot " not in body
                assert re.search(r"tt\.call @\S+\._dot_exact__fp32", body)
                assert not re.search(r"tt\.call @\S+\._dot__", body)
