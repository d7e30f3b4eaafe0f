"""Training: the only room that imports torch."""

from __future__ import annotations

from typing import Any

from jumok.errors import MissingExtra

try:
    import torch  # noqa: F401
except ModuleNotFoundError as e:
    raise MissingExtra("training", "train", "torch") from e


def __getattr__(name: str) -> Any:
    if name in ("Trained", "train"):
        import jumok.learn.train as t
        return getattr(t, name)
    raise AttributeError(name)
