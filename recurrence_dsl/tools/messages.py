"""How the command line tells a person what went wrong: the message on standard error, never a traceback."""

from __future__ import annotations

import difflib
import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from ..diagnostics import CallError, Diagnostic, SpecError
from ..resources import find_spec, shipped_specs


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
    except OSError as error:
        if error.errno == errno.EPIPE or error.filename is None:
            raise
        raise fail(f"error: {error.filename}: {error.strerror}") from None


def print_findings(findings: Iterable[Diagnostic]) -> None:
    """Diagnostics with their source lines on standard error, in colour where that is a terminal."""
    from rich.console import Console

    from ..rendering import render_rich

    Console(stderr=True, highlight=False, soft_wrap=True).print(render_rich(findings))


def print_markdown(text: str) -> None:
    """Markdown, laid out on a terminal and as it is elsewhere."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(text)) if console.is_terminal else print(text.rstrip("\n"))


def spec_path(name: str) -> Path:
    """The file that a command's FILE means: a path, or a shipped spec's name. Ends the command when there is none."""
    path = find_spec(name)
    if path is not None:
        return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    raise fail(_no_such_spec(name))


def _no_such_spec(name: str) -> str:
    if Path(name).is_dir():
        return f"error: {name} is a folder, not a spec file"
    near = difflib.get_close_matches(Path(name).stem, [p.stem for p in shipped_specs()], n=1)
    lines = [f"error: there is no file {name}, nor a shipped spec of that name"]
    if near:
        lines.append(f"  = help: did you mean `{near[0]}`?")
    lines.append("  = help: `recurrence list` lists the shipped specs")
    return "\n".join(lines)
