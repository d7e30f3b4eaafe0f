"""A batch in parts, in one process after the other or in many at once: the same step."""

import dataclasses
import random

import numpy as np
import pytest
import torch

from jumok.config import LearnConfig, ModelConfig, check
from jumok.errors import ConfigError
from jumok.learn.loop import Loop
from jumok.learn.machine import Machine
from jumok.learn.model import Seq2Seq
from jumok.learn.parallel import ALONE, Team
from jumok.learn.progress import Display
from jumok.text import Batches
from jumok.text.vocabulary import END

VOCABULARY, STEPS, RATE = 20, 50, 1e-2
MODEL = ModelConfig(embedding=6, hidden=8, score_size=8, readout_size=8, tie="none", attention="general")
LEARN = LearnConfig(steps=STEPS, evaluate_every=STEPS, learning_rate=RATE, dropout=0.0, batch_size=7)


def batches(count=61, batch_size=7):
    """Pairs of unequal lengths; the last batch of an epoch is short: 5 pairs, fewer than some have parts."""
    dice = random.Random(3)
    sources = [[dice.randrange(3, VOCABULARY) for _ in range(dice.randrange(1, 9))] + [END] for _ in range(count)]
    targets = [[*s[-2::-1], END] if len(s) % 2 else [*s[:1], END] for s in sources]
    return Batches(sources, targets, batch_size=batch_size, seed=5)


def new_loop(learn=LEARN, model=MODEL):
    """A loop in float64, with the same weights every time; nothing evaluated, nothing written."""
    torch.manual_seed(1)
    made = Seq2Seq(model, VOCABULARY, VOCABULARY).double()
    return Loop(made, batches(), None, learn, Machine("float32", "default", 1), Display(quiet=True), *[None] * 4)


def losses(loop, steps=STEPS):
    """Loss a token of every step."""
    found, stream = [], loop._batches_from(0)
    for _ in range(steps):
        nll, tokens = loop.update(next(stream), RATE)
        found.append(float(nll) / tokens)
    return found


def test_parts_are_a_batch_dealt_out():
    (batch, *_) = batches(10, 10).epoch(0)
    for size, accumulate in ((1, 1), (1, 3), (3, 1), (2, 4), (4, 4)):
        parts = [list(Team(rank, size).parts(batch, accumulate)) for rank in range(size)]
        assert sorted(row for mine in parts for part in mine for row in part.rows) == sorted(batch.rows)
        assert max(map(len, parts)) <= accumulate
        counts = [len(part.rows) for mine in parts for part in mine]
        assert max(counts) - min(counts) <= 1 and min(counts) > 0
        for part in (part for mine in parts for part in mine):
            for i, row in enumerate(part.rows):
                place = batch.rows.tolist().index(row)
                n, m = part.source_lengths[i], part.target_lengths[i]
                assert (n, m) == (batch.source_lengths[place], batch.target_lengths[place])
                assert (part.source[i, :n] == batch.source[place, :n]).all() and not part.source[i, n:].any()
                assert (part.target[i, :m] == batch.target[place, :m]).all() and not part.target[i, m:].any()
            assert part.source.shape[1] == part.source_lengths.max() and part.target.shape[1] == part.target_lengths.max()
    assert next(ALONE.parts(batch, 1)) is batch


@pytest.mark.parametrize("accumulate", [2, 3, 6])  # of batches of 7 and 5 pairs
@pytest.mark.parametrize("model", [{}, {"input_feeding": True, "layers": 2}], ids=["fused", "input feeding"])
def test_accumulation_is_the_step_of_the_whole_batch(accumulate, model):
    options = dataclasses.replace(MODEL, **model)
    whole = losses(new_loop(model=options))
    parts = losses(new_loop(dataclasses.replace(LEARN, accumulate=accumulate), options))
    assert whole[-1] < 0.9 * whole[0]  # it learns, so that equal is not equal for want of movement
    np.testing.assert_allclose(parts, whole, rtol=1e-10)


def test_accumulate_must_be_a_number_of_parts():
    with pytest.raises(ConfigError, match="accumulate is 0; it must be 1 or more"):
        check(LearnConfig(accumulate=0))
