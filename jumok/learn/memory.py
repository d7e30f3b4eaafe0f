"""How this process holds memory: what a step frees is kept for the next one, and of compiled kernels only as many as pay.

glibc gives what is free at the end of its memory back to the system, and the next step gets it anew, page by page, each zeroed
first. With all logits in one array that took 9,700 page faults a step at Multi30k's sizes in bfloat16, and an eighth of its
time; in pieces (`jumok.learn.loss`) 3,700, and kept as here 400.

oneDNN and torch's bridge to it each keep up to 1,024 compiled kernels, one for every shape of product they have met; what is not
kept is compiled again. Strings of letters have few shapes, and steps so short that they would be mostly compiling: all are kept.
Words and subwords have sizes at which products take longer than compiling, and so many shapes that a thousand kernels are kept,
with 300 MB of what belongs to them (13 of these are machine code): 16 are kept. At Multi30k's sizes that costs up to a tenth of
the time, on some machines nothing.

Both are settings of the process, and the libraries read them when torch is imported: a program that imports torch before it
calls `jumok.train` has all kernels kept. Whoever has set the same in the environment is left alone.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import sys

from jumok.config import TrainConfig
from jumok.errors import JumokError
from jumok.learn.recipe import letters
from jumok.text import TOKENIZERS, read_every_pair
from jumok.text.pairs import files_of

FEW_KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16", "LRU_CACHE_CAPACITY": "16"}
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT = {
    M_MMAP_THRESHOLD: 1 << 25,
    M_TRIM_THRESHOLD: 1 << 30,
}  # bytes: arrays up to the first, and of free ones together the second
LOOKED_AT = 5_000  # pairs, of the first ones


def settle(run: TrainConfig) -> None:
    """Makes the settings for such a run; where there is no glibc, or it does not want to, nothing happens to memory."""
    if not _letters(run):
        for name, count in FEW_KERNELS.items():
            os.environ.setdefault(name, count)
    if sys.platform != "linux" or any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, size in KEPT.items():
            mallopt(option, size)


def _letters(run: TrainConfig) -> bool:
    """Whether tokens are letters or phones; what stands between blanks may be words, too, and is looked at."""
    sides = run.text.source_tokenizer, run.text.target_tokenizer
    if not {*sides} <= {"char", "space"}:
        return False
    if "space" not in sides:
        return True
    if not all(os.path.isfile(file) for file in files_of(run.pairs)):  # a pipe can be read once only
        return "char" in sides  # letters and phones go together, words and words
    found: tuple[set[str], set[str]] = set(), set()
    try:
        cut = TOKENIZERS["space"]("none").tokens
        for pair in itertools.islice(read_every_pair(run.pairs, run.text, warn=lambda _: None), LOOKED_AT):
            if pair is not None:
                found[0].update(cut(pair.source) if sides[0] == "space" else ())
                found[1].update(cut(pair.target) if sides[1] == "space" else ())
    except JumokError:
        pass  # whoever reads it in earnest will say what is wrong
    return letters(len(found[0]), len(found[1]))
