"""Training: the only room that imports torch, and that only when something is trained (`jumok.learn.start` says why)."""

from jumok.learn.start import Trained, train

__all__ = ["Trained", "train"]
