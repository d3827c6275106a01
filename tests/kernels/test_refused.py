"""What the lowering to tiles does not know is refused in words, and "auto" takes torch; specs it once met badly."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import recurrence_dsl as rd
from recurrence_dsl import pipeline

TEXT = """\
mixer plain
dim K, V
input q, k : [K]
input v : [V]
state S : [K, V] = S[t-1] + k * v
output o = sum[K](q * S)
"""


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lowering that meets what it does not know."""

    def lost(*_: object) -> str:
        raise LookupError("no tile for this")

    monkeypatch.setattr(pipeline, "triton_source", lost)


def inputs() -> dict[str, torch.Tensor]:
    return {n: torch.randn(1, 3, 1, size) for n, size in (("q", 2), ("k", 2), ("v", 3))}


def test_no_kernels_is_a_coded_error(unknown: None) -> None:
    mixer = rd.compile(rd.load(TEXT), heads=1, K=2, V=3, backend="triton")
    with pytest.raises(rd.CallError, match="no kernels can be made for `plain` yet") as caught:
        mixer(**inputs())
    assert caught.value.code == "R0412"


def test_auto_turns_to_torch_and_says_so(unknown: None, capsys: pytest.CaptureFixture[str]) -> None:
    mixer = rd.compile(rd.load(TEXT), heads=1, K=2, V=3, backend="triton")
    mixer.choices = replace(mixer.choices, fallback=True)
    given = inputs()
    found = mixer(**given)
    wanted = rd.compile(rd.load(TEXT), heads=1, K=2, V=3, backend="torch")(**given)
    assert torch.equal(found, wanted)
    assert "back end torch from here on" in capsys.readouterr().err
    mixer.step(None, **{n: x[:, 0] for n, x in given.items()})


UNUSED = """\
mixer whole
dim K, V
input q, k : [K]
input v : [V]
state S : [K, V] = 0.9 * S[t-1] + k * v
output o = S
"""


def test_an_input_that_nothing_depends_on_has_the_gradient_zero() -> None:
    mixer = rd.compile(rd.load(UNUSED), heads=1, K=2, V=3, backend="triton")
    leaves = {n: torch.randn(1, 3, 1, size, requires_grad=True) for n, size in (("q", 2), ("k", 2), ("v", 3))}
    mixer(**leaves).sum().backward()
    assert not leaves["q"].grad.any()
    assert leaves["k"].grad.any()


def test_a_state_is_read_along_an_axis_in_the_middle() -> None:
    text = """\
mixer in_the_middle
dim A, B, C
input a : [A]
input b : [B]
input c : [C]
state S : [A, B, C] = 0.9 * S[t-1] + a * b * c
output o = sum[A](a * S)
output p = sum[B](b * S)
"""
    given = {n: torch.randn(1, 9, 1, size) for n, size in (("a", 2), ("b", 3), ("c", 4))}
    found, wanted = (
        rd.compile(rd.load(text), heads=1, A=2, B=3, C=4, backend=name)(**given) for name in ("triton", "torch")
    )
    for n in wanted:
        torch.testing.assert_close(found[n], wanted[n])
