"""Cells that are empty where those of other pairs are not: features, or one of several sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from jumok.config import BETWEEN, TrainConfig
from jumok.errors import DataError
from jumok.text import Codec, Pair, Rows
from jumok.text.codec import are_features
from jumok.text.vocabulary import END, PAD, UNK

if TYPE_CHECKING:
    from jumok.learn.data import Data

FEATURES = "features"
TOGETHER = 4096  # rows that are looked at together


def check_filled(run: TrainConfig, data: Data, dev: list[list[int]], warn: Callable[[str], None]) -> None:
    """Warns of training and dev pairs without features, or with an empty one of several sources, where others have it.

    Args:
        dev: the sources of `data.dev` as ids; none where dev is a part of the training pairs.

    Raises:
        DataError: a column that is asked for is empty in all training pairs; no dev pair has what most training pairs have; dev has
            features, and training has none.
    """
    has_features = any(p.features for p in data.dev) or are_features(data.codec.source.vocabulary).any()
    if not (run.text.several or run.text.features_column or has_features):
        return
    of_dev = empty_cells(data.codec, Rows.of(dev))
    for what, empty in empty_cells(data.codec, data.sources).items():
        _check_training(run, data, what, empty, warn)
        if dev:
            _check_dev(data.dev, what, of_dev[what], float(empty.mean()), warn)


def _check_training(run: TrainConfig, data: Data, what: str, empty: np.ndarray, warn: Callable[[str], None]) -> None:
    if not empty.all():
        if empty.any():
            where, _ = data.describe(int(empty.argmax()))
            warn(f"{where}: training pairs {_without(what)}: {empty.sum():,} of {len(empty):,}; is that meant?")
    elif what != FEATURES:
        raise DataError(
            f"{run.pairs}: {what} is empty in all training pairs; leave it out of --source-column {run.text.source_column}"
        )
    elif run.text.features_column:
        raise DataError(
            f"{run.pairs}: no training pair has features, but --features-column is {run.text.features_column}; give the column that has "
            "them, or leave it out"
        )


def _check_dev(dev: list[Pair], what: str, empty: np.ndarray, share: float, warn: Callable[[str], None]) -> None:
    """share: of training pairs with an empty cell."""
    if what == FEATURES and share == 1 and not empty.all():
        raise DataError(f"{dev[int(empty.argmin())].where}: dev pairs have features, but no training pair has any")
    if empty.all() and share < 0.5:
        many = "most" if share else "all"
        if what == FEATURES:
            raise DataError(f"{dev[0].where}: no dev pair has features, but {many} training pairs have some")
        raise DataError(f"{dev[0].where}: {what} is empty in all dev pairs, but {many} training pairs have one")
    if empty.any() and share == 0:
        where = dev[int(empty.argmax())].where
        warn(f"{where}: dev pairs {_without(what)}: {empty.sum():,} of {len(empty):,}, training pairs: none; is that meant?")


def empty_cells(codec: Codec, rows: Rows) -> dict[str, np.ndarray]:
    """For features, and for each of several sources, which rows have none: bool [N]."""
    special = are_features(codec.source.vocabulary)
    found = {FEATURES: ~special[rows.flat[rows.starts]] & (rows.flat[rows.starts] != UNK)}  # <unk> may be a rare feature
    if codec.config.several:
        (between,) = codec.source.vocabulary.ids([BETWEEN])
        special[[PAD, END, between]] = True
        filled = np.zeros((len(codec.config.source_columns), len(rows)), bool)
        for start in range(0, len(rows), TOGETHER):
            ids, _ = rows.padded(np.arange(start, min(start + TOGETHER, len(rows))))
            source = np.cumsum(ids == between, axis=1)
            for k, of_source in enumerate(filled):
                of_source[start : start + TOGETHER] = ((source == k) & ~special[ids]).any(axis=1)
        found |= {f"source {k}": ~of_source for k, of_source in enumerate(filled, 1)}
    return found


def _without(what: str) -> str:
    return "without features" if what == FEATURES else f"with an empty {what}"
