"""Jumok: sequence-to-sequence models with attention. Train from a table of pairs, see what attention did, run anywhere."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# public name -> the module it lives in, or is; looked up on first use, so that `import jumok` stays light and torch-free
_HOMES = {
    "average": "jumok.runtime.averaging",
    "load": "jumok.decode.translator",
    "rescore": "jumok.decode.rescoring",
    "Translation": "jumok.runtime",
    "Translator": "jumok.decode.translator",
    "evaluate": "jumok.measure.evaluating",
    "study": "jumok.studies",
    "train": "jumok.learn",
    "JumokError": "jumok.errors",
    "errors": "jumok.errors",
    "explain": "jumok.explain",
    "measure": "jumok.measure",
}
__all__ = [
    "JumokError",
    "Translation",
    "Translator",
    "__version__",
    "average",
    "errors",
    "evaluate",
    "explain",
    "load",
    "measure",
    "rescore",
    "study",
    "train",
]

if TYPE_CHECKING:
    from jumok import errors, explain, measure
    from jumok.decode.rescoring import rescore
    from jumok.decode.translator import Translator, load
    from jumok.errors import JumokError
    from jumok.learn import train
    from jumok.measure.evaluating import evaluate
    from jumok.runtime import Translation
    from jumok.runtime.averaging import average
    from jumok.studies import study


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'jumok' has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    return home if _HOMES[name] == f"jumok.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
