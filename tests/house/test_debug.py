"""Debug mode checks what a spec promises about its inputs."""

import math

import pytest
import torch

import recurrence_dsl as rd

SPEC = """mixer m
input  x in [0, 1)
input  g in (-inf, 0]
input  free
state  s = exp(g) * s[t-1] + x * free
output o = s
"""


def call(x: float, g: float, free: float = 9.0) -> None:
    mixer = rd.compile(rd.load(SPEC), heads=1)
    mixer(x=torch.full((1, 2, 1), x), g=torch.full((1, 2, 1), g), free=torch.full((1, 2, 1), free))


@pytest.fixture
def debug(monkeypatch):
    monkeypatch.setenv("RECURRENCE_DEBUG", "1")


@pytest.mark.parametrize(("x", "g"), [(0.0, 0.0), (0.5, -50.0), (0.99, -1e30)])
def test_what_is_promised_passes(debug, x, g):
    call(x, g)


@pytest.mark.parametrize(("x", "g"), [(1.0, 0.0), (-0.1, 0.0), (0.5, 1e-3), (math.nan, 0.0), (0.5, -math.inf)])
def test_what_is_not_is_reported(debug, x, g):
    with pytest.raises(rd.CallError, match="the spec promises") as caught:
        call(x, g)
    assert caught.value.code == "R0410"


def test_an_empty_input_keeps_every_promise(debug):
    mixer = rd.compile(rd.load(SPEC), heads=1)
    empty = torch.zeros(1, 0, 1)
    assert mixer(x=empty, g=empty, free=empty).shape == (1, 0, 1)


def test_without_debug_mode_promises_are_trusted(monkeypatch):
    monkeypatch.setenv("RECURRENCE_DEBUG", "0")
    call(2.0, 0.5)
