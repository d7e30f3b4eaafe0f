"""First contact: `jumok quickstart`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from jumok.cli._options import Options
from jumok.places import FolderPath


@dataclass(frozen=True)
class Quickstart(Options):
    """Train a model that pronounces English words, from the CMU dictionary, and look at what it does.

    jumok quickstart
    """

    out: FolderPath = "quickstart"
    """Folder for data, model and picture."""
    minutes: float = 4.75
    """Training time."""


def quickstart(o: Quickstart, given: Collection[str]) -> int:
    from jumok.quickstart import run

    return run(o.out, o.minutes)
