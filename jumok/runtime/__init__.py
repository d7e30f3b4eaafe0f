"""The runtime: a trained model without torch. Model folder, NumPy model, search, translator."""

from jumok.runtime.translation import Translation
from jumok.runtime.translator import Translator

load = Translator.load

__all__ = ["Translation", "Translator", "load"]
