"""Lengths, sizes, layouts and ways of calling that kernels must take."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

import recurrence_dsl as rd
import recurrence_dsl.runtime.kernels as kernels_module
from recurrence_dsl.runtime.load import load_source

from .compare import Case, assert_agreement, everything, mixers, random_inputs, random_state

FUSED = {"FORWARD": "fused", "BACKWARD": "split"}
SPLIT = {"FORWARD": "split", "BACKWARD": "split"}


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 33])
@pytest.mark.parametrize("spec", ["gla", "gated_delta_net"])
def test_any_length(spec: str, length: int) -> None:
    assert_agreement(Case(spec, length=length, batch=1, heads=1, plans=SPLIT))


@pytest.mark.parametrize("sizes", [{"K": 1, "V": 1}, {"K": 16, "V": 33}, {"K": 48, "V": 20}])
@pytest.mark.parametrize("spec", ["retnet", "rwkv6", "gated_delta_net"])
def test_any_size(spec: str, sizes: dict[str, int]) -> None:
    assert_agreement(Case(spec, length=20, batch=1, heads=1, sizes=sizes, plans=FUSED))


@pytest.mark.parametrize("spec", ["mamba2", "selective_scan"])
def test_grouped_inputs(spec: str) -> None:
    assert_agreement(Case(spec, length=18, batch=2, heads=4, groups=2, plans=SPLIT))


@pytest.mark.parametrize("ends", [(0, 5, 5, 6, 38, 40), (0, 0, 16, 32), (0, 40)])
@pytest.mark.parametrize(
    ("spec", "plans"), [("gla", SPLIT), ("gated_delta_net", SPLIT), ("retnet", FUSED), ("hgrn", FUSED)]
)
def test_packed_sequences(spec: str, plans: dict[str, str], ends: tuple[int, ...]) -> None:
    assert_agreement(Case(spec, length=ends[-1], batch=1, heads=2, ends=ends, plans=plans))


@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
        lambda x: torch.stack((x, x), 1)[:, 1],
        lambda x: x.expand(x.shape),
        lambda x: x[:, :, :1].expand(x.shape),
    ],
    ids=["heads first", "every other", "whole", "one head for all"],
)
def test_any_strides(layout: object) -> None:
    assert_agreement(Case("gated_delta_net", length=18, batch=2, heads=2, plans=SPLIT, prepare=layout))  # type: ignore[arg-type]


def test_rows_with_offsets_of_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("gated_delta_net", length=18, batch=1, heads=2, plans=SPLIT)
    monkeypatch.setattr(mixers(case)[0].kernels, "_wide", lambda inputs, heads: True)
    assert_agreement(case)


def test_axes_that_do_not_lie_together() -> None:
    apart = lambda x: x.transpose(-1, 1).contiguous().transpose(-1, 1)  # noqa: E731
    assert_agreement(Case("rwkv6", length=18, batch=1, heads=2, plans=FUSED, prepare=apart))


@pytest.mark.parametrize("chunk", [16, 32, 64])
def test_any_chunk(chunk: int) -> None:
    assert_agreement(Case("kda", length=70, batch=1, heads=1, chunk=chunk, plans=SPLIT))


def test_steps_agree_with_the_whole() -> None:
    case = Case("gated_delta_net", length=6, batch=2)
    kernels, _ = mixers(case)
    inputs = random_inputs(kernels.spec, case)
    with torch.no_grad():
        whole, last = kernels(**inputs, return_state=True)
        state, rows = None, []
        for t in range(case.length):
            out, state = kernels.step(state, **{n: x[:, t] for n, x in inputs.items()})
            rows.append(out)
    assert state is not None
    torch.testing.assert_close(torch.stack(rows, 1), whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(state["S"], last["S"], rtol=1e-5, atol=1e-6)


def test_a_step_passes_gradients_on() -> None:
    case = Case("gla", length=1, batch=2)
    kernels, _ = mixers(case)
    inputs = {n: x[:, 0].requires_grad_() for n, x in random_inputs(kernels.spec, case).items()}
    out, _ = kernels.step(None, **inputs)
    out.sum().backward()
    assert all(x.grad is not None and torch.isfinite(x.grad).all() for x in inputs.values())


@pytest.mark.parametrize("decay", [0.0, -1e-6, -50.0, -1e4])
@pytest.mark.parametrize("spec", ["dplr"])
def test_strong_decays_hide_no_weak_ones(spec: str, decay: float) -> None:
    """Every other token has the extreme log-decay, the rest none."""
    case = Case(spec, length=35, batch=1, heads=1, plans=SPLIT)
    kernels, reference = mixers(case)
    inputs = random_inputs(kernels.spec, case)
    inputs["g"] = torch.where(torch.arange(35)[None, :, None, None] % 2 == 0, decay, inputs["g"])
    state = random_state(kernels, case, 1)
    wide = lambda d: {n: x.double() for n, x in d.items()}  # noqa: E731
    found, wanted = everything(kernels, inputs, state, ()), everything(reference, wide(inputs), wide(state), ())
    for name, x in found.items():
        scale = float(wanted[name].abs().max()) + 1e-6
        assert float((x.double() - wanted[name]).abs().max()) / scale < 2e-5, name


def test_repeated_keys_with_strong_writes() -> None:
    """Equal keys with beta = 2 make the powers of the triangular system large; its solution stays small."""
    case = Case("delta_net", length=33, batch=1, heads=1, chunk=32, plans=FUSED)
    kernels, reference = mixers(case)
    inputs = random_inputs(kernels.spec, case)
    key = torch.nn.functional.normalize(torch.ones_like(inputs["k"]), dim=-1)
    inputs |= {"k": key, "beta": torch.full_like(inputs["beta"], 2.0)}
    with torch.no_grad():
        found, wanted = kernels(**inputs), reference(**{n: x.double() for n, x in inputs.items()})
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-4)


def test_runs_repeat_bit_for_bit() -> None:
    case = Case("rwkv7", length=20, batch=1, plans=SPLIT)
    kernels, _ = mixers(case)
    inputs, state = random_inputs(kernels.spec, case), random_state(kernels, case, 1)
    first, second = (everything(kernels, inputs, state, ()) for _ in range(2))
    for name, x in first.items():
        assert torch.equal(x, second[name]), name


@pytest.mark.parametrize(
    ("honest", "liar"),
    [
        ("tl.store(out_o + at_out_o", "tl.store(out_o + at_out_o + 1"),
        ("at_out_o = ", "at_out_o = 2**4 + "),
        ("tl.store(end_S", "if n < 0: tl.store(end_S"),
    ],
    ids=["one too far", "far off", "not at all"],
)
def test_what_is_not_written_or_beside_is_found(monkeypatch: pytest.MonkeyPatch, honest: str, liar: str) -> None:
    """In all tests that compare kernels: a kernel that leaves something out, or writes elsewhere, is caught."""
    source = kernels_module.source

    def tampered(*given: object) -> str:
        text = source(*given)  # type: ignore[arg-type]
        return text.replace(honest, liar) if "tl.store(out_o" in text else text

    monkeypatch.setattr(kernels_module, "source", tampered)
    with pytest.raises(AssertionError, match=r"beyond|not finite"):
        assert_agreement(Case("retnet", length=21, batch=1, heads=2, plans=FUSED))


def test_an_edited_copy_leaves_the_first_ones_operators_alone() -> None:
    case = Case("retnet", length=5, batch=1, heads=2)
    kernels, _ = mixers(case)
    inputs = random_inputs(kernels.spec, case)
    wanted = kernels(**inputs)
    copy = load_source(f"{Path(kernels.kernels.__file__).read_text()}\n_Call = None\n", "edited")
    assert copy.NAME != kernels.kernels.NAME
    assert torch.equal(kernels(**inputs), wanted)


def test_real_numbers_where_complex_ones_are_meant() -> None:
    """A kernel would read beyond the end of such a tensor."""
    text = """mixer driven
dim K
input z : complex [K]
input q : [K]
state s : complex [K] = exp(1i * q) * s[t-1] + z
output o = re(s * z)
"""
    case = Case(text, length=5, batch=1, heads=2)
    kernels, _ = mixers(case)
    inputs = random_inputs(kernels.spec, case)
    real = {n: (x.real if x.is_complex() else x).contiguous().requires_grad_() for n, x in inputs.items()}
    before = {"s": torch.ones(1, 2, 5)}
    found = kernels(**real, initial_state=before)
    wanted = kernels(**{n: x + 0j if n == "z" else x for n, x in real.items()}, initial_state={"s": before["s"] + 0j})
    assert torch.equal(found, wanted)
    found.sum().backward()
    assert real["z"].grad is not None
    assert not real["z"].grad.is_complex()
    one, _ = kernels.step(before, **{n: x.detach()[:, 0] for n, x in real.items()})
    torch.testing.assert_close(one, found[:, 0].detach())


def test_a_second_gradient_is_refused() -> None:
    case = Case("retnet", length=4, batch=1, heads=1)
    kernels, _ = mixers(case)
    inputs = {n: x.requires_grad_() for n, x in random_inputs(kernels.spec, case).items()}
    (first,) = torch.autograd.grad(kernels(**inputs).square().sum(), inputs["q"], create_graph=True)
    with pytest.raises(RuntimeError, match="gradient of a gradient"):
        first.sum().backward()


def test_a_graph_is_captured_whole() -> None:
    """Fake kernels and autograd are registered, so that tracing meets no break."""
    case = Case("gla", length=8, batch=1, heads=1, dtype=torch.float32)
    kernels, _ = mixers(case)
    inputs = random_inputs(kernels.spec, case)
    kernels(**inputs)
    compiled = torch.compile(lambda **x: kernels(**x) * 2.0, fullgraph=True, backend="aot_eager")
    leaves = {n: x.clone().requires_grad_() for n, x in inputs.items()}
    out = compiled(**leaves)
    out.sum().backward()
    plain = {n: x.clone().requires_grad_() for n, x in inputs.items()}
    (kernels(**plain) * 2.0).sum().backward()
    for n, x in leaves.items():
        torch.testing.assert_close(x.grad, plain[n].grad)


def test_float64_is_a_clear_error() -> None:
    case = Case("gla", length=4)
    kernels, _ = mixers(case)
    inputs = {n: x.double() for n, x in random_inputs(kernels.spec, case).items()}
    with pytest.raises(rd.CallError, match=r"does not take torch\.float64"):
        kernels(**inputs)


def test_the_module_needs_nothing_of_this_package() -> None:
    case = Case("gla", length=4)
    kernels, _ = mixers(dataclasses.replace(case))
    text = Path(str(kernels.kernels.__file__)).read_text()
    imports = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imports - sys.stdlib_module_names == {"torch", "triton"}
