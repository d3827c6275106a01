"""Runs a function in a process of its own that may not take more than its share of the machine."""

from __future__ import annotations

import resource
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

SECONDS = 180
"""Of a processor's time, for the process itself and for each program that it starts."""
BYTES = 4 << 30
"""Of memory, likewise."""


class OverLimit(Exception):
    """The process ended without a result, or said that it ran out of memory."""


def limited(call: Callable[..., Any], *given: object, seconds: int = SECONDS, size: int = BYTES) -> Any:
    """What `call(*given)` gives. Raises OverLimit where the limits end it, else what it raises."""
    context = get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, seconds, size, call, given))
    process.start()
    theirs.close()
    try:
        worked, found = ours.recv()
    except EOFError:
        raise OverLimit from None
    finally:
        process.join()
        ours.close()
    if not worked:
        raise found
    return found


def _run(answer: Connection, seconds: int, size: int, call: Callable[..., Any], given: tuple[object, ...]) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    room = _in_use() + size  # a fork begins with what its parent holds
    resource.setrlimit(resource.RLIMIT_DATA, (room, room))
    try:
        found: tuple[bool, Any] = True, call(*given)
    except MemoryError:
        return
    except Exception as fault:  # noqa: BLE001 - raised again in the process that waits
        found = False, fault
    answer.send(found)


def _in_use() -> int:
    """Bytes of data that this process has mapped; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


__all__ = ["BYTES", "SECONDS", "OverLimit", "limited"]
