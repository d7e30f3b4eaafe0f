"""CPU threads: how many a run may ask for on these cores, by an option or by the environment."""

from __future__ import annotations

import os
from collections.abc import Callable

from jumok.errors import ConfigError
from jumok.processes import cores

MOST = 4  # threads a core; with more, they do little but wait for each other, and a run seems to hang
ENVIRONMENT = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # read by torch when it is imported


def check(threads: int) -> None:
    """ConfigError where far more threads are asked for than there are cores."""
    have = cores()
    if threads > MOST * have:
        raise ConfigError(
            f"threads is {threads}, but this process may use {_cores(have)}; wanted at most {MOST * have}; "
            "leave --threads out, and as many are used as there are cores"
        )


def settled(threads: int, sharers: int, warn: Callable[[str], None]) -> int:
    """The threads of a run that may have begun on another machine; warned of, where they are more than cores.

    Args:
        threads: 0 = by the cores.
        sharers: processes of the run on this host.
    """
    have = max(1, cores() // sharers)
    if threads <= have:
        return threads
    if threads > MOST * have:
        warn(f"threads is {threads}, but this process may use {_cores(have)}; {have} are used")
        return have
    warn(f"threads is {threads}, but this process may use {_cores(have)}; that is slower than --threads {have}")
    return threads


def bound_environment(warn: Callable[[str], None]) -> None:
    """Before torch is imported: far more threads than cores in the environment become as many as there are cores."""
    have = cores()
    for name in ENVIRONMENT:
        value = os.environ.get(name, "")
        if value.isdecimal() and int(value) > MOST * have:
            warn(f"{name} is {value}, but this process may use {_cores(have)}; {have} are used")
            os.environ[name] = str(have)


def _cores(n: int) -> str:
    return f"{n} core{'s' * (n > 1)}"
