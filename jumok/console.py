"""What a command shows while it works."""

from __future__ import annotations

import sys
from typing import Any


class Bar:
    """A progress bar on standard error, if that is a terminal and it is to be `shown`; nothing elsewhere.

    Without the package `rich` it is a line that says how many percent are done.
    """

    def __init__(self, title: str, total: int, shown: bool = True) -> None:
        self.title, self.total, self.shown = title, total, shown
        self.bar: Any = None

    def __enter__(self) -> Bar:
        if self.shown and sys.stderr.isatty():
            try:
                from rich.console import Console
                from rich.progress import Progress
            except ModuleNotFoundError:
                self.bar = _Percent()
            else:
                self.bar = Progress(console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task(self.title, total=self.total)
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def advance(self, n: int, title: str = "") -> None:
        """`n` more are done; a title takes the place of the one before."""
        if self.bar is not None:
            self.bar.update(self.task, advance=n, description=title or None)


class _Percent:
    """What `Bar` uses of rich's Progress, as one line of text, which goes away at the end."""

    def add_task(self, title: str, total: int) -> int:
        self.title, self.total, self.done, self.line = title, total, 0, ""
        return 0

    def start(self) -> None:
        self.update(0, 0, None)

    def update(self, task: int, advance: int, description: str | None) -> None:
        self.title, self.done = description or self.title, self.done + advance
        line = f"{self.title} {100 * self.done // max(self.total, 1)} %"
        if line != self.line:
            print(f"\r{line:<{len(self.line)}}", end="", file=sys.stderr, flush=True)
            self.line = line

    def stop(self) -> None:
        print("\r" + " " * len(self.line) + "\r", end="", file=sys.stderr, flush=True)
