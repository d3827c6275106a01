"""How the command line tells a person what went wrong: the message on standard error, never a traceback."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer

from ..diagnostics import CallError, Diagnostic, SpecError

EXTRAS = {"hypothesis": "testing", "safetensors": "weights", "triton": "triton"}
"""Packages that only some commands need, and the extra of this one that brings them."""


def fail(message: str) -> typer.Exit:
    """Prints a message to standard error; raise what it returns to end with exit status 1."""
    print(message, file=sys.stderr)
    return typer.Exit(1)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns a user's mistake in a spec, a call or a path into its message and exit status 1."""
    try:
        yield
    except SpecError as error:
        print_findings(error.diagnostics)
        raise typer.Exit(1) from None
    except CallError as error:
        raise fail(str(error)) from None
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        extra = f'pip install "recurrence-dsl[{EXTRAS[error.name]}]"'
        raise fail(f"error: this needs the package {error.name}\n  = help: {extra}") from None
    except OSError as error:
        if error.errno == errno.EPIPE or error.filename is None:
            raise
        raise fail(f"error: {error.filename}: {error.strerror}") from None


def print_findings(findings: Iterable[Diagnostic]) -> None:
    """Diagnostics with their source lines on standard error, in colour where that is a terminal."""
    from rich.console import Console

    from ..rendering import render_rich

    if text := render_rich(findings):
        Console(stderr=True, highlight=False, soft_wrap=True).print(text)


def print_markdown(text: str) -> None:
    """Markdown, laid out on a terminal and as it is elsewhere."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(text)) if console.is_terminal else print(text.rstrip("\n"))
