"""What a person sees of a training: notes, a bar with rate and time left, and a line for each evaluation."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jumok.learn.board import Board
from jumok.learn.history import Evaluation

PATIENCE = 2.0  # seconds
WAITING = "… target tokens/s · loss …"


def lasting(seconds: float) -> str:
    """A time in words: "7 s", "16.3 minutes"."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


class Display:
    """A bar and a table on standard error; just lines where that is no terminal, nothing when `quiet`; and curves on a `board`."""

    def __init__(self, quiet: bool = False, board: Board | None = None) -> None:
        from rich.console import Console

        self.quiet, self.board = quiet, board
        self.console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self.bar: Any = None
        self.header: list[str] = []
        self.titles: Mapping[str, str] = {}  # of metrics' columns, where their names do not say enough

    def note(self, text: str) -> None:
        """One line of what is going on."""
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """One line of what may be wrong."""
        self.note(f"warning: {text}")

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Says what is being done, if it takes more than two seconds."""
        timer = threading.Timer(PATIENCE, self.note, [f"{title} …"])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def progress(self, title: str, more: str = "") -> Any:
        """An empty bar, or several, on a terminal: a title, how much is done of how much, more about it, and times."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn(title),
            BarColumn(),
            MofNCompleteColumn(),
            *([TextColumn(more)] if more else []),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        return Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)

    @contextlib.contextmanager
    def counting(self, title: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Shows a bar for `total` things, of which some are done; what it gives is called with how many more are."""
        with self.progress(title) as bar:
            task = bar.add_task(title, total=total, completed=done)
            yield lambda more: bar.advance(task, more)

    def start(self, steps: int, done: int = 0) -> None:
        """Shows the bar (on a terminal), and opens the board."""
        if self.board is not None:
            self.board.open(done)
        self._open_bar(steps, done)

    def advance(self, steps: tuple[int, int], rate: float, loss: float, learning_rate: float, gold_share: float) -> None:
        """Moves the bar; steps done and in all, rate in target tokens a second, loss in nats a token, both since the last look."""
        step, total = steps
        self._move_bar(step, total, f"{rate:,.0f} target tokens/s · loss {loss:.3f}")
        if self.board is not None:
            numbers = {"loss": loss, "learning_rate": learning_rate, "gold_share": gold_share, "tokens_per_second": rate}
            self.board.look(step, numbers)

    def row(self, evaluation: Evaluation) -> None:
        """One evaluation; the first one prints the table's head."""
        if self.board is not None:
            self.board.evaluation(evaluation)
        metrics = dict(evaluation.metrics)
        cells = {
            "step": f"{evaluation.step:,}",
            "epoch": f"{evaluation.epoch:.1f}",
            "time": f"{int(evaluation.seconds) // 60}:{int(evaluation.seconds) % 60:02d}",
            "tok/s": f"{evaluation.tokens_per_second:,.0f}",
            "train loss": f"{evaluation.train_loss:.3f}",
            "dev loss": f"{metrics.pop('loss'):.3f}",
            **{self.titles.get(name, name): f"{value:.2f}" for name, value in metrics.items()},
        }
        widths = [max(9, len(name) + 2) for name in cells]
        if not self.header:
            self.header = list(cells)
            self.note("".join(name.rjust(w) for name, w in zip(cells, widths, strict=True)))
        line = "".join(value.rjust(w) for value, w in zip(cells.values(), widths, strict=True))
        self.note(line + ("  ← best" if evaluation.best else ""))

    def stop(self) -> None:
        """Takes the bar away, and closes the board."""
        if self.board is not None:
            self.board.close()
        self._close_bar()

    # -- the bar of a training ----------------------------------------------------------------------------------------

    def _open_bar(self, steps: int, done: int) -> None:
        self.bar = self.progress("training", "{task.fields[pace]}")
        self.task = self.bar.add_task("training", total=steps, completed=done, pace=f"steps · {WAITING}")
        self.bar.start()

    def _move_bar(self, step: int, total: int, pace: str) -> None:
        self.bar.update(self.task, completed=step, total=total, pace=f"steps · {pace}")

    def _close_bar(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
