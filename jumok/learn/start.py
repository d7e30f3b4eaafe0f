"""The door to training: options become a configuration, and the process is made ready before torch is imported."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jumok import config
from jumok.config import TrainConfig, build, to_dict
from jumok.errors import ConfigError, JumokError, MissingExtra, need
from jumok.keywords import done_by
from jumok.learn import memory, threads
from jumok.learn.history import Evaluation, best_of
from jumok.runtime.folder import CONFIG

if TYPE_CHECKING:
    from jumok.decode.translator import Translator
    from jumok.net.model import Seq2Seq


# what is asked of this sitting and no part of the run's configuration
SITTING = {"resume": False, "overwrite": False, "quiet": False, "profile": False, "tensorboard": "", "observe": None}


@dataclass(frozen=True)
class Trained:
    """What a training left behind: the model folder, its history, and how it ended.

    Attributes:
        folder: where the best model is.
        config: the run's configuration with nothing left open, as written beside the model.
        history: the evaluations, in their order.
        best: best value of the dev metric (`config.learn.metric`); best_step: when it was reached.
        interrupted: 0, or the number of the signal that ended training early.
    """

    folder: Path
    config: TrainConfig = field(repr=False)
    history: list[Evaluation] = field(repr=False)
    best: float | None
    best_step: int
    interrupted: int = 0

    def load(self, engine: str = "auto") -> Translator:
        """The best model of the run, ready to use; `engine` as for `jumok.load`. FolderError where there is none, as after an early
        end."""
        from jumok.decode.translator import load

        return load(self.folder, engine)


def left_behind(folder: Path, config: TrainConfig, history: list[Evaluation], interrupted: int = 0) -> Trained:
    """What a training left behind that is over, by its folder's history."""
    best = best_of(history)
    value = best.metrics[config.learn.metric] if best and config.learn.metric else None
    return Trained(folder, config, history, value, best.step if best else 0, interrupted)


def _train(
    pairs: str | Path = "",
    dev: str | Path = "",
    out: str | Path = "",
    *,
    config: TrainConfig | None = None,
    given: Collection[str] = (),
    **options: Any,
) -> Trained:
    start = time.perf_counter()
    sitting = {name: options.pop(name, usual) for name, usual in SITTING.items()}
    given = {*given, *options}
    if config is not None:
        known = to_dict(config)
        flat = {k: v for section in ("text", "model", "learn") for k, v in known.pop(section).items()} | known
        options = flat | options
    files = {name: str(value) for name, value in (("pairs", pairs), ("dev", dev), ("out", out)) if value}
    asked = build(TrainConfig, options | files, "jumok.train")
    if not asked.out:
        raise ConfigError("out is missing; name the model folder to write")
    return sit(asked, start, given, sitting)


def sit(asked: TrainConfig, start: float, given: Collection[str], sitting: dict[str, Any]) -> Trained:
    """`train`, when its options are a configuration: makes the process ready, and does the run.

    Args:
        start: when it was called, by `time.perf_counter`.
        sitting: what else `jumok.learn.run.Manner` has.
    """
    threads.check(asked.learn.threads)
    threads.bound_environment(lambda text: None if sitting["quiet"] else print(f"warning: {text}", file=sys.stderr))
    memory.prepare(_whole(asked, sitting["resume"] and not sitting["overwrite"]))
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as e:
        raise MissingExtra("training", "train", "torch") from e
    need("training", "train", "rich")
    from jumok.learn.run import Manner, run

    return run(asked, Manner(start, given=given, **{**sitting, "tensorboard": str(sitting["tensorboard"])}))


@done_by(_train)
def train(
    pairs: str | Path = "",
    dev: str | Path = "",
    out: str | Path = "",
    *,
    config: TrainConfig | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    profile: bool = False,
    tensorboard: str | Path = "",
    observe: Callable[[int, Seq2Seq], None] | None = None,
    given: Collection[str] = (),
    # options: TrainConfig -pairs -dev -out
    from_: str | Path = "",
    members: int = 1,
    member: int = 0,
    jobs: int = 1,
    source_embeddings: str | Path = "",
    target_embeddings: str | Path = "",
    teacher: str | Path = "",
    teacher_beam: int = 5,
    teacher_gold: float = 0.5,
    teacher_sources: str | Path = "",
    cache: str | Path = "",
    source_column: int | str = 1,
    target_column: int = 2,
    features_column: int = 0,
    features_separator: str = ";",
    source_tokenizer: config.TokenizerName = "char",
    target_tokenizer: config.TokenizerName = "char",
    source_form: config.UnicodeForm = "none",
    target_form: config.UnicodeForm = "none",
    bpe_size: int = 8000,
    joint_vocabulary: bool | None = None,
    min_count: int = 1,
    max_tokens: int = 250,
    attention: config.AttentionName = "dot",
    alignment: config.AlignmentName = "auto",
    copy: bool | None = None,
    size: config.SizeName | None = None,
    embedding: int | None = None,
    hidden: int | None = None,
    layers: int | None = None,
    cell: config.CellName = "lstm",
    bidirectional: bool = True,
    reverse_source: bool = False,
    score_size: int | None = None,
    location_length: int = 256,
    window: config.WindowName = "none",
    window_size: int = 10,
    readout: Literal["tanh", "linear"] = "tanh",
    input_feeding: bool = False,
    readout_size: int | None = None,
    tie: config.TieName | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    accumulate: int = 1,
    pool: int = 512,
    learning_rate: float | None = None,
    warmup: float = 0.05,
    decay: config.DecayName = "cosine",
    weight_decay: float | None = None,
    clip: float = 1.0,
    dropout: float | None = None,
    bpe_dropout: float = 0.0,
    label_smoothing: float = 0.1,
    freeze: float = 0.0,
    average: float = 0.998,
    teacher_forcing: config.TeacherForcingName = "always",
    gold_at_end: float = 0.0,
    switch: float = 0.5,
    switch_patience: int = 0,
    coin: config.CoinName = "token",
    own_token: config.OwnTokenName = "argmax",
    metric: config.MetricName | None = None,
    tokenize: str | None = None,
    evaluate_every: int | None = None,
    patience: int = 0,
    save_minutes: float = 5.0,
    save_every: int = 0,
    on_bad_loss: config.BadLossName = "skip",
    seed: int = 1,
    precision: config.PrecisionName = "auto",
    matmul: config.MatmulName = "auto",
    threads: int = 0,
    device: config.DeviceName = "auto",
    # end of options
) -> Trained:
    """Trains a model from a table of pairs and writes the best one, by a free-running dev metric, to the folder `out`.

    Args:
        pairs, dev, out: files and folder, as in `TrainConfig`.
        config: a whole configuration; what else is given goes over it.
        resume: go on from the checkpoint in `out`, with the configuration written there; where there is none yet, begin; where
            training is finished, do nothing. So the same call can be repeated until the run is done.
        overwrite: replace a model folder that is already at `out`: its own files; what else is there stays.
        quiet: show nothing.
        profile: say in the end where the time went, and write it to `profile.json` in `out`.
        tensorboard: folder for curves that TensorBoard shows; none if empty.
        observe: given the step and the model (its weights, not their average), before the first step and after each evaluation;
            it must leave the model as it is. Of many processes, only the lead's.
        given: names of options in `config` that were given, also where they equal their defaults: with `resume`, a line names
            those that are not used because the checkpoint says otherwise.

    Run, options of `TrainConfig` itself, without `pairs`, without `dev`, without `out`:
        from_: Model folder to start from (fine-tuning): its text and model options, vocabularies and weights. Tokens that are
            new in PAIRS are added to the vocabularies; those of bpe stay. With members, also an ensemble of as many: each
            starts from one of these.
        members: Models to train, with seeds from seed on; they write together, as an ensemble, and lie in out. The length given
            by minutes is for all together.
        member: With members: train only this one of them (1, 2, …), on a machine of its own, say. 0 = all.
        jobs: With members: train so many of them at the same time, each with its share of the cores. 1 = one after the other.
        source_embeddings: Known vectors of source tokens, as text (word2vec, GloVe, fastText; .gz too): embedding is then their
            size.
        target_embeddings: As source_embeddings, for the target.
        teacher: Model, or ensemble, to learn from (distillation): it first writes outputs for all training sources. Each pair
            is then trained on one of them or on its own target, by their shares, drawn anew for every epoch. What it wrote is
            kept in out until the end.
        teacher_beam: With teacher: beam of its search; the outputs, at most so many, share by their probabilities.
        teacher_gold: With teacher: share of the pairs' own targets; the rest is for what the teacher wrote.
        teacher_sources: With teacher: further sources, without targets, as for translate; they are trained on what the teacher
            writes for them.
        cache: Folder for the tokenised pairs, which are then read from the disk and may be larger than memory; made once, then
            reused. Default: pairs stay in memory; those in files of more than 100 MB (.gz: 25 MB) go to a folder beside out.

    Text, options of `TextConfig`:
        source_column: Column of the source in a TSV (first column = 1); several, as 1,4, are read one after the other, with a
            token between them.
        target_column: Column of the target in a TSV.
        features_column: Column of features (as in inflection: V;PST), which the encoder reads as extra tokens. 0 = none.
        features_separator: Separator between two features in their column.
        source_tokenizer: char: code points; space: parts between blanks (phones); word: words and punctuation; bpe: subwords
            learned from the data.
        target_tokenizer (char, space, word, bpe): As source_tokenizer, for the target.
        source_form (none, NFC, NFD, NFKC, NFKD): Unicode form of the source before it is tokenised (NFD splits Hangul into
            jamo). none = text as it is.
        target_form (none, NFC, NFD, NFKC, NFKD): As source_form, for the target. Outputs in a decomposed form (NFD, NFKD) are
            composed (NFC) when they are written.
        bpe_size: Entries of a bpe vocabulary.
        joint_vocabulary: One vocabulary for both sides. Default: yes if both sides are bpe, else no.
        min_count: Tokens that occur less often in training become <unk>.
        max_tokens: Training pairs with a side longer than this many tokens are left out, with a warning.

    Model, options of `ModelConfig`:
        attention (none, dot, general, concat, location): Score of the attention (dot learned fastest, and as well as any); none
            = plain encoder-decoder, with only the last state.
        alignment: soft = each step weighs all source positions; monotonic = each token is written from one position, which only
            goes forward, summed exactly over all alignments: better with few pairs whose order is kept (pronunciation,
            inflection); auto = monotonic for such pairs of letters, else soft; a line says which, and why.
        copy: With alignment monotonic: a token can also be copied from its source position, by a learned gate (inflection,
            names). Default: yes with this alignment if half of what the targets write stands in their sources; a line says so.
        size (small, medium, large): Sets embedding, hidden and readout_size. Default: small for letters (vocabularies under
            2,000), medium for words and subwords; medium, too, for three layers of letters with at least 50,000 pairs, if the
            training takes at least a minute for each 3,500 pairs, or shows each twelve times, unless the machine is too slow
            for it.
        embedding: Numbers in an embedding (small 128, medium 256, large 512).
        hidden: H: numbers in the decoder's state and in a memory row (small 256, medium 512, large 1024).
        layers: Recurrent layers, in the encoder and in the decoder. Default: 3 for letters with at least 8,000 pairs, if the
            training takes about 6 minutes or more, and one for each 16,000 pairs, or shows at least 300,000 pairs and each five
            times, unless the machine is too slow for them; else 1.
        cell: Recurrent cell: lstm, gru, or rnn (the plain cell, to show vanishing gradients).
        bidirectional: Encoder in both directions, with H/2 numbers each, concatenated to H.
        reverse_source: The encoder reads the source backwards, with </s> still last (for one direction); weights are in the
            source's order.
        score_size: Inner size of the concat score and of the local-p window. Default: hidden.
        location_length: L: source positions that the location score knows, </s> counted; positions beyond get no weight.
        window (none, local-m, local-p): Where a content score may look: local-m = around position t at step t; local-p = around
            a predicted position.
        window_size: D: how many positions a window reaches to each side.
        readout: tanh: softmax(W_s tanh(W_c [c; h])); linear: softmax(W [c; h]).
        input_feeding: The decoder also reads the output of the tanh readout of the step before; a training step takes longer.
        readout_size: Inner size of the tanh readout (small 256, medium 512, large 1024; with tied embeddings, their size).
        tie: Shared embeddings: target = target embedding and output layer; all = the source's too (joint vocabulary). Default:
            all if the vocabulary is joint, else none.

    Learning, options of `LearnConfig`:
        minutes: Wall-clock time of the whole training: a short calibration turns it into steps, which are planned anew on the
            way where the machine gets slower or faster.
        epochs: Passes over the data. Default, if no length is given: as many as show 250,000 pairs, at least 10.
        steps: Updates of the weights.
        batch_size: Pairs in a batch (default: 64; in medium and large models of words and subwords with 10,000 pairs or more,
            and of letters with 50,000 and three layers, 128, unless the training is shorter than 650 of these).
        batch_tokens: Size of a batch in target tokens instead of pairs.
        accumulate: Computes a batch in so many parts, one after the other: the same step in less memory.
        pool: How many batches are sorted by length together; every epoch has new pools.
        learning_rate: Highest learning rate of Adam (default: small 6e-3, medium 4e-3, large 1e-3; 0.15 of this in a training
            that starts from a model).
        warmup: Share of the steps in which the rate rises from 0.
        decay (cosine, linear, constant): How the rate falls to 0 after the warm-up; constant = it does not.
        weight_decay: Decoupled weight decay (AdamW): each step shrinks the weights by the learning rate times this (default:
            0.1 in models of three layers with at least 50,000 pairs from ten passes over the data on, and in those of words and
            subwords with at least 10,000 from five on; else, and in large ones, 0).
        clip: Largest norm of the gradient.
        dropout: Share of numbers dropped in training (default, by passes over the data: 0 under 4, 0.1 under 10, 0.2 under 30,
            else 0.3; a small model with three layers, or 8,000 pairs or more, gets less).
        bpe_dropout: With bpe: share of merges passed over when words are cut, anew for each epoch: more kinds of pieces, for
            long trainings on few sentences. 0 = words are cut once.
        label_smoothing: Share of the target's probability that is spread over the vocabulary.
        freeze: Share of the steps in which known vectors (source_embeddings, target_embeddings) stay as they are.
        average: Decay of the moving average of the weights, which is evaluated and saved; 0 = no average.
        teacher_forcing: How often the decoder reads the gold token instead of its own, over training: always; never (free
            running); two-phase (always, then gold_at_end); or falling from always to gold_at_end: linear, exponential,
            inverse-sigmoid.
        gold_at_end: Share of gold tokens that a falling or two-phase teacher_forcing ends with.
        switch: Share of the steps after which two-phase begins its second phase.
        switch_patience: Begin it earlier, after this many evaluations without a better one; 0 = by switch alone.
        coin: What each random choice between gold and own tokens is for: a token, a sentence, or the whole batch.
        own_token: The decoder's own token: argmax = the likeliest; sample = one drawn from its distribution.
        metric (accuracy, token-error-rate, bleu, chrf, loss): Dev metric, free running, that picks the best model; if it ties,
            token error rate and loss on dev do (default: accuracy for words, names and phones, bleu for sentences of words or
            subwords, chrf for sentences of characters).
        tokenize: sacrebleu's tokenizer for BLEU on dev, and later in evaluate: 13a, none, char, zh, ja-mecab, … (default: none
            for space targets, 13a if most targets have 4 words, else char).
        evaluate_every: Steps between two evaluations on dev (default: an epoch, or longer, so that they take a twentieth of the
            time).
        patience: Stop after this many evaluations without a better one; evaluations at which the metric shows nothing do not
            count. 0 = train to the end of the schedule.
        save_minutes: Minutes after which a checkpoint is written between two evaluations; each evaluation writes one. 0 = none
            between.
        save_every: Also write a checkpoint after so many steps; 0 = no further ones.
        on_bad_loss: If the loss or gradient of a batch is not finite: skip = the batch is named and left out, and ten in a row
            end the run; stop = the first one ends it.
        seed: Seed of weights, order and dropout.
        precision: auto: bfloat16 if a probe at the start finds it clearly faster on this machine, else float32.
        matmul (auto, default, onednn): Library for float32 products on a CPU; auto: the probe chooses.
        threads: CPU threads; 0 = all cores.
        device (auto, cpu, cuda): Where to train; auto: the GPU, if PyTorch sees one. The model folder runs anywhere.

    Raises:
        JumokError: anything a user can mend; its message says how.
    """
    raise NotImplementedError


def _whole(asked: TrainConfig, resume: bool) -> TrainConfig:
    """What is asked for; a run that is resumed has its options from its folder, if a model is there."""
    try:
        written = json.loads((Path(asked.out) / CONFIG).read_text(encoding="utf-8")) if resume else None
        return build(TrainConfig, written["training"], asked.out) if written else asked
    except (OSError, ValueError, KeyError, TypeError, JumokError):
        return asked  # whatever is wrong there is said where the checkpoint is read
