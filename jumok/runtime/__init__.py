"""The runtime: a trained model without torch. The model folder, the NumPy model, and `Translation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumok.runtime.translation import Translation

if TYPE_CHECKING:
    from jumok import Translator, load

__all__ = ["Translation", "Translator", "load"]


def __getattr__(name: str) -> Any:
    """Gives `Translator` and `load`, which live in `jumok.decode`, above this room."""
    if name in ("Translator", "load"):
        import jumok

        return getattr(jumok, name)
    raise AttributeError(f"module 'jumok.runtime' has no attribute {name!r}")
