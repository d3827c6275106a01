"""Loading a generated source: once for each text, whatever asks for it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch

import recurrence_dsl as rd
from recurrence_dsl.runtime import load


def test_threads_share_one_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second import would register operators anew while another thread runs them, which ends the process."""
    imported = []
    plain = load._import

    def slowly(*args: object) -> ModuleType:
        imported.append(args)
        time.sleep(0.05)
        return plain(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(load, "_import", slowly)
    found: list[ModuleType] = []
    text = f"VALUE = {time.time_ns()}\n"
    threads = [threading.Thread(target=lambda: found.append(load.load_source(text, "value"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(imported) == 1
    assert len(found) == 4
    assert all(module is found[0] for module in found)


def test_an_edited_copy_leaves_the_first_ones_operators_alone() -> None:
    mixer = rd.compile("retnet", heads=2, K=4, V=4)
    inputs = {i.name: torch.randn(1, 5, 2, 4) for i in mixer.spec.inputs}
    wanted = mixer(**inputs)
    text = Path(mixer.kernels.__file__).read_text()
    copy = load.load_source(f"{text}\n_forward_blocks = _backward_blocks = None\n", "edited")
    assert copy.NAME != mixer.kernels.NAME
    assert torch.equal(mixer(**inputs), wanted)
