"""What a machine has time for: the network and the batch that were chosen for --minutes or, where it is slow, smaller ones.

How large a network pays depends on how often it sees the data. `jumok.learn.recipe` chooses by the minutes; here steps of that
choice are timed, and if it would see too little, the next smaller one is taken. What was given stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from jumok.config import TrainConfig
from jumok.learn.calibrate import Allowance, Trial, choose, passes
from jumok.learn.display import Display
from jumok.learn.recipe import BATCH_SIZE, DEEP, DEEP_DECAY_PASSES, LARGE_BATCH_SIZE, LARGE_BATCHES, letters

# what larger networks and batches need, to learn more in the same time than smaller ones
DEEP_SHOWN = 130_000  # three layers: pairs shown, and passes over the data
DEEP_PASSES = 3.0
WIDE_PASSES = DEEP_DECAY_PASSES  # medium, of letters, which has weight decay from there on
WORD_PASSES = 13.0  # medium, of words and subwords: passes, or pairs shown
WORD_SHOWN = 375_000


@dataclass(frozen=True)
class Lighter:
    """Something smaller than what was chosen.

    Attributes:
        asked: the options that choose it.
        passes: over the data that the larger one needs in the time.
        change: from one to the other, in words.
        undo: the option that keeps the larger one.
    """

    asked: TrainConfig
    passes: float
    change: str
    undo: str

    def line(self, passes: float) -> str:
        """For the person who trains, if the larger one would make so many passes."""
        return (
            f"{self.change}: in this time, this machine could show each pair only {passes:.1f} times, and {self.passes:.1f} are needed; "
            f"{self.undo} turns this off"
        )


def lighter(asked: TrainConfig, chosen: TrainConfig, sizes: tuple[int, int], pairs: int) -> list[Lighter]:
    """What could be smaller of what was chosen because of the minutes.

    One core of an AMD EPYC without bfloat16 and AVX-512, one seed, on dev, in the same time; letters at half of today's rate. Percent
    right with 1 and 3 layers: CMUdict in 7 minutes 71.2 and 65.8 (1.4 passes with 3); names in jamo in 6 minutes 60.0 and 59.7 (94,000
    pairs shown); German inflection in 6 minutes 89.9 and 88.2 (79,000), in 10 minutes 89.9 and 90.3 (133,000). BLEU of Multi30k in 4
    minutes: medium 22.7 in batches of 128 (169 of them), 27.4 in batches of 64 (0.8 passes); small, batches of 64, 31.7; in 8 minutes
    medium 33.0 (1.9 passes), small 35.0; in 20 minutes on two cores medium 36.3 (7.9 passes), small 37.0. One core of an EPYC with
    AVX-512 and bfloat16, 5 minutes: medium 35.5 (150,000 pairs shown, 5.2 passes), small 36.4; 10 minutes: 37.7 (307,000, 10.6), 37.5.
    small_parallel_enja (50,000 pairs), 6 minutes there: ja-en 37.0 (286,000), 36.1; en-ja 34.6 (347,000), 36.1. CMUdict on a Xeon: small
    and medium are alike after 5.8 passes, and medium takes three times as long; so on two cores of the first EPYC, an hour, today's
    rate: small 75.7 (20.4 passes), medium 76.1 (6.6).
    With weight decay, one core of the second EPYC: Multi30k, small 38.8 (8 minutes) and 39.35 (19), medium 38.3 (10 minutes, 10.6
    passes), 39.7 (15 minutes, 16.3) and 40.7 (33 minutes, 38.3); CMUdict, six small models 76.6 to 77.3 (17 to 30 minutes), medium 77.3
    (55 minutes, 14.1 passes).

    Args:
        asked: the options with an alignment, before `resolve`.
        chosen: what `resolve` made of them.
        sizes: entries of the vocabularies.
        pairs: how many are trained on.
    """
    if chosen.learn.minutes is None:
        return []
    found, fine = [], letters(*sizes)
    own = asked.model.hidden or asked.model.readout_size  # sizes that a smaller one might not go together with
    if asked.model.size is None and chosen.model.size == "medium" and not own:
        least = WIDE_PASSES if fine else min(WORD_PASSES, WORD_SHOWN / pairs)
        found.append(Lighter(_with(asked, size="small"), least, "small instead of medium", "--size medium"))
    if asked.model.layers is None and chosen.model.layers == DEEP:
        least = max(DEEP_PASSES, DEEP_SHOWN / pairs)
        found.append(Lighter(_with(asked, layers=1), least, f"1 layer instead of {DEEP}", f"--layers {DEEP}"))
    if asked.learn.batch_size is None and asked.learn.batch_tokens is None and chosen.learn.batch_size == LARGE_BATCH_SIZE:
        change = f"batches of {BATCH_SIZE} instead of {LARGE_BATCH_SIZE}"
        smaller = dataclasses.replace(asked, learn=dataclasses.replace(asked.learn, batch_size=BATCH_SIZE))
        found.append(Lighter(smaller, LARGE_BATCHES * LARGE_BATCH_SIZE / pairs, change, f"--batch-size {LARGE_BATCH_SIZE}"))
    return found


def like(asked: TrainConfig, other: TrainConfig) -> TrainConfig:
    """The options with size, layers and batch of another training where nobody gave them: members of an ensemble are of one kind."""
    model, learn = asked.model, asked.learn
    learn = dataclasses.replace(learn, batch_size=learn.batch_size or other.learn.batch_size)
    return _with(
        dataclasses.replace(asked, learn=learn), size=model.size or other.model.size, layers=model.layers or other.model.layers
    )


def affordable(
    asked: TrainConfig, trial_of: Callable[[TrainConfig], Trial], sizes: tuple[int, int], allowance: Allowance, display: Display
) -> Trial:
    """A loop to measure on, of the largest network and batch that the time of --minutes is enough for here.

    Args:
        asked: the options with an alignment, before `resolve`.
        trial_of: resolves such options and makes a loop to measure on.
        sizes: entries of the vocabularies.
    """
    trial = trial_of(asked)
    could = lighter(asked, trial.asked, sizes, trial.data.pairs)
    if not could:
        return trial
    least = _least(could[-1].asked, trial_of, sizes)
    machine = choose(least, allowance, strict=True)  # on the smallest, where that takes least time
    while could:
        shown = passes(trial, machine, allowance)
        less = next((it for it in could if shown < it.passes), None)
        if less is None:
            return trial
        display.note(less.line(shown))
        trial = trial_of(less.asked)
        could = lighter(less.asked, trial.asked, sizes, trial.data.pairs)
    return least


def _least(asked: TrainConfig, trial_of: Callable[[TrainConfig], Trial], sizes: tuple[int, int]) -> Trial:
    """The smallest that `lighter` leads to."""
    trial = trial_of(asked)
    could = lighter(asked, trial.asked, sizes, trial.data.pairs)
    return _least(could[-1].asked, trial_of, sizes) if could else trial


def _with(asked: TrainConfig, **network: object) -> TrainConfig:
    return dataclasses.replace(asked, model=dataclasses.replace(asked.model, **network))  # type: ignore[arg-type]
