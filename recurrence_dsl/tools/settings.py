"""`--set NAME=VALUE` of the command line: sizes of axes and values of consts."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from ..check.spec import Spec
from ..interpreter.binding import representative

USUAL_SIZE = 64
"""The size of an axis for which neither the spec nor the caller has one."""


def with_usual_sizes(spec: Spec, settings: Mapping[str, float], size: int = USUAL_SIZE) -> dict[str, float]:
    """The settings, with a size for each axis that neither they nor the spec give one."""
    return {**{d.name: size for d in spec.dims if d.default is None and not _given(d.name, spec, settings)}, **settings}


def _given(axis: str, spec: Spec, settings: Mapping[str, float]) -> bool:
    """Has the axis, or one that is renamed to or from it, been given a size?"""
    return any(representative(axis, spec) == representative(d.name, spec) for d in spec.dims if d.name in settings)


def parse_settings(texts: list[str]) -> dict[str, int | float]:
    """`["K=64", "c=0.5"]` as a dict; whole numbers become ints. Raises `typer.BadParameter`."""
    return dict(_setting(text) for text in texts)


def _setting(text: str) -> tuple[str, int | float]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE, as in K=64")
    return name, _number(name, value)


def _number(name: str, text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"the value of {name} must be a number, not {text!r}") from None
