"""A disk that fails at the n-th call, for tests of what is written: every call of `os` and of files opened for writing counts.

`Death` stands for SIGKILL and a power cut: once it has come, nothing reaches the disk any more, no cleaning up either.
"""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jumok import disk

CALLS = ("open", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "link")


class Death(BaseException):
    """What a killed process is, to the code that it happens to."""


class Faulty:
    """Counts calls, and raises at the chosen one.

    Args:
        at: the number of the call that fails, from 1 on; 0 = none.
        error: makes what is raised.
        lasting: all calls after it fail, too.
        only: count these calls alone.
    """

    def __init__(self, at: int, error: Callable[[], BaseException], lasting: bool, only: tuple[str, ...]) -> None:
        self.at, self.error, self.lasting, self.only = at, error, lasting, only
        self.count, self.names = 0, list[str]()
        self.raised = False  # for whoever tries things with it

    def call(self, name: str) -> None:
        if self.only and name not in self.only:
            if self.lasting and self.failed:
                raise self.error()
            return
        self.count += 1
        self.names.append(name)
        if self.at and (self.count == self.at or (self.lasting and self.count > self.at)):
            raise self.error()

    @property
    def failed(self) -> bool:
        return 0 < self.at <= self.count


class _File:
    """A file opened for writing, whose every write counts."""

    def __init__(self, file: Any, faulty: Faulty) -> None:
        self._file, self._faulty = file, faulty

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: Any) -> int:
        self._faulty.call("write")
        return self._file.write(data)

    def flush(self) -> None:
        self._faulty.call("flush")
        self._file.flush()

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@contextmanager
def faulty(
    at: int = 0,
    error: Callable[[], BaseException] = Death,
    lasting: bool = True,
    swaps: bool = True,
    only: tuple[str, ...] = (),
) -> Iterator[Faulty]:
    """The disk fails inside; `swaps`: it can swap two names in one step."""
    found = Faulty(at, error, lasting, only)
    with pytest.MonkeyPatch.context() as patch:

        def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                found.call(name)
                return real(*arguments, **options)

            return call

        for name in CALLS:
            patch.setattr(os, name, counted(name, getattr(os, name)))
        really_open, really_swap = builtins.open, disk._swap

        def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if not set(mode) & set("wax+"):
                return really_open(file, mode, *arguments, **options)
            found.call("create")
            return _File(really_open(file, mode, *arguments, **options), found)

        def swap(a: Path, b: Path) -> bool:
            if not swaps:
                return False
            found.call("swap")
            return really_swap(a, b)

        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)
        patch.setattr(disk, "_swap", swap)
        yield found


@contextmanager
def refusing(place: Path, error: Callable[[], OSError], calls: tuple[str, ...]) -> Iterator[None]:
    """Whatever lies at `place` or under it, the chosen calls fail: open to read ("read") or to write ("create"), write, mkdir,
    replace, rename. Deleting goes on working, as on a full disk."""
    root = os.path.realpath(place)

    def hit(path: Any) -> bool:
        if isinstance(path, int):
            return False
        found = os.path.realpath(os.fsdecode(path))
        return found == root or found.startswith(root + os.sep)

    def near(path: Any) -> bool:  # a name beside the place, from which it would be renamed, or a file in such a folder
        found = isinstance(path, str | bytes | os.PathLike) and os.path.realpath(os.fsdecode(path))
        beside = os.path.dirname(root)
        return hit(path) or (bool(found) and found.startswith(beside + os.sep) and "new" in found[len(beside) :])

    class Full:
        def __init__(self, file: Any) -> None:
            self._file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def write(self, data: Any) -> int:
            raise error()

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

    with pytest.MonkeyPatch.context() as patch:
        really_open = builtins.open

        def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            writes = bool(set(mode) & set("wax+"))
            if ("create" if writes else "read") in calls and (near(file) if writes else hit(file)):
                raise _named(error(), file)
            found = really_open(file, mode, *arguments, **options)
            return Full(found) if writes and "write" in calls and near(file) else found

        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)

        def guarded(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def call(path: Any, *arguments: Any, **options: Any) -> Any:
                if near(path) or (arguments and near(arguments[0])):
                    raise _named(error(), path)
                return real(path, *arguments, **options)

            return call

        for name in ("mkdir", "replace", "rename"):
            if name in calls:
                patch.setattr(os, name, guarded(name, getattr(os, name)))
        yield


def _named(error: OSError, path: Any) -> OSError:
    error.filename = path
    return error
