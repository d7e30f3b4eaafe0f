"""What this machine does best, found by trying: number format, library for products, threads.

PERFORMANCE decides little by itself: the same setting is twice as fast on one CPU and impossible on another. So a few real
training steps are timed under each setting, and the fastest one that computes rightly is taken.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from jumok.config import LearnConfig
from jumok.errors import ConfigError

WORTH = 1.15  # bfloat16 must be this much faster than float32 to be worth its rounding
RIGHT = 1e-5  # largest relative error of a float32 product


@dataclass(frozen=True)
class Machine:
    """How to compute: `precision` float32 or bfloat16, `matmul` default or onednn, CPU `threads`, `device` cpu or cuda; each of
    `processes` so."""

    precision: str
    matmul: str
    threads: int
    device: str = "cpu"
    processes: int = 1

    def __str__(self) -> str:
        each = f", each of {self.processes} processes" if self.processes > 1 else ""
        if self.device == "cuda":
            return f"{self.precision} on {torch.cuda.get_device_name()}{each}"
        library = ", oneDNN products" if self.matmul == "onednn" else ""
        return f"{self.precision}{library}, {self.threads} thread{'s' * (self.threads > 1)} on the CPU{each}"

    def apply(self) -> None:
        """Makes the settings torch's own, for the whole process."""
        torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision("medium" if self.matmul == "onednn" else "highest")

    def wait(self) -> None:
        """Until all work handed to a GPU is done, so that a clock read now tells the truth."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """The context a forward pass runs in."""
        if self.precision == "bfloat16":
            return torch.autocast(self.device, torch.bfloat16)
        return contextlib.nullcontext()


def choose(learn: LearnConfig, step: Callable[[Machine], None], tries: int = 4, sharers: int = 1) -> Machine:
    """The fastest of the settings that `learn` leaves open.

    Args:
        learn: its precision, matmul and threads; what is not `auto` (0 for threads) is taken as it is.
        step: runs one training step under the settings it is given (already applied), changing nothing that lasts.
        tries: steps timed under each setting; the fastest counts, since a machine is only ever slowed down.
        sharers: processes that share this host's cores.
    """
    best: dict[str, tuple[float, Machine]] = {}
    candidates = list(_candidates(learn, sharers))
    if len(candidates) == 1:
        candidates[0].apply()
        return candidates[0]
    for machine in candidates:
        machine.apply()
        if learn.matmul == "auto" and machine.matmul == "onednn" and _product_error() > RIGHT:
            continue
        try:
            seconds = min(_timed(step, machine) for _ in range(tries))
        except RuntimeError:  # a format this CPU has no LSTM for
            continue
        if machine.precision not in best or seconds < best[machine.precision][0]:
            best[machine.precision] = seconds, machine
    slow, fast = best.get("float32"), best.get("bfloat16")
    chosen = fast if fast and (not slow or slow[0] > WORTH * fast[0]) else slow
    assert chosen is not None
    chosen[1].apply()
    return chosen[1]


def device(learn: LearnConfig) -> str:
    """cpu or cuda: what `learn` asks for, if it is there."""
    there = torch.cuda.is_available()
    if learn.device == "cuda" and not there:
        raise ConfigError(
            f"device is 'cuda', but this PyTorch ({torch.__version__}) sees no GPU; install a CUDA build and a driver, or --device cpu"
        )
    return "cuda" if there and learn.device != "cpu" else "cpu"


def _candidates(learn: LearnConfig, sharers: int) -> Iterator[Machine]:
    where = device(learn)
    if where == "cuda":
        for precision in ["float32", "bfloat16"] if learn.precision == "auto" else [learn.precision]:
            yield Machine(precision, "default", learn.threads or 1, where)
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = [learn.threads] if learn.threads else sorted({1, max(1, cores // sharers)}, reverse=True)
    matmuls = ["onednn", "default"] if learn.matmul == "auto" else [learn.matmul]
    precisions = ["float32", "bfloat16"] if learn.precision == "auto" else [learn.precision]
    for precision, matmul, n in itertools.product(precisions, matmuls, threads):
        yield Machine(precision, matmul, n)


def _product_error() -> float:
    """Relative error of a float32 product under the settings that are on."""
    g = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=g) for _ in range(2))
    exact = a.double() @ b.double()
    return float(((a @ b).double() - exact).norm() / exact.norm())


def _timed(step: Callable[[Machine], None], machine: Machine) -> float:
    start = time.perf_counter()
    step(machine)
    machine.wait()
    return time.perf_counter() - start
