"""The default recipe: every option left at None becomes a number here, by rules a person can read.

What is chosen depends on the data (how many pairs, how large the vocabularies) and the length asked for, never on the machine; what depends
on the machine is measured in `jumok.learn.machine`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from jumok.config import LearnConfig, MetricName, ModelConfig, SizeName, TextConfig, TrainConfig
from jumok.errors import ConfigError
from jumok.scores import SCORES
from jumok.text import TOKENIZERS, is_joint
from jumok.text.shape import Shape, shape

# size -> embedding, hidden (= the encoder's two directions together), readout
SIZES: dict[str, tuple[int, int, int]] = {
    "small": (128, 256, 256),
    "medium": (256, 512, 512),
    "large": (512, 1024, 1024),
}
# size -> learning rate for letters, for words
RATES: dict[str, tuple[float, float]] = {"small": (3e-3, 3e-3), "medium": (2e-3, 4e-3), "large": (1e-3, 1e-3)}
SMALL_VOCABULARY = 2_000  # letters, phones, syllables stay below; words and subwords do not
BATCH_SIZE = 64
PAIRS_SHOWN = 250_000
LEAST_EPOCHS = 10
# of letters, a medium model pays with so many pairs, and time to learn from them: in minutes, or in pairs shown
MANY_PAIRS = 50_000
LONG_MINUTES, LONG_SHOWN = 10, 1_500_000
# of targets, most of which look so: BLEU counts runs of 4 words; what is longer than a name is seldom right as a whole
BLEU_WORDS = 4
LONGEST_NAME = 24  # characters, or phones


def letters(source_size: int, target_size: int) -> bool:
    """Whether both vocabularies are so small that they must be letters, phones or syllables."""
    return max(source_size, target_size) < SMALL_VOCABULARY


def default_size(fine: bool, pairs: int, learn: LearnConfig) -> SizeName:
    """medium for words and subwords, and for letters (`fine`) with many pairs and a long training; else small."""
    if learn.minutes is not None:
        long = learn.minutes >= LONG_MINUTES
    elif learn.steps is not None:
        long = learn.steps * (learn.batch_size or BATCH_SIZE) >= LONG_SHOWN
    else:
        long = (learn.epochs or _default_epochs(pairs)) * pairs >= LONG_SHOWN
    return "small" if fine and not (long and pairs >= MANY_PAIRS) else "medium"


def default_dropout(epochs: float, size: SizeName | None, pairs: int) -> float:
    """The more often a model sees its data, the more dropout it needs; what it sees a few times, it does not learn by heart,
    and neither can a small model many pairs.

    Chosen on dev, one seed each. Small, CMUdict (109,000 pairs), accuracy: 3 epochs 64.4 with none, 62.6 with 0.1, 61.8 with 0.2;
    11.7 epochs 67.3 with none (best after 5 of them), 66.9 with 0.05, 67.3 with 0.1, 64.8 with 0.2. Medium, Multi30k (29,000), 6
    epochs: BLEU 36.2 with 0.05, 36.6 with 0.1, 35.7 with 0.2, 34.7 with 0.3. Small, three languages of SIGMORPHON 2020 (3,600), 46
    epochs: mean accuracy 78.1 with 0.2, 78.0 with 0.3; with 0.5, 3 points less.
    """
    step = next(i for i, most in enumerate((4, 10, 30, math.inf)) if epochs < most)
    crowded = size == "small" and pairs >= MANY_PAIRS
    return (0.0, 0.1, 0.2, 0.3)[max(0, step - crowded)]


def default_metric(text: TextConfig, look: Shape, target_size: int) -> MetricName:
    """What tells one model from another on such targets, early in training too.

    Phones (between blanks, with a small vocabulary): accuracy, or token error rate where they are whole sentences. Tokens of a sentence
    (with a large one): bleu. Words, names, terms: accuracy. Sentences: chrf of characters, else bleu.
    """
    cut = TOKENIZERS[text.target_tokenizer]
    if cut.between_blanks and target_size < SMALL_VOCABULARY:
        return "accuracy" if look.words <= LONGEST_NAME else "token-error-rate"
    if look.estimated < BLEU_WORDS and look.characters <= LONGEST_NAME:
        return "accuracy"
    return "chrf" if cut.characters else "bleu"


def default_tokenize(text: TextConfig, look: Shape) -> str:
    """The unit that BLEU counts: one that most targets have four of. Tokens (between blanks), words, or characters."""
    if TOKENIZERS[text.target_tokenizer].between_blanks:
        return "none"
    return "13a" if look.words >= BLEU_WORDS else "char"


def resolve(run: TrainConfig, source_size: int, target_size: int, pairs: int, targets: Sequence[str] = ()) -> TrainConfig:
    """The run with nothing left open but its length, which `steps` settles, and the dropout, which follows from that.

    Args:
        source_size, target_size: entries of the vocabularies.
        pairs: how many are trained on.
        targets: what the metric is to suit; of dev, say. None: sentences where they are words or subwords, else words.
    """
    text, model, learn = run.text, run.model, run.learn
    if model.alignment == "monotonic" and target_size >= SMALL_VOCABULARY:
        raise ConfigError(
            f"alignment is 'monotonic', but the target vocabulary has {target_size:,} entries; every source position has a distribution "
            f"of its own, which is affordable below {SMALL_VOCABULARY:,} (letters, phones): give --alignment soft, or a tokenizer of letters"
        )
    joint = is_joint(text)
    fine = letters(source_size, target_size)
    size = model.size or default_size(fine, pairs, learn)
    embedding, hidden, readout_size = SIZES[size]
    tie = model.tie or ("all" if joint and model.readout == "tanh" else "none")
    embedding = model.embedding or embedding
    hidden = model.hidden or hidden
    tied = tie != "none"
    model = dataclasses.replace(
        model,
        size=size,
        embedding=embedding,
        hidden=hidden,
        score_size=model.score_size or hidden,
        readout_size=model.readout_size or (embedding if tied else readout_size),
        tie=tie,
    )
    _check_sizes(model, joint)
    cut = TOKENIZERS[text.target_tokenizer]
    usual = Shape(0, 0, 0) if cut.characters or cut.between_blanks else Shape(BLEU_WORDS, BLEU_WORDS, 0)
    look = shape(targets) if targets else usual
    learn = dataclasses.replace(
        learn,
        batch_size=learn.batch_size or BATCH_SIZE,
        learning_rate=learn.learning_rate or RATES[size][0 if fine else 1],
        metric=learn.metric or default_metric(text, look, target_size),
        tokenize=learn.tokenize or default_tokenize(text, look),
    )
    return dataclasses.replace(run, text=dataclasses.replace(text, joint_vocabulary=joint), model=model, learn=learn)


def _check_sizes(model: ModelConfig, joint: bool) -> None:
    assert model.hidden and model.embedding and model.readout_size
    if model.bidirectional and model.hidden % 2:
        raise ConfigError(f"hidden is {model.hidden}; with both directions it must be even, H/2 for each")
    if model.tie != "none" and model.readout_size != model.embedding:
        raise ConfigError(
            f"readout_size is {model.readout_size} and embedding {model.embedding}; tied embeddings need them equal (or --tie none)"
        )
    if model.tie == "all" and not joint:
        raise ConfigError("tie is 'all', but the vocabularies are separate; give --joint-vocabulary, or --tie target")


def check_lengths(model: ModelConfig, longest: int) -> None:
    """ConfigError if a score by position could not see all of the longest training source, `longest` tokens with `</s>`."""
    by_position = model.attention in SCORES and SCORES[model.attention].by_position
    if by_position and longest > model.location_length:
        raise ConfigError(
            f"location_length is {model.location_length}, but a training source has {longest} tokens, </s> counted, and what "
            f"lies beyond would never be attended to; give --location-length {longest}, or leave such pairs out with --max-tokens"
        )


def steps(run: TrainConfig, pairs: int, batches: int) -> int:
    """Updates of the whole run by --steps or --epochs, or by default: as many epochs as show 250,000 pairs, at least 10."""
    if run.learn.steps is not None:
        return run.learn.steps
    return max(1, round((run.learn.epochs or _default_epochs(pairs)) * batches))


def _default_epochs(pairs: int) -> int:
    return max(LEAST_EPOCHS, math.ceil(PAIRS_SHOWN / pairs))
