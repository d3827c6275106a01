"""These tests run kernels in Triton's interpreter, which must be chosen before triton is imported.

`make test` gives them a process of their own (TRITON_INTERPRET=1). Any other run leaves them out.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if os.environ.get("TRITON_INTERPRET") == "1" else True
