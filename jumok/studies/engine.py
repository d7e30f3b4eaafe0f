"""Runs done one after another or side by side; what is finished is never done again, and Ctrl-C keeps it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jumok.errors import TrainingError
from jumok.processes import cores, worker_environment
from jumok.studies import worker
from jumok.studies.plan import LOG, RESULT, RUN, Interrupted, Run, as_json, finished, write_whole

POLL = 0.1  # seconds between two looks at the runs that go on


def carry_out(runs: list[Run], data: Path, jobs: int, say: Callable[[str], None]) -> int:
    """Does the runs that have no result yet. Returns 0, or the number of the signal that ended it early.

    Args:
        runs: in the order they are to be done.
        data: folder of the splits.
        jobs: runs side by side, each in a process of its own with its share of the cores; 1 = in this process.
        say: given one-line messages.

    Raises:
        ConfigError: a result there is of other options or data. TrainingError: a run failed; the others are kept.
    """
    left = deque(run for run in runs if finished(run) is None)
    progress = _Progress(len(runs), len(runs) - len(left), say)
    if 0 < len(left) < len(runs):
        say(f"{len(runs) - len(left)} of {len(runs)} runs are finished already; the others follow")
    try:
        if jobs == 1:
            for run in left:
                _write_spec(run, run.options.get("threads") or 0)
                progress.done(run, worker.work(run.folder, data))
        else:
            _side_by_side(left, data, jobs, progress)
    except Interrupted as e:
        return e.number
    except KeyboardInterrupt:
        return 2
    return 0


class _Progress:
    """A line for each finished run, with the time that the rest will take."""

    def __init__(self, total: int, finished: int, say: Callable[[str], None]) -> None:
        self.total, self.finished, self.say = total, finished, say
        self.start, self.own = time.perf_counter(), 0

    def done(self, run: Run, result: dict[str, Any]) -> None:
        self.finished, self.own = self.finished + 1, self.own + 1
        each = (time.perf_counter() - self.start) / self.own
        left = each * (self.total - self.finished)
        rest = f"; about {left / 60:.1f} minutes left" if left else ""
        self.say(
            f"[{self.finished}/{self.total}] {run.name}: {result['measured']['headline']} ({result['seconds']:.0f} s){rest}"
        )


def _write_spec(run: Run, threads: int) -> None:
    spec = run.spec()
    spec["options"] = {**run.options, "threads": threads}
    write_whole(run.folder / RUN, as_json(spec))


def _side_by_side(left: deque[Run], data: Path, jobs: int, progress: _Progress) -> None:
    active: dict[subprocess.Popen[bytes], Run] = {}
    failed: tuple[Run, int] | None = None
    try:
        while active or (left and failed is None):
            while left and len(active) < jobs and failed is None:
                run = left.popleft()
                active[_start(run, data, run.options.get("threads") or max(1, cores() // jobs))] = run
            for process, run in list(active.items()):
                status = process.poll()
                if status is None:
                    continue
                del active[process]
                if status == 0:
                    progress.done(run, worker.read_json(run.folder / RESULT))
                else:
                    failed = failed or (run, status)
            time.sleep(POLL)
    finally:
        for process in active:
            process.terminate()
        for process in active:
            process.wait()
    if failed is not None:
        _raise(*failed)


def _start(run: Run, data: Path, threads: int) -> subprocess.Popen[bytes]:
    _write_spec(run, threads)
    command = [sys.executable, "-m", "jumok.studies.worker", str(run.folder), str(data)]
    with open(run.folder / LOG, "wb") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=worker_environment(threads))


def _raise(run: Run, status: int) -> None:
    if status in (130, 143):
        raise Interrupted(status - 128)
    log = (run.folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = log[-1].removeprefix("jumok: ") if log else f"ended with status {status}"
    raise TrainingError(f"{run.folder}: the run failed: {last} (all it said: {run.folder / LOG})")
