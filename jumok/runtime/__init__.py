"""The runtime: a trained model without torch. Model folder, NumPy model, and what a translation is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumok.runtime.translation import Translation

if TYPE_CHECKING:
    from jumok import Translator, load

__all__ = ["Translation", "Translator", "load"]


def __getattr__(name: str) -> Any:
    """`Translator` and `load` live in `jumok.decode`, above this room, and are found here, too."""
    if name in ("Translator", "load"):
        import jumok

        return getattr(jumok, name)
    raise AttributeError(f"module 'jumok.runtime' has no attribute {name!r}")
