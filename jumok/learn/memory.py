"""How this process holds memory: what a step frees is kept for the next one; of compiled kernels as many as the model can afford.

glibc gives what is free at the end of its memory back to the system, and the next step gets it anew, page by page, each zeroed
first. With all logits in one array that took 9,700 page faults a step at Multi30k's sizes in bfloat16, and an eighth of its
time; in pieces (`jumok.learn.loss`) 3,700, and kept as here 400.

oneDNN and torch's bridge to it each keep up to 1,024 compiled kernels with their working memory, one for every shape of product
they have met, and batches have few shapes in common. For a small model that is the right number: a step of 21 ms takes 10. For a
large one, whose kernels hold more and whose products take longer, 16 each save 400 to 600 MB and cost a few percent.

Both are settings of the process. Whoever has set the same in the environment is left alone.
"""

from __future__ import annotations

import ctypes
import os
import sys

KERNELS = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
FEW = "16"
LARGE = 6_000_000  # parameters from which a model can afford but few: the default sizes for letters stay below
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT = {
    M_MMAP_THRESHOLD: 1 << 25,
    M_TRIM_THRESHOLD: 1 << 30,
}  # bytes: arrays up to the first, and of free ones together the second


def keep_freed() -> None:
    """To be called once, before torch computes; where there is no glibc, or it does not want to, nothing happens."""
    if sys.platform != "linux" or any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, size in KEPT.items():
            mallopt(option, size)


def keep_kernels(parameters: int) -> None:
    """To be called when a model of so many numbers is made: the libraries read it at the first product of the process, and never again."""
    for name in KERNELS:
        if parameters >= LARGE:
            os.environ.setdefault(name, FEW)
