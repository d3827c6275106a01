"""Runs reference code that casts to float32 inside, in float64 instead."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

import torch


class _DoubleTorch(ModuleType):
    """The torch module, with `float` and `float32` meaning float64."""

    float = torch.float64
    float32 = torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


@contextmanager
def _in_double(module: ModuleType) -> Iterator[None]:
    with (
        mock.patch.object(module, "torch", _DoubleTorch("torch")),
        mock.patch.object(torch.Tensor, "float", torch.Tensor.double),
    ):
        yield


def doubled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with every cast to float32 inside its module going to float64."""
    module = sys.modules[function.__module__]

    def call(*args: Any, **options: Any) -> Any:
        with _in_double(module):
            return function(*args, **options)

    return call
