"""How this process holds memory: what a step frees is kept for the next one, and of compiled kernels only as many as pay.

glibc returns free memory at the end of its heap to the system, and the next step asks for it anew, page by page, zeroed
first. With all logits in one array that took 9,700 page faults a step at Multi30k's sizes in bfloat16, and an eighth of its
time; in pieces (`jumok.net.loss`) 3,700, and kept as here 400.

oneDNN and torch's bridge to it each keep up to 1,024 compiled kernels, one for every shape of product they have met; what is not
kept is compiled again. Strings of letters have few shapes, and steps so short that they would be mostly compiling: all are kept.
Words and subwords have sizes at which products take longer than compiling, and so many shapes that a thousand kernels are kept,
with 300 MB of what belongs to them (13 of these are machine code): 16 are kept. At Multi30k's sizes that costs up to a tenth of
the time, on some machines nothing.

The tokenizers alone tell which of the two a run has, for this must be known before torch is imported, and so before any pair is
read. What stands between blanks are phones beside letters; on both sides it is taken for words, where memory must be bounded. A small
model's step from phones to phones so takes up to twice as long (20 ms for 11); whoever trains many sets both variables to 1024.

Both are settings of the process, and the libraries read them when torch is imported: a program that imports torch before it
calls `jumok.train` has all kernels kept. Whoever has set the same in the environment is left alone.
"""

from __future__ import annotations

import ctypes
import os
import sys

from jumok.config import TrainConfig
from jumok.text import TOKENIZERS

FEW_KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16", "LRU_CACHE_CAPACITY": "16"}
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT = {
    M_MMAP_THRESHOLD: 1 << 25,
    M_TRIM_THRESHOLD: 1 << 30,
}  # bytes: arrays up to the first, and of free ones together the second


def prepare(run: TrainConfig) -> None:
    """Makes the settings for such a run; where there is no glibc, or it does not want to, nothing happens to memory."""
    if not reads_letters(run):
        for name, count in FEW_KERNELS.items():
            os.environ.setdefault(name, count)
    if sys.platform != "linux" or any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, size in KEPT.items():
            mallopt(option, size)


def reads_letters(run: TrainConfig) -> bool:
    """Whether tokens are letters, or letters and phones, as far as the tokenizers tell."""
    sides = [TOKENIZERS[name] for name in (run.text.source_tokenizer, run.text.target_tokenizer)]
    return all(cut.characters or cut.between_blanks for cut in sides) and any(cut.characters for cut in sides)
