"""Processes: how many cores this one may use, and the environment of those that it starts."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

LIBRARIES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)  # what limits the threads of NumPy's and torch's products


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_environment(threads: int) -> dict[str, str]:
    """The environment of a worker, which finds this very package first, and computes with so many `threads`."""
    package = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **dict.fromkeys(LIBRARIES, str(threads))}


def when_the_parent_ends(then: Callable[[], None]) -> None:
    """In a worker, calls `then`, in a thread of its own, when the other end of standard input is closed or its process has ended."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            os.read(0, 1)  # not sys.stdin, whose lock would stop the interpreter from ending
        then()

    threading.Thread(target=watch, daemon=True).start()
