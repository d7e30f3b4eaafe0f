"""Crew: several processes (`jumok.corpus.worker`) that do the same work on one piece of data after another.

They talk through pipes, in lines of JSON with bytes behind them: nothing that comes through a pipe is run, the program that
calls `jumok.train` is not imported again, and a process whose crew has gone, however that came, ends.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, BinaryIO

from jumok.corpus.shards import Sharding
from jumok.corpus.survey import Surveying
from jumok.errors import DataError
from jumok.processes import worker_environment

Task = tuple[dict[str, Any], Sequence[bytes]]  # a header of JSON values, and data
Work = Callable[[dict[str, Any], Sequence[bytes]], dict[str, Any]]

WORKS: dict[str, Callable[[dict[str, Any]], Work]] = {"survey": Surveying, "shards": Sharding}


class Crew:
    """Processes for one kind of work, for the length of a `with`.

    Args:
        work: a key of WORKS.
        settings: what the work is made from, as JSON values.
        size: processes; 1 = it is done in this one.
    """

    def __init__(self, work: str, settings: dict[str, Any], size: int) -> None:
        self.work, self.settings, self.size = work, settings, size

    def __enter__(self) -> Crew:
        self._alone = WORKS[self.work](self.settings) if self.size == 1 else None
        self._members = [_Member(self.work, self.settings) for _ in range(self.size if self._alone is None else 0)]
        self._idle: SimpleQueue[_Member] = SimpleQueue()
        for member in self._members:
            self._idle.put(member)
        self._threads = ThreadPoolExecutor(self.size)
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._members:
            member.process.kill()  # what is written is written under another name first
        self._threads.shutdown(cancel_futures=True)
        for member in self._members:
            member.end()

    def do(self, tasks: Iterable[Task]) -> Iterator[dict[str, Any]]:
        """The answers, in the tasks' order; a few tasks are taken ahead of them, so that nobody waits.

        Raises:
            DataError: a process has ended; or what `tasks` raises, after the answers to what came before.
        """
        ahead: deque[Future[dict[str, Any]]] = deque()
        coming: Iterator[Task] | None = iter(tasks)
        error: DataError | None = None
        while True:
            while coming is not None and len(ahead) < 2 * self.size:
                try:
                    ahead.append(self._threads.submit(self._one, *next(coming)))
                except StopIteration:
                    coming = None
                except DataError as e:
                    coming, error = None, e
            if not ahead:
                break
            yield ahead.popleft().result()
        if error is not None:
            raise error

    def _one(self, header: dict[str, Any], data: Sequence[bytes]) -> dict[str, Any]:
        if self._alone is not None:
            return json.loads(json.dumps(self._alone(header, data)))  # the same types as through a pipe
        member = self._idle.get()
        try:
            return member.ask(header, data)
        finally:
            self._idle.put(member)


class _Member:
    """One process, seen from outside."""

    def __init__(self, work: str, settings: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jumok.corpus.worker", work],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=worker_environment(threads=1),
            start_new_session=True,  # Ctrl-C is for the one who asks
        )
        self._settings: dict[str, Any] | None = settings

    def ask(self, header: dict[str, Any], data: Sequence[bytes]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            if self._settings is not None:
                _send(self.process.stdin, self._settings)
                self._settings = None
            _send(self.process.stdin, header, data)
            line = self.process.stdout.readline()
        except (OSError, ValueError):  # its end of the pipe is closed
            line = b""
        if not line:
            raise DataError(
                f"a process that read pairs ended with status {self.process.wait()}; what it said stands above, or the memory "
                "is full. What is finished is kept; the same command goes on"
            )
        return json.loads(line)

    def end(self) -> None:
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was still to be sent to a process that has ended
                    stream.close()


def _send(stream: Any, values: dict[str, Any], data: Sequence[bytes] = ()) -> None:
    stream.write(json.dumps({"values": values, "sizes": [len(part) for part in data]}).encode() + b"\n")
    for part in data:
        stream.write(part)
    stream.flush()


def receive(stream: BinaryIO) -> Task | None:
    """The next message of the crew; None where there is none, or not all of one: then the crew has gone."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    message = json.loads(line)
    data = [stream.read(size) for size in message["sizes"]]
    return (message["values"], data) if list(map(len, data)) == message["sizes"] else None
