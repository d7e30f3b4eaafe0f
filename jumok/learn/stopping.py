"""Ctrl-C and SIGTERM while a run goes on: the first one ends it at a good place, the second one at once."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], None], repeated: bool = False) -> Iterator[list[int]]:
    """Calls `stop` when a signal comes, in the main thread between two steps of Python; in another thread it does nothing.

    Args:
        repeated: one press may come as several signals, as from torchrun, so that the second means no more than the first.

    Yields:
        The numbers of the signals that came.
    """
    caught: list[int] = []

    def heard(number: int, _: Any) -> None:
        if caught and not repeated:  # the second time means it
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        caught.append(number)
        stop()

    try:
        old = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals are somebody else's
        old = {}
    try:
        yield caught
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
