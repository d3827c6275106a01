"""Modules of transformers by their torch paths, in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest import mock

import pytest
from torch import Tensor, nn

from tests.oracles.doubled import doubled


def modeling(name: str) -> Any:
    """A model's module; the test is skipped, saying so, where the package is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("transformers", reason="transformers is not installed: `make setup` adds it")
        return import_module(f"transformers.models.{name}.modeling_{name}")


def randomised(module: nn.Module, scale: float = 0.3) -> Any:
    """The module with random weights everywhere, in float64."""
    import torch

    generator = torch.Generator().manual_seed(1)
    module = module.double().eval()
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * scale
    return module


@contextmanager
def torch_paths(module: Any) -> Iterator[None]:
    """Undoes the replacement of a module's torch functions by kernels of installed packages."""
    with ExitStack() as stack:
        for name, function in vars(module).copy().items():
            if hasattr(function, "__wrapped__") and callable(function) and not isinstance(function, type):
                stack.enter_context(mock.patch.object(module, name, function.__wrapped__))
        yield


def run(module: nn.Module, *args: Any, **options: Any) -> Any:
    """The forward of a module with its casts to float32 going to float64."""
    forward: Callable[..., Any] = doubled(module.forward)
    with torch_paths(import_module(type(module).__module__)):
        return forward(*args, **options)


def stepped(layer: Any, x: Tensor) -> Tensor:
    """Our layer, token by token."""
    import torch

    state, steps = None, []
    for t in range(x.shape[1]):
        y, state = layer.step(x[:, t], state)
        steps.append(y)
    return torch.stack(steps, 1)
