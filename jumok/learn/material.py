"""What a loop learns from and is judged by: batches of training pairs, and the dev pairs ready to be evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jumok.config import TrainConfig
from jumok.learn.data import Data
from jumok.learn.evaluation import Development
from jumok.learn.parallel import Team
from jumok.text import Batch, Batches, Codec, Rows
from jumok.text.batches import CHUNK

NAMED = 3  # pairs of a batch that are named where it is spoken of


@dataclass(frozen=True)
class Material:
    """What a loop learns from and is judged by.

    Attributes:
        limit: (ratio, constant) of the outputs' length, see `length_limit`.
        pairs: how many are trained on.
        describe: says in words which batch one is.
        taught: the digest of the teacher that has written for the pairs; "" without one.
    """

    batches: Batches
    dev: Development
    codec: Codec
    limit: tuple[float, float]
    pairs: int
    describe: Callable[[Batch], str]
    taught: str = ""


def make_material(asked: TrainConfig, data: Data, team: Team, warn: Callable[[str], None]) -> Material:
    """The data as a loop takes it.

    Args:
        asked: as `jumok.learn.recipe.resolve` leaves it: batch size and metric are known.
        team: the processes that share the work of an evaluation.
        warn: called with a line where gold is compared in another form than it has, or BLEU cuts tokens again.

    Raises:
        ConfigError, MissingExtra: the metric cannot be measured here.
    """
    limit = length_limit(data.sources, data.targets)

    def describe(batch: Batch) -> str:
        first = [data.describe(row) for row in batch.rows[:NAMED].tolist()]
        more = f", … ({len(batch.rows)} pairs)" if len(batch.rows) > NAMED else ""
        return f"{', '.join(where for where, _ in first)}{more}, first source {first[0][1][:80]!r}"

    dev = Development(data.dev, data.codec, limit, asked.learn, team, warn)
    return Material(make_batches(asked, data), dev, data.codec, limit, len(data.sources), describe, data.taught)


def make_batches(asked: TrainConfig, data: Data) -> Batches:
    """The training pairs in batches."""
    learn = asked.learn
    return Batches(
        data.recutting or data.sources,
        data.choices or data.targets,
        batch_size=None if learn.batch_tokens else learn.batch_size,
        batch_tokens=learn.batch_tokens,
        pool=learn.pool,
        seed=learn.seed,
    )


def length_limit(sources: Sequence[Sequence[int]] | Rows, targets: Sequence[Sequence[int]] | Rows) -> tuple[float, float]:
    """(ratio, constant): outputs may have ratio · S + constant tokens. Twice the usual length, and room for the odd one."""
    s, t = Rows.of(sources).lengths, Rows.of(targets).lengths
    ratio = 2 * float(t.sum(dtype=np.int64) / s.sum(dtype=np.int64))
    parts = [slice(i, i + CHUNK) for i in range(0, len(s), CHUNK)]  # few numbers at a time, of lengths that may be many
    return round(ratio, 3), float(
        max(5.0, np.ceil(max(np.max(t[part] - ratio * s[part].astype(np.float64)) for part in parts)))
    )
