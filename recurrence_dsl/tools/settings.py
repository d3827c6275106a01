"""`--set NAME=VALUE` of the command line: sizes of axes and values of consts."""

from __future__ import annotations

import typer


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
