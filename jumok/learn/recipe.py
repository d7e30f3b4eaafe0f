"""The recipe: from the options asked for to a run with nothing left open, by rules a person can read.

`resolve` settles what follows from the data (how many pairs, how large the vocabularies) and from the length asked for. `settle`
settles the rest with what `jumok.learn.calibrate` has measured of the machine: how to compute, how many steps, where dev is
evaluated; dropout and weight decay, which follow from the number of steps.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from jumok.config import LearnConfig, MetricName, ModelConfig, SizeName, TextConfig, TrainConfig
from jumok.errors import ConfigError
from jumok.learn.automatic import Choice, Facts, automatic
from jumok.learn.order import Order
from jumok.scores import SCORES
from jumok.text import TOKENIZERS, Codec, is_joint
from jumok.text.shape import Shape, shape

if TYPE_CHECKING:  # so that the rules can be asked without torch
    from jumok.learn.calibrate import Pace
    from jumok.learn.machine import Machine
    from jumok.learn.material import Material

# size -> embedding, hidden (= the encoder's two directions together), readout
SIZES: dict[str, tuple[int, int, int]] = {
    "small": (128, 256, 256),
    "medium": (256, 512, 512),
    "large": (512, 1024, 1024),
}
# size -> learning rate. One slow core, one seed, on dev. Small with 3e-3, 6e-3 and 1e-2: inflection of 1,000 pairs, 330 steps, mean of four
# languages 68.1, 72.2, 71.8 percent right; CMUdict, 2,500 steps, 59.5, 61.5, 60.8; ja-en in 3 minutes BLEU 20.5, 25.7, 24.1; Multi30k
# in 4 minutes 28.9, 31.7, 32.8. Ten languages of pronunciation, 1,200 steps, with 3e-3 and 6e-3: 85.1, 85.4; names in jamo, 3 layers,
# 1,476 steps: 59.7, 62.2. Medium, CMUdict, 3 layers, one pass, with 2e-3 and 4e-3: 58.1, 59.6.
RATES: dict[str, float] = {"small": 6e-3, "medium": 4e-3, "large": 1e-3}
GENTLY = 0.15  # of this rate, if a training starts from a model, so that it keeps what it knows
Known = TypeVar("Known")

SMALL_VOCABULARY = 2_000  # letters, phones, syllables stay below; words and subwords do not
BATCH_SIZE = 64
LARGE_BATCH_SIZE = 128
LARGE_BATCH_PAIRS = 10_000  # of words and subwords, so many pairs have enough such batches
LARGE_BATCHES = 650  # a training of fewer such batches has too few steps
PAIRS_SHOWN = 250_000
LEAST_EPOCHS = 10
MANY_PAIRS = 50_000  # of so many, a small model learns little by heart; of letters, deep layers have enough large batches
# of letters, what three layers need to pay: so many pairs (which also want less dropout); and minutes, one more for each
# PAIRS_A_MINUTE; or pairs shown, and passes
DEEP = 3
DEEP_PAIRS = 8_000
DEEP_MINUTES = 6
PAIRS_A_MINUTE = 16_000
ENOUGH = 0.95  # of these minutes: a member gets a little less than its share where those before it took longer than theirs
DEEP_SHOWN = 300_000
DEEP_PASSES = 5
WEIGHT_DECAY = 0.1
DEEP_DECAY_PASSES, COARSE_DECAY_PASSES = 10, 5  # of three layers of letters, of words and subwords
# of MANY_PAIRS of letters, what a medium model of three layers needs to pay: a minute for each WIDE_PAIRS_A_MINUTE; or passes
WIDE_PAIRS_A_MINUTE = 3_500
WIDE_PASSES = 12
# of targets, most of which look so: BLEU counts runs of 4 words; what is longer than a name is seldom right as a whole
BLEU_WORDS = 4
LONGEST_NAME = 24  # characters, or phones


EVALUATION_SHARE = 0.05  # of the training time, at most
UNUSED = ("minutes", "epochs", "batch_tokens")  # None in a recipe: a run's length is in steps, a batch's size may be in pairs


@dataclass(frozen=True)
class Recipe:
    """A run with nothing left open.

    Attributes:
        config: every option has a value; the run's length is `steps`.
        machine: how to compute.
    """

    config: TrainConfig
    machine: Machine

    def __post_init__(self) -> None:
        parts = (self.config.model, self.config.learn)
        open_ = [name for part in parts for name, value in vars(part).items() if value is None and name not in UNUSED]
        assert not open_, open_

    @property
    def model(self) -> ModelConfig:
        """The network, every size chosen."""
        return self.config.model

    @property
    def learn(self) -> LearnConfig:
        """The training; see the properties below for what may be None in a `LearnConfig`."""
        return self.config.learn

    @property
    def steps(self) -> int:
        """Updates of the whole run."""
        return _known(self.learn.steps)

    @property
    def evaluate_every(self) -> int:
        """Steps from one evaluation to the next."""
        return _known(self.learn.evaluate_every)

    @property
    def learning_rate(self) -> float:
        """The highest."""
        return _known(self.learn.learning_rate)

    @property
    def dropout(self) -> float:
        """The share of numbers set to 0."""
        return _known(self.learn.dropout)

    @property
    def weight_decay(self) -> float:
        """A step shrinks the weights by the learning rate times this."""
        return _known(self.learn.weight_decay)


def _known(value: Known | None) -> Known:
    assert value is not None
    return value


def settle(asked: TrainConfig, data: Material, machine: Pace) -> Recipe:
    """The whole recipe: nothing is left open, and no loop is needed for it.

    Args:
        asked: as `resolve` leaves it.
        data: what is trained on.
        machine: how it computes best, and how fast.

    Raises:
        ConfigError: --minutes has no room for a single step.
    """
    learn, epoch, every = asked.learn, len(data.batches), _evaluate_every(asked.learn, data, machine)
    steps = _steps_in_time(learn, machine, every) if learn.minutes is not None else total_steps(asked, data.pairs, epoch)
    passes = steps / epoch
    decay = learn.weight_decay
    if decay is None:
        fine = letters(len(data.codec.source.vocabulary), len(data.codec.target.vocabulary))
        decay = default_weight_decay(passes, asked.model, data.pairs, fine)
    learn = dataclasses.replace(
        learn,
        dropout=default_dropout(passes, asked.model, data.pairs) if learn.dropout is None else learn.dropout,
        weight_decay=decay,
        steps=steps,
        minutes=None,
        epochs=None,
        evaluate_every=min(every, steps),
        precision=machine.machine.precision,  # type: ignore[arg-type]
        matmul=machine.machine.matmul,  # type: ignore[arg-type]
        threads=machine.machine.threads,
    )
    return Recipe(dataclasses.replace(asked, learn=learn), machine.machine)


def _evaluate_every(learn: LearnConfig, data: Material, machine: Pace) -> int:
    """Once an epoch, or so seldom that evaluations take a small share of the time."""
    return learn.evaluate_every or max(len(data.batches), round(machine.evaluation / (EVALUATION_SHARE * machine.step)))


def _steps_in_time(learn: LearnConfig, pace: Pace, every: int) -> int:
    """As many as there is time left for: each carries its share of the evaluations, and one more evaluation ends the run."""
    steps = int((pace.left - pace.evaluation) / (pace.step + pace.evaluation / every))
    if steps < 1:
        raise ConfigError(
            f"minutes is {learn.minutes:g}, but reading and measuring took {pace.spent / 60:.1f} and an evaluation takes "
            f"{pace.evaluation / 60:.1f}; nothing is left for training; give more"
        )
    return steps


def letters(source_size: int, target_size: int) -> bool:
    """Whether both vocabularies are so small that they must be letters, phones or syllables."""
    return max(source_size, target_size) < SMALL_VOCABULARY


def default_layers(fine: bool, pairs: int, learn: LearnConfig) -> int:
    """1; for letters (`fine`) with many pairs 3, if the training is long enough for them.

    One core, one seed, percent right on dev. CMUdict, small, 9,840 steps, with 1, 2 and 3 layers: 68.5, 69.6, 71.9; in 7 minutes with
    1 and 3 (2.8 passes) 69.2, 69.1, and with 3 in batches of 128 (5.8 passes) 70.9. Medium with 1 layer, 9,506 steps: 68.7; 50,086
    steps: 69.6. English names in jamo (24,000 pairs), small, 4,180 steps, with 1, 2 and 3 layers: 58.6, 63.1, 65.6. German inflection
    (10,000 pairs), soft: 7,500 steps with 1 layer (310 s) 90.3, 3,000 with 3 (369 s) 91.2. Pronunciation in three languages (3,600
    pairs, monotonic), 1,200 steps, with 1 and 3: mean 74.7, 74.7, in twice the time.
    """
    minutes, shown = max(DEEP_MINUTES, pairs / PAIRS_A_MINUTE), max(DEEP_SHOWN, DEEP_PASSES * pairs)
    return DEEP if fine and pairs >= DEEP_PAIRS and _lasts(learn, pairs, minutes, shown) else 1


def default_size(fine: bool, pairs: int, layers: int, learn: LearnConfig) -> SizeName:
    """medium; for letters (`fine`) small, unless there are many pairs, three layers, and time for them.

    CMUdict, one core, one seed, 3 layers, percent right on the words of dev that training does not have: small, 9,840 steps of 64
    pairs (17 minutes) 75.6, an hour gave no more; medium, batches of 128, 21 minutes without dropout 75.9, an hour with 0.2 76.9.
    """
    long = pairs >= MANY_PAIRS and layers >= DEEP and _lasts(learn, pairs, pairs / WIDE_PAIRS_A_MINUTE, WIDE_PASSES * pairs)
    return "medium" if long or not fine else "small"


def _lasts(learn: LearnConfig, pairs: int, minutes: float, shown: int) -> bool:
    """Whether a training of letters was asked for that lasts so many minutes, or shows so many pairs."""
    if learn.minutes is not None:
        return learn.minutes >= ENOUGH * minutes
    if learn.steps is not None:
        return learn.steps * (learn.batch_size or default_batch_size(True, pairs, DEEP, None, learn)) >= shown
    return (learn.epochs or _default_epochs(pairs)) * pairs >= shown


def default_batch_size(fine: bool, pairs: int, layers: int, size: SizeName | None, learn: LearnConfig) -> int:
    """64; with many pairs 128, unless the epochs asked for are too few steps of 128: of letters (`fine`) only for three layers, of
    words and subwords not for small models.

    Words and subwords: Multi30k, medium, one core of a Xeon with AMX: 128 show 21 % more tokens a second, 256 34 %. 33 minutes of
    each: BLEU on dev 38.3 with 64 (one seed, 18 passes) and 38.4 to 39.3 with 128 (four seeds, 18 to 23 passes); after as many
    passes, both reach as much.
    Letters: CMUdict, small with 3 layers, 7 minutes of one core: 69.1 percent right on dev with 64 (2.8 passes), 70.9 with 128 (5.8).
    With one layer, a step with 128 takes nearly twice as long as one with 64.
    Small models of subwords, an AMD EPYC without AVX-512: ja-en of small_parallel_enja in 3 minutes, BLEU on dev: 25.7 with 64 (1,190
    steps), 24.0 with 128 (603), which show no more pairs.
    """
    large = pairs >= MANY_PAIRS and layers >= DEEP if fine else pairs >= LARGE_BATCH_PAIRS and size != "small"
    by_epochs = learn.minutes is None and learn.steps is None
    few = by_epochs and (learn.epochs or _default_epochs(pairs)) * pairs < LARGE_BATCHES * LARGE_BATCH_SIZE
    return LARGE_BATCH_SIZE if large and not few else BATCH_SIZE


def network_and_batch(asked: TrainConfig, fine: bool, pairs: int) -> tuple[int, SizeName, int]:
    """Layers, size, and pairs in a batch: as asked, else by default."""
    model, learn = asked.model, asked.learn
    layers = model.layers or default_layers(fine, pairs, learn)
    size = model.size or default_size(fine, pairs, layers, learn)
    return layers, size, learn.batch_size or default_batch_size(fine, pairs, layers, size, learn)


def default_dropout(epochs: float, model: ModelConfig, pairs: int) -> float:
    """The more often a model sees its data, the more dropout it needs; it cannot learn by heart what it sees a few
    times; nor can a small model learn many pairs by heart. With three layers, the output of each is dropped, so the rate is lower;
    so it is in any small model from DEEP_PAIRS on.

    Chosen on dev, one seed each. Small, CMUdict (109,000 pairs), accuracy: 3 epochs 64.4 with none, 62.6 with 0.1, 61.8 with 0.2;
    11.7 epochs 67.3 with none (best after 5 of them), 66.9 with 0.05, 67.3 with 0.1, 64.8 with 0.2. Medium, Multi30k (29,000), 6
    epochs: BLEU 36.2 with 0.05, 36.6 with 0.1, 35.7 with 0.2, 34.7 with 0.3. Small, three languages of SIGMORPHON 2020 (3,600), 46
    epochs: mean accuracy 78.1 with 0.2, 78.0 with 0.3; with 0.5, 3 points less. Medium with 3 layers, CMUdict, words of
    dev that training does not have: 8 passes 73.5 with 0.3, 16 passes 76.9 with 0.2; so many pairs want no more than that. Small
    with 3 layers, the same words: 16 passes with 0.1 (two seeds) 74.5, 75.1, with 0.2 72.5.
    Small with 3 layers, inflection (10,000), about 17 passes, accuracy with 0.1, 0.2 and 0.3: German 91.7, 90.5, 89.9, Finnish 94.4,
    93.2, 82.3; English names in jamo (24,000), 10.5 passes, with 0.1 and 0.2: 66.5, 64.2. Small with 1 layer, 10 to 13 passes, with 0.1
    and 0.2: inflection (10,000), German 88.7, 86.8, English 96.2, 95.8, Turkish 96.5, 97.1; pronunciation in three languages (3,600)
    84.8, 85.6. Subwords, small with 1 layer: Multi30k, 21 passes, BLEU with 0.1 and 0.2: 37.4, 37.5; ja-en (50,000), 10.5 passes, with
    none and 0.1: 35.5, 36.1, with beam 5 38.8, 37.4. Medium: Multi30k, 10.6 passes, with 0.1, 0.2 and 0.3: 36.6, 37.7, 36.2; 5.2 passes,
    with 0.1 and 0.2: 35.5, 34.9; ja-en, 5.7 passes, with 0.1 and 0.2: 37.0, 33.4.
    """
    small, rates = model.size == "small", (0.0, 0.1, 0.2, 0.3)
    if pairs >= MANY_PAIRS:
        rates = (0.0, 0.0, 0.1, 0.1) if small else (0.0, 0.1, 0.2, 0.2)
    elif small and (model.depth >= DEEP or pairs >= DEEP_PAIRS):
        rates = (0.0, 0.1, 0.1, 0.2)
    return next(rate for rate, most in zip(rates, (4, 10, 30, math.inf), strict=True) if epochs < most)


def default_weight_decay(epochs: float, model: ModelConfig, pairs: int, fine: bool) -> float:
    """It keeps a model of three layers, or one of words and subwords, from learning its pairs by heart, which dropout alone does not.

    Chosen on dev, with none and 0.1. CMUdict, words that training does not have: small, dropout 0.1, 16 passes 74.5, 75.1 (two seeds) and
    76.1; medium, dropout 0.2, 14 and 25 passes with none (the first with half the rate) 76.0, 75.9, 14 passes with 0.1 76.7; small with
    0.3, on 2,000 words: 74.4, with 0.1 77.1. Subwords, BLEU: Multi30k, small, 10.2 passes 36.4 and 38.4, medium, 10.6 passes 37.7 and
    38.3; ja-en, small, 10.5 passes 36.1 and 37.3, medium, 5.7 passes 37.0 and 37.4. No gain for small ones with few pairs:
    pronunciation in ten languages (3,600), 21 passes, accuracy (three seeds) 85.3 and 85.4.
    """
    if model.size == "large":  # which nobody has measured
        return 0.0
    deep = model.depth >= DEEP and pairs >= MANY_PAIRS and epochs >= DEEP_DECAY_PASSES
    coarse = not fine and pairs >= LARGE_BATCH_PAIRS and epochs >= COARSE_DECAY_PASSES
    return WEIGHT_DECAY if deep or coarse else 0.0


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


def alignment_of(
    asked: TrainConfig, sizes: tuple[int, int], pairs: int, tokens: tuple[float, float], order: Callable[[], Order]
) -> tuple[TrainConfig, Choice]:
    """The options with an alignment that is not `auto` and copying or none, and what was chosen, with its reason.

    Args:
        sizes: entries of the vocabularies. pairs: how many are trained on. tokens: mean of a source and of a target.
        order: measures the order of the pairs (`jumok.learn.order`), which takes a moment.
    """
    facts = Facts(letters(*sizes), pairs, tokens, asked.model, len(asked.text.source_columns))
    chosen = automatic(facts, order)
    return dataclasses.replace(asked, model=chosen.of(asked.model)), chosen


def resolve(asked: TrainConfig, source_size: int, target_size: int, pairs: int, targets: Sequence[str] = ()) -> TrainConfig:
    """The options with all that follows from the data; left open are what `settle` needs the machine's pace for.

    If nobody has measured the order of the pairs (`alignment_of`), the alignment `auto` is soft here, or monotonic if --copy was given,
    and nothing is copied if nobody said.

    Args:
        source_size, target_size: entries of the vocabularies.
        pairs: how many are trained on.
        targets: what the metric is to suit; of dev, say. None: sentences where they are words or subwords, else words.
    """
    asked, _ = alignment_of(asked, (source_size, target_size), pairs, (1, 1), lambda: Order(0, 0, 0))
    text, model, learn = asked.text, asked.model, asked.learn
    if model.alignment == "monotonic" and target_size >= SMALL_VOCABULARY:
        raise ConfigError(
            f"alignment is 'monotonic', but the target vocabulary has {target_size:,} entries; every source position has its own "
            f"distribution over them, which takes fewer than {SMALL_VOCABULARY:,} (letters, phones): give --alignment soft, or a "
            "tokenizer of letters"
        )
    joint = is_joint(text)
    fine = letters(source_size, target_size)
    layers, size, batch_size = network_and_batch(asked, fine, pairs)
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
        layers=layers,
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
        batch_size=batch_size,
        learning_rate=learn.learning_rate or RATES[size] * (GENTLY if asked.from_ else 1),
        metric=learn.metric or default_metric(text, look, target_size),
        tokenize=learn.tokenize or default_tokenize(text, look),
    )
    return dataclasses.replace(asked, text=dataclasses.replace(text, joint_vocabulary=joint), model=model, learn=learn)


def in_words(model: ModelConfig) -> str:
    """A network in a few words: "small, 3 layers, attention dot"."""
    usual = model.size is not None and model.hidden == SIZES[model.size][1]
    layers = f", {model.layers} layers" if model.layers != 1 else ""
    return f"{model.size if usual else f'hidden {model.hidden}'}{layers}, attention {model.attention}"


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


def check_copying(model: ModelConfig, codec: Codec) -> None:
    """ConfigError if tokens are to be copied and no source token is among the target's."""
    if model.copy and not (codec.copies() >= 0).any():
        raise ConfigError("copy is on, but no source token is a target token, so nothing could be copied; give --no-copy")


def total_steps(asked: TrainConfig, pairs: int, batches: int) -> int:
    """Updates of the whole run by --steps or --epochs, or by default: as many epochs as show 250,000 pairs, at least 10."""
    if asked.learn.steps is not None:
        return asked.learn.steps
    return max(1, round((asked.learn.epochs or _default_epochs(pairs)) * batches))


def _default_epochs(pairs: int) -> int:
    return max(LEAST_EPOCHS, math.ceil(PAIRS_SHOWN / pairs))
