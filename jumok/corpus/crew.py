"""A crew: several processes (`jumok.corpus.worker`) that do the same work on one piece of data after another.

They talk through pipes: a line of JSON, then bytes. Nothing that comes through a pipe is run as code. The program that calls
`jumok.train` is not imported again. A worker ends when its crew is gone, even if that was killed.
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

Message = tuple[dict[str, Any], Sequence[bytes]]  # a header of JSON values, and data
Work = Callable[[dict[str, Any], Sequence[bytes]], dict[str, Any]]

WORKS: dict[str, Callable[[dict[str, Any]], Work]] = {"survey": Surveying, "shards": Sharding}


class Crew:
    """Processes for one kind of work, for the length of a `with`.

    Args:
        work: a key of WORKS.
        settings: of the work, as JSON values.
        size: number of processes; 1 = the work is done in this process.
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
            member.process.kill()  # files are written whole or not at all
        self._threads.shutdown(cancel_futures=True)
        for member in self._members:
            member.end()

    def do(self, tasks: Iterable[Message]) -> Iterator[dict[str, Any]]:
        """The answers, in the order of the tasks. Takes a few tasks ahead, so that no process waits.

        Raises:
            DataError: a process has ended. What `tasks` raises, after the answers to the tasks before it.
        """
        ahead: deque[Future[dict[str, Any]]] = deque()
        coming: Iterator[Message] | None = iter(tasks)
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
    """One process of the crew, seen from outside."""

    def __init__(self, work: str, settings: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jumok.corpus.worker", work],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=worker_environment(threads=1),
            start_new_session=True,  # so that Ctrl-C reaches only this process
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
        except (OSError, ValueError):  # the process has closed its end of the pipe
            line = b""
        if not line:
            raise DataError(
                f"a process that read pairs ended with status {self.process.wait()}; see its message above; without one, the "
                "memory may be full. Finished parts are kept; give the same command again to go on"
            )
        return json.loads(line)

    def end(self) -> None:
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # data that the ended process has not read
                    stream.close()


def _send(stream: Any, values: dict[str, Any], data: Sequence[bytes] = ()) -> None:
    stream.write(json.dumps({"values": values, "sizes": [len(part) for part in data]}).encode() + b"\n")
    for part in data:
        stream.write(part)
    stream.flush()


def receive(stream: BinaryIO) -> Message | None:
    """The next message of the crew; None if there is none, or only a part of one, because the crew is gone."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    message = json.loads(line)
    data = [stream.read(size) for size in message["sizes"]]
    return (message["values"], data) if list(map(len, data)) == message["sizes"] else None
