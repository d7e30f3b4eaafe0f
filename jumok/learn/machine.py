"""What this machine does best, found by trying: number format, library for products, threads.

PERFORMANCE decides little by itself: the same setting is twice as fast on one CPU and impossible on another. So a few real
training steps are timed under each setting, and the fastest one that computes rightly is taken.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from jumok.config import LearnConfig
from jumok.errors import ConfigError
from jumok.processes import cores

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


def choose(
    learn: LearnConfig,
    step: Callable[[Machine], None],
    tries: int = 4,
    sharers: int = 1,
    deadline: float = math.inf,
    strict: bool = True,
) -> Machine:
    """The fastest of the settings that `learn` leaves open.

    Args:
        learn: its precision, matmul and threads; what is not `auto` (0 for threads) is taken as it is.
        step: runs one training step under the settings it is given (already applied), changing nothing that lasts.
        tries: steps timed under each setting; the fastest counts, since a machine is only ever slowed down.
        sharers: processes that share this host's cores.
        deadline: by `time.perf_counter`; from then on nothing more is tried, if anything has been.
        strict: what is asked for and cannot be had is an error; else (a run that began on another machine) something else is
            taken.

    Raises:
        ConfigError: this machine has no such precision or matmul.
    """
    if problem := _no_onednn() if learn.matmul == "onednn" else "":
        if strict:
            raise ConfigError(f"matmul is 'onednn', but {problem}; give --matmul default, or leave it out")
        learn = dataclasses.replace(learn, matmul="default")
    best: dict[str, tuple[float, Machine]] = {}
    failed: RuntimeError | None = None
    candidates = list(_candidates(learn, sharers))
    if len(candidates) == 1 and candidates[0].precision == "float32":
        candidates[0].apply()
        return candidates[0]
    for machine in candidates:
        if best and time.perf_counter() > deadline:
            break
        machine.apply()
        if learn.matmul == "auto" and machine.matmul == "onednn" and _no_onednn():
            continue
        try:
            seconds = _timed(step, machine)
            for _ in range(0 if len(candidates) == 1 else tries - 1):
                if time.perf_counter() > deadline:
                    break
                seconds = min(seconds, _timed(step, machine))
        except RuntimeError as e:  # a format this CPU has no LSTM for
            failed = failed or e
            continue
        if machine.precision not in best or seconds < best[machine.precision][0]:
            best[machine.precision] = seconds, machine
    slow, fast = best.get("float32"), best.get("bfloat16")
    chosen = fast if fast and (not slow or slow[0] > WORTH * fast[0]) else slow
    machine = chosen[1] if chosen else _plainest(learn, step, failed, strict)
    machine.apply()
    return machine


def _plainest(learn: LearnConfig, step: Callable[[Machine], None], failed: RuntimeError | None, strict: bool) -> Machine:
    """What every machine can do, where nothing that was asked for works. If that fails too, it was not the settings' fault."""
    plain = Machine("float32", "default", learn.threads or 1, device(learn))
    plain.apply()
    step(plain)
    if strict and learn.precision == "bfloat16":
        why = str(failed).strip().splitlines()[0][:200] if failed else "no step could be tried"
        raise ConfigError(
            f"precision is 'bfloat16', which this machine cannot train in ({why}); give --precision float32, or auto"
        ) from failed
    return plain


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
        if learn.matmul == "onednn":
            raise ConfigError("matmul is 'onednn', which is for CPUs, but training is on a GPU; leave it out, or --device cpu")
        for precision in ["float32", "bfloat16"] if learn.precision == "auto" else [learn.precision]:
            yield Machine(precision, "default", learn.threads or 1, where)
        return
    threads = [learn.threads] if learn.threads else sorted({1, max(1, cores() // sharers)}, reverse=True)
    matmuls = ["onednn", "default"] if learn.matmul == "auto" else [learn.matmul]
    precisions = ["float32", "bfloat16"] if learn.precision == "auto" else [learn.precision]
    for precision, matmul, n in itertools.product(precisions, matmuls, threads):
        yield Machine(precision, matmul, n)


def _no_onednn() -> str:
    """Why products by oneDNN cannot be had here, or are not float32's; "" where they can. Its setting stays as it was."""
    if not torch.backends.mkldnn.is_available():
        return "this PyTorch has no oneDNN"
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    error = _product_error()
    torch.set_float32_matmul_precision(before)
    return f"on this CPU it rounds products to fewer digits than float32 has (error {error:.0e})" if error > RIGHT else ""


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
