"""Where the shipped specs and the templates lie: inside the package in a wheel, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

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
    if path.is_file():
        return path
    shipped = specs() / (path.name if path.suffix == ".spec" else f"{path.name}.spec")
    bare = path.parent == Path() or path.parent == Path("specs")
    return shipped if bare and shipped.is_file() else None
