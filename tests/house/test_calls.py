"""Calls that cannot work end in a coded message that says what was expected; calls with nothing in them work."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import recurrence_dsl as rd
from recurrence_dsl.diagnostics import CallError

MIXER = rd.compile("gla", heads=2, K=5, V=3)
LAYER = rd.compile_layer("gla", d_model=8, heads=2, K=4, V=4)


def inputs(batch: int = 2, length: int = 9) -> dict[str, Tensor]:
    """Fresh tensors for the mixer."""
    sizes = {"q": 5, "k": 5, "g": 5, "v": 3}
    return {name: torch.randn(batch, length, 2, size) for name, size in sizes.items()}


def called(**changed: object) -> Callable[[], Any]:
    return lambda: MIXER(**inputs() | changed)


def compiled(**options: Any) -> Callable[[], Any]:
    return lambda: rd.compile(**{"spec": "hgrn2", "heads": 2, "K": 4, "V": 4} | options)


STATE = torch.zeros(2, 2, 5, 3)
WRONG: list[tuple[str, str, Callable[[], Any]]] = [
    ("R0406", "without a name", lambda: MIXER(*inputs().values())),
    ("R0406", "without a name", lambda: MIXER.step(None, torch.zeros(1))),
    ("R0404", "sparse_coo tensor", called(g=inputs()["g"].to_sparse())),
    ("R0404", "complex64", called(g=inputs()["g"] + 0j)),
    ("R0408", "a Tensor, not a dict", called(initial_state=STATE)),
    ("R0408", "a list, not a dict", called(initial_state=[STATE])),
    ("R0404", "state `S` is torch.int32", called(initial_state={"S": STATE.int()})),
    ("R0404", "state `S` is torch.complex64", called(initial_state={"S": STATE + 0j})),
    ("R0402", "`K` is None", compiled(K=None)),
    ("R0402", "`K` is nan", compiled(K=math.nan)),
    ("R0402", "`V` is inf", compiled(V=math.inf)),
    ("R0402", "`heads` is None", compiled(heads=None)),
    ("R0402", "`heads` is '2'", compiled(heads="2")),
    ("R0402", "const `lower` is 'x'", compiled(lower="x")),
    ("R0402", "const `lower` is nan", compiled(lower=math.nan)),
    ("R0402", "const `lower` is None", compiled(lower=None)),
    ("R0407", "token by token", compiled(backend="interpreter", form="chunk")),
    ("R0407", "chunk_size", compiled(backend="interpreter", chunk_size=16)),
    ("R0906", "not a NoneType", compiled(spec=None)),
    ("R0906", "empty", lambda: rd.load("")),
    ("R0906", "there is no file", lambda: rd.load("x" * 10_000)),
    ("R0906", "not a str", lambda: rd.interpret("gla", inputs())),  # type: ignore[arg-type]
    ("R0406", "not a list", lambda: rd.interpret(rd.load("gla"), [1])),  # type: ignore[arg-type]
    ("R0404", "no array of numbers", lambda: rd.interpret(rd.load("gla"), dict.fromkeys("qkvg", "a"))),
    ("R0513", "weights are torch.float32", lambda: LAYER(torch.zeros(1, 2, 8, dtype=torch.float64))),
    ("R0513", "not a torch.Tensor", lambda: LAYER(np.zeros((1, 2, 8)))),
    ("R0513", "it needs mixer.S", lambda: LAYER.step(torch.zeros(1, 8), {"S": STATE})),
    ("R0513", "a Tensor, not a dict", lambda: LAYER.step(torch.zeros(1, 8), STATE)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("code", "words", "call"), WRONG, ids=[f"{code}: {words}" for code, words, _ in WRONG])
def test_what_cannot_work_is_said(code: str, words: str, call: Callable[[], Any]) -> None:
    with pytest.raises(CallError) as caught:
        call()
    assert caught.value.code == code
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["gla", "delta_net", "retnet", "hgrn"])
@pytest.mark.parametrize("form", ["chunk", "recurrent"])
def test_a_batch_of_nothing(name: str, form: str) -> None:
    """Values, states and gradients of no rows at all."""
    spec = rd.load(name)
    mixer = rd.compile(spec, heads=2, form=form, **{d.name: 3 for d in spec.dims})
    given = {i.name: torch.zeros(0, 70, 2, *[3] * len(i.axes), requires_grad=True) for i in spec.inputs}
    out, state = mixer(**given, return_state=True)
    assert out.shape[:2] == (0, 70)
    assert all(s.shape[0] == 0 for s in state.values())
    out.sum().backward()
    assert all(x.grad is not None and x.grad.shape == x.shape for x in given.values())


@pytest.mark.parametrize("form", ["chunk", "recurrent"])
def test_autocast_changes_nothing_inside(form: str) -> None:
    """A mixer computes in its inputs' precision, forward, backward and step."""
    mixer = rd.compile("gla", heads=2, K=5, V=3, form=form)
    leaves = {name: x.requires_grad_() for name, x in inputs(1, 70).items()}
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out, state = mixer(**leaves, return_state=True)
            _, after = mixer.step(state, **{name: x[:, 0] for name, x in leaves.items()})
            results.append((out, after["S"], *torch.autograd.grad(out.square().sum(), tuple(leaves.values()))))
    assert all(torch.equal(plain, cast) for plain, cast in zip(*results, strict=True))


def test_a_layer_takes_other_dtypes_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        y = LAYER(torch.zeros(1, 3, 8, dtype=torch.bfloat16))
    assert y.shape == (1, 3, 8)
