"""Training: the only room that imports torch."""

from __future__ import annotations

from jumok.errors import MissingExtra

try:
    import torch  # noqa: F401
except ModuleNotFoundError as e:
    raise MissingExtra("training", "train", "torch") from e

from jumok.learn.run import Trained, train

__all__ = ["Trained", "train"]
