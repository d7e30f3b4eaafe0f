"""How this process holds memory: what a step frees is kept for the next one, and of compiled kernels those of one step.

glibc gives what is free at the end of its memory back to the system, and the next step gets it anew, page by page, each zeroed
first. With all logits in one array that took 9,700 page faults a step at Multi30k's sizes in bfloat16, and an eighth of its
time; in pieces (`jumok.learn.loss`) 3,700, and kept as here 400.

oneDNN and torch's bridge to it each keep up to 1,024 compiled kernels with their working memory, one for every shape of product
they have met, and batches have few shapes in common. At Multi30k's sizes that is 300 to 600 MB for a few percent of the time, and
64 (about what one step needs) are kept here; a small model, whose steps are mostly compiling, would be a third faster with all.

Both are settings of the process, made when `jumok.learn` is imported: the libraries read them when torch is. Whoever has set the
same in the environment is left alone.
"""

from __future__ import annotations

import ctypes
import os
import sys

KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "16"}
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT = {
    M_MMAP_THRESHOLD: 1 << 25,
    M_TRIM_THRESHOLD: 1 << 30,
}  # bytes: arrays up to the first, and of free ones together the second


def settle() -> None:
    """Makes the settings; where there is no glibc, or it does not want to, nothing happens."""
    for name, count in KERNELS.items():
        os.environ.setdefault(name, count)
    if sys.platform != "linux" or any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, size in KEPT.items():
            mallopt(option, size)
