"""Training: the only room that imports torch."""

from __future__ import annotations

import os

from jumok.errors import MissingExtra

# oneDNN and torch's bridge to it each keep up to 1,024 compiled kernels with their working memory, one for every shape of product
# they have met, and batches have few shapes in common. At Multi30k's sizes a run then takes 1,600 MB; with 16 each, 870 MB,
# and 7 % more time. Both are read when torch first computes; whoever has memory to spare sets them in the environment.
for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(name, "16")

try:
    import torch  # noqa: F401
except ModuleNotFoundError as e:
    raise MissingExtra("training", "train", "torch") from e

from jumok.learn.run import Trained, train  # noqa: E402 - after the settings above

__all__ = ["Trained", "train"]
