"""Members of an ensemble that are trained side by side (`--jobs`), each in a process of its own with its share of the cores.

What a process says is a JSON object a line: {"note": a line for the person}, {"bar": [done, total, what]} or {"bar": null} where there
is none any more, {"settled": its configuration}, {"error": [class, message]}. All of them stop, and write their checkpoints, when
their standard input is closed: by this process, or because it has ended, however that was.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from signal import SIGINT, SIGTERM
from typing import Any

from jumok import errors
from jumok.config import TrainConfig, build, to_dict
from jumok.errors import JumokError, TrainingError
from jumok.learn.display import Display
from jumok.learn.stopping import stopped_by_signals
from jumok.processes import worker_environment

LOOK = 0.1  # seconds after which it is looked whether a signal came
STOPPED = {status: int(n) for n in (SIGINT, SIGTERM) for status in (128 + n, -n)}  # signals, by the status that they leave

Said = tuple[int, dict[str, Any] | None]  # a member's number, and what it says; None: its process has ended


@dataclass(frozen=True)
class Order:
    """What a member's process is told to do.

    Attributes:
        asked: the configuration, of this member alone.
        sitting: what else `jumok.train` was given, by name.
        given: the names of options that were given.
        alike: the training of another member, as in `jumok.learn.run.Manner`.
        threads: of its process.
    """

    asked: TrainConfig
    sitting: dict[str, Any]
    given: list[str]
    alike: TrainConfig | None
    threads: int

    def in_a_line(self) -> bytes:
        """As JSON, with the time, since --minutes begin now."""
        parts = {"asked": to_dict(self.asked), "alike": self.alike and to_dict(self.alike)}
        return json.dumps({**parts, "sitting": self.sitting, "given": self.given, "time": time.time()}).encode() + b"\n"


def train_members(
    numbers: Sequence[int],
    jobs: int,
    alike: TrainConfig | None,
    order_of: Callable[[int, int, TrainConfig | None], Order],
    display: Display,
    first_alone: bool,
) -> int:
    """Trains these members, at most `jobs` at a time.

    Args:
        alike: what they are to be like; None: the first one settles it.
        first_alone: the others wait until the first one's configuration is settled, and a teacher has written.
        order_of: given a member's number, how many are to be trained one after another in its place, itself included, and what it
            is to be like.

    Returns:
        0, or the number of the signal that stopped them.

    Raises:
        JumokError: of the first member that raised one, or whose process has ended otherwise; all have stopped.
    """
    waiting, said = deque(numbers), queue.SimpleQueue[Said]()
    running: dict[int, _Member] = {}
    error: JumokError | None = None
    stop, settled = 0, not first_alone

    def halt() -> None:
        for member in running.values():
            member.stop()

    with stopped_by_signals(halt) as caught, _bars(display) as bar:
        try:
            while running or (waiting and not stop and error is None):
                stop = stop or (caught[0] if caught else 0)
                if stop or error is not None:
                    halt()
                while waiting and not stop and error is None and len(running) < jobs and (settled or not running):
                    number, after = waiting[0], -(-len(waiting) // jobs)
                    running[number] = _Member(number, order_of(number, after, alike), said)
                    waiting.popleft()
                try:
                    number, what = said.get(timeout=LOOK)
                except queue.Empty:
                    continue
                if what is None:
                    status = running.pop(number).process.wait()
                    bar(number, None)
                    if status in STOPPED:
                        stop = stop or (caught[0] if caught else STOPPED[status])
                    elif status and error is None:
                        error = TrainingError(_ended(number, status))
                elif "settled" in what:
                    settled, alike = True, alike or build(TrainConfig, what["settled"], "member")
                elif "error" in what:
                    error = error or _error(number, *what["error"])
                elif "note" in what:
                    display.note(f"[{number}] {what['note']}")
                else:
                    bar(number, what["bar"])
        except BaseException:
            for member in running.values():
                member.process.kill()  # files are written whole or not at all
            raise
    if error is not None:
        raise error
    return stop


class _Member:
    """The process that trains a member, seen from outside."""

    def __init__(self, number: int, order: Order, said: queue.SimpleQueue[Said]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jumok.learn.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=worker_environment(order.threads),
            start_new_session=True,  # so that Ctrl-C reaches only this process
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
        )
        assert self.process.stdin is not None
        self.stdin = self.process.stdin
        threading.Thread(target=self._listen, args=(number, said), daemon=True).start()
        with contextlib.suppress(OSError):  # it has ended already
            self.stdin.write(order.in_a_line())
            self.stdin.flush()

    def stop(self) -> None:
        """Asks it to write its checkpoint and to end."""
        with contextlib.suppress(OSError):
            self.stdin.close()

    def _listen(self, number: int, said: queue.SimpleQueue[Said]) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                try:
                    said.put((number, json.loads(line)))
                except ValueError:  # something printed while Python started
                    said.put((number, {"note": line.decode("utf-8", "replace").rstrip()}))
        said.put((number, None))


def _error(number: int, name: str, message: str) -> JumokError:
    """The error of another process. One that is made of more than a message becomes a TrainingError."""
    kind = getattr(errors, name, None)
    plain = kind if kind in (errors.ConfigError, errors.DataError, errors.FolderError, errors.OutputError) else TrainingError
    return plain(f"model {number}: {message}")


def _ended(number: int, status: int) -> str:
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"model {number}: its process {how}; the others have written their checkpoints, and the same command with --resume goes on"


@contextlib.contextmanager
def _bars(display: Display) -> Iterator[Callable[[int, list[Any] | None], None]]:
    """A bar for each member, on a terminal: given its number, and what is done, in all, and in words."""
    tasks: dict[int, Any] = {}
    with display.progress("{task.description}", "{task.fields[what]}") as bars:

        def bar(number: int, state: list[Any] | None) -> None:
            if state is None:
                if number in tasks:
                    bars.remove_task(tasks.pop(number))
                return
            done, total, what = state
            if number not in tasks:
                tasks[number] = bars.add_task(f"[{number}]", total=total, completed=done, what=what)
            bars.update(tasks[number], completed=done, total=total, what=what)

        yield bar
