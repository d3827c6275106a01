"""Where the shipped specs and the templates lie: inside the package in a wheel, beside it in a checkout."""

from __future__ import annotations

import difflib
from pathlib import Path

from .diagnostics import CallError

PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    """`recurrence_dsl/NAME` where it exists (a wheel), else the checkout's top-level `NAME`."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def templates() -> Path:
    """The folder with one folder of templates for each back end."""
    return _folder("templates")


def specs() -> Path:
    """The folder of the shipped specs."""
    return _folder("specs")


def shipped_specs() -> tuple[Path, ...]:
    """The shipped spec files, by name."""
    return tuple(sorted(specs().glob("*.spec")))


def find_spec(name: str | Path) -> Path | None:
    """The file that `name` means: a path that exists, else a shipped spec's name with or without `.spec`."""
    path = Path(name)
    if _is_file(path):
        return path
    shipped = specs() / (path.name if path.suffix == ".spec" else f"{path.name}.spec")
    bare = path.parent == Path() or path.parent == Path("specs")
    return shipped if bare and _is_file(shipped) else None


def _is_file(path: Path) -> bool:
    """Is there such a file? What cannot be a file's name is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_spec(name: str | Path) -> tuple[str, str]:
    """The text of a spec file or of a shipped spec, and what messages call it. Raises CallError where there is none."""
    if not str(name):
        raise CallError("R0906", "an empty text is no spec", "give a path, or the text of a spec")
    path = find_spec(name)
    if path is None:
        raise CallError("R0906", _nothing_there(Path(name)), _advice(Path(name)))
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    try:
        return path.read_text(encoding="utf-8"), str(shown)
    except UnicodeDecodeError:
        raise CallError("R0906", f"{shown} is not a text file in UTF-8") from None
    except OSError as error:
        raise CallError("R0906", f"{shown} cannot be read: {error.strerror}") from None


def _nothing_there(path: Path) -> str:
    try:
        if path.is_dir():
            return f"{path} is a folder, not a spec file"
    except (OSError, ValueError):
        pass
    shown = str(path) if len(str(path)) <= 200 else f"{str(path)[:200]}…"
    return f"there is no file {shown}, nor a shipped spec of that name"


def _advice(path: Path) -> str:
    near = difflib.get_close_matches(path.stem, [p.stem for p in shipped_specs()], n=1)
    return f"did you mean `{near[0]}`?" if near else "give a path, or a name that `recurrence list` shows"
