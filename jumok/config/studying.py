"""The options of a study, beside those of its trainings."""

from __future__ import annotations

from dataclasses import dataclass

from jumok.places import FolderPath, ModelPath, PairsPath


@dataclass(frozen=True)
class StudyConfig:
    """Options of a study, beside those of its trainings."""

    dev: PairsPath = ""
    """Development pairs. Without: 1 in 20 of PAIRS, at most 2,000."""
    test: PairsPath = ""
    """Test pairs, on which everything is compared. Without: 1 in 20 of PAIRS, at most 2,000."""
    out: FolderPath = ""
    """Folder to write. If the command is repeated, it does only the runs that are missing there."""
    seeds: int = 3
    """Runs of each variant, with seeds from --seed on. Fewer than 3 say little about chance."""
    jobs: int = 1
    """Runs at the same time, each with its share of the cores."""
    minutes_per_run: float | None = None
    """Equal time instead of equal steps: wall-clock minutes of each training."""
    train_max_length: int | None = None
    """Leave longer sources (characters for char, else words) out of training and dev, so that only the test has them."""
    variants: tuple[str, ...] = ()
    """Only these of the study's variants. Default: all."""
    model: ModelPath = ""
    """faithful only: a trained model folder to look at, instead of training."""
