"""These tests need a GPU: `pytest -m gpu`. With TRITON_INTERPRET=1 those that can run on a CPU do, on tiny shapes."""

from __future__ import annotations

import os

import pytest
import torch


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> str:
    """Where to run, with nothing tuned unless a test asks for it."""
    monkeypatch.setenv("RECURRENCE_TUNE", "0")
    if torch.cuda.is_available():
        return "cuda"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return "cpu"
    pytest.skip("there is no GPU")


@pytest.fixture
def gpu(device: str) -> str:
    """A real device."""
    if device != "cuda":
        pytest.skip("Triton's interpreter does not have this")
    return device
