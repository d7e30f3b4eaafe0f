"""A member of an ensemble, trained in a process of its own: `python -m jumok.learn.worker`, which `jumok.learn.side_by_side` starts.

What it is to do stands in the first line of standard input, as JSON. What it has to say goes to standard output, a JSON object a
line, whose keys `side_by_side` explains. Where standard input ends, it stops as at Ctrl-C: its checkpoint is written, and nothing lost.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from jumok.config import TrainConfig, build, to_dict
from jumok.errors import JumokError
from jumok.interrupt import heard
from jumok.learn import start
from jumok.learn.board import Board
from jumok.learn.display import WAITING, Display
from jumok.processes import when_the_parent_ends

Say = Callable[[dict[str, Any]], None]


def work(order: dict[str, Any], say: Say) -> int:
    """Trains the member that the order names. Returns the exit status."""
    asked = build(TrainConfig, order["asked"], "worker")
    begun = time.perf_counter() - max(0.0, time.time() - order["time"])
    alike = build(TrainConfig, order["alike"], "worker") if order["alike"] else None
    told = {
        "alike": alike,
        "show": lambda quiet, board: Telling(say, quiet, board),
        "settled": lambda config: say({"settled": to_dict(config)}),
    }
    try:
        done = start.sit(asked, begun, order["given"], order["sitting"] | told)
    except JumokError as e:
        say({"error": [type(e).__name__, str(e)]})
        return e.exit_code
    return 128 + done.interrupted if done.interrupted else 0


class Telling(Display):
    """A display that another process shows."""

    def __init__(self, say: Say, quiet: bool, board: Board | None) -> None:
        super().__init__(quiet, board)
        self.say: Say = (lambda _: None) if quiet else say

    def note(self, text: str) -> None:
        self.say({"note": text})

    @contextlib.contextmanager
    def counting(self, title: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        def advance(more: int) -> None:
            nonlocal done
            done += more
            self.say({"bar": [done, total, title]})

        advance(0)
        try:
            yield advance
        finally:
            self._close_bar()

    def _open_bar(self, steps: int, done: int) -> None:
        self._move_bar(done, steps, WAITING)

    def _move_bar(self, step: int, total: int, pace: str) -> None:
        self.say({"bar": [step, total, f"steps · {pace}"]})

    def _close_bar(self) -> None:
        self.say({"bar": None})


def _mouth() -> Say:
    """Says things on what was standard output; what is printed there from now on goes to standard error."""
    lock, stream = threading.Lock(), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def say(what: dict[str, Any]) -> None:
        left = memoryview(json.dumps(what).encode() + b"\n")
        with lock, contextlib.suppress(OSError):  # nobody may listen any more
            while left:  # a signal may cut a write short
                left = left[stream.write(left) :]

    return say


def main() -> int:
    """Exit status: that of `jumok train`."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    line = sys.stdin.buffer.readline()
    if not line:
        return 1  # the parent has ended already
    when_the_parent_ends(_thread.interrupt_main)  # as Ctrl-C does
    return work(json.loads(line), _mouth())


if __name__ == "__main__":
    sys.exit(heard(main))
