"""How the command line tells a person what went wrong: the message on standard error, never a traceback."""

from __future__ import annotations

import difflib
import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from ..diagnostics import CallError, SpecError
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
        raise fail(rendered(error)) from None
    except CallError as error:
        raise fail(str(error)) from None
    except OSError as error:
        if error.errno == errno.EPIPE or error.filename is None:
            raise
        raise fail(f"error: {error.filename}: {error.strerror}") from None


def rendered(error: SpecError) -> str:
    """Every finding of a spec with its source lines."""
    from ..rendering import render_all

    return render_all(error.diagnostics)


def spec_path(name: str) -> Path:
    """The file that a command's FILE means: a path, or a shipped spec's name. Ends the command when there is none."""
    path = find_spec(name)
    if path is not None:
        return path
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
