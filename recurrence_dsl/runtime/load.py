"""source -> module: written to the cache and imported from there, so that tracebacks show real lines."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
from pathlib import Path
from types import ModuleType

from ..options import cache_dir

_loaded: dict[str, ModuleType] = {}
_loading = threading.Lock()


def load_source(text: str, name: str) -> ModuleType:
    """The module of an emitted source; the same text gives the same module, in every thread.

    A second import would register its operators anew, under a thread that may be running the first one's.
    """
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    with _loading:
        if key not in _loaded:
            _loaded[key] = _import(_write(text, f"{name}_{key}"), f"recurrence_dsl_generated.{name}_{key}")
        return _loaded[key]


def _write(text: str, stem: str) -> Path:
    """The cached file; another process may be writing the same one, so it appears whole or not at all."""
    path = _folder() / f"{stem}.py"
    if not path.is_file() or path.read_text() != text:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as part:
            part.write(text)
        os.replace(part.name, path)
    return path


def _folder() -> Path:
    """The cache, or a temporary folder where the cache cannot be written."""
    try:
        folder = cache_dir() / "generated"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="recurrence_dsl_"))


def _import(path: Path, name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module
