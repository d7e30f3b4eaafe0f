"""What a command shows while it works."""

from __future__ import annotations

import sys
from typing import Any


class Bar:
    """A progress bar on standard error, if that is a terminal and it is to be `shown`; nothing elsewhere."""

    def __init__(self, title: str, total: int, shown: bool = True) -> None:
        self.title, self.total, self.shown = title, total, shown
        self.bar: Any = None

    def __enter__(self) -> Bar:
        if self.shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

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
