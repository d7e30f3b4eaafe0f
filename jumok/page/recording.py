"""The page without a model: one recorded output, shown as the living page shows it, read-only."""

from __future__ import annotations

import json
import os
from pathlib import Path

from jumok.explain import to_json
from jumok.explain.alignment import weights_of
from jumok.page.build import build_page
from jumok.places import put
from jumok.runtime.translation import Translation


def recorded_page(translation: Translation) -> str:
    """The page of this output, as HTML. Raises JumokError if it has no attention weights."""
    weights_of(translation)
    return build_page([], trace=json.loads(to_json(translation)))


def write_recording(translation: Translation, path: str | os.PathLike[str]) -> None:
    """Writes that page over a file that is there. Raises JumokError as `recorded_page`, OutputError if it cannot be written."""
    put(Path(path), recorded_page(translation))
