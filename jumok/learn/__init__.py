"""Training: the only room that imports torch."""

from __future__ import annotations

from jumok.errors import MissingExtra
from jumok.learn import memory

memory.settle()

try:
    import torch  # noqa: F401
except ModuleNotFoundError as e:
    raise MissingExtra("training", "train", "torch") from e

from jumok.learn.run import Trained, train  # noqa: E402 - after the settings above

__all__ = ["Trained", "train"]
