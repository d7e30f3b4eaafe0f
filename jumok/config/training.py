"""The options of a training: text, model, learning, and the files of a run."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Literal

from jumok.places import FolderPath, LinesPath, ModelPath, PairsPath, VectorsPath

# between two sources, as text and as a token; no text of one source has a TAB, so none looks like it
BETWEEN = "\t"

TokenizerName = Literal["char", "space", "word", "bpe"]
UnicodeForm = Literal["none", "NFC", "NFD", "NFKC", "NFKD"]
AttentionName = Literal["none", "dot", "general", "concat", "location"]
AlignmentName = Literal["soft", "monotonic", "auto"]
CellName = Literal["lstm", "gru", "rnn"]
WindowName = Literal["none", "local-m", "local-p"]
SizeName = Literal["small", "medium", "large"]
TieName = Literal["none", "target", "all"]
MetricName = Literal["accuracy", "token-error-rate", "bleu", "chrf", "loss"]
TeacherForcingName = Literal["always", "never", "two-phase", "linear", "exponential", "inverse-sigmoid"]
CoinName = Literal["token", "sentence", "batch"]
OwnTokenName = Literal["argmax", "sample"]
DecayName = Literal["cosine", "linear", "constant"]
PrecisionName = Literal["auto", "float32", "bfloat16"]
MatmulName = Literal["auto", "default", "onednn"]
DeviceName = Literal["auto", "cpu", "cuda"]
BadLossName = Literal["skip", "stop"]


@dataclass(frozen=True)
class TextConfig:
    """How lines become tokens, and tokens become lines."""

    source_column: int | str = 1
    """Column of the source in a TSV (first column = 1); several, as 1,4, are read one after the other, with a token between them."""
    target_column: int = 2
    """Column of the target in a TSV."""
    features_column: int = 0
    """Column of features (as in inflection: V;PST), which the encoder reads as extra tokens. 0 = none."""
    features_separator: str = ";"
    """Separator between two features in their column."""
    source_tokenizer: TokenizerName = "char"
    """char: code points; space: parts between blanks (phones); word: words and punctuation; bpe: subwords learned from the data."""
    target_tokenizer: TokenizerName = "char"
    """As --source-tokenizer, for the target."""
    source_form: UnicodeForm = "none"
    """Unicode form of the source before it is tokenised (NFD splits Hangul into jamo). none = text as it is."""
    target_form: UnicodeForm = "none"
    """As --source-form, for the target. Outputs in a decomposed form (NFD, NFKD) are composed (NFC) when they are written."""
    bpe_size: int = 8000
    """Entries of a bpe vocabulary."""
    joint_vocabulary: bool | None = None
    """One vocabulary for both sides. Default: yes if both sides are bpe, else no."""
    min_count: int = 1
    """Tokens that occur less often in training become <unk>."""
    max_tokens: int = 250
    """Training pairs with a side longer than this many tokens are left out, with a warning."""

    @property
    def source_columns(self) -> tuple[int, ...]:
        """The columns of the sources, mostly one. ValueError where `source_column` is no list of numbers."""
        return _numbers(str(self.source_column))

    @property
    def several(self) -> bool:
        """Whether there are several sources: a source is then their texts with a TAB between two (`BETWEEN`)."""
        return len(self.source_columns) > 1


@functools.cache
def _numbers(columns: str) -> tuple[int, ...]:
    """They are asked for at every line that is read."""
    return tuple(int(part) for part in columns.split(","))


@dataclass(frozen=True)
class ModelConfig:
    """What the network is. Sizes that are None follow --size."""

    attention: AttentionName = "dot"
    """Score of the attention (dot learned fastest, and as well as any); none = plain encoder-decoder, with only the last state."""
    alignment: AlignmentName = "auto"
    """soft = each step weighs all source positions; monotonic = each token is written from one position, which only goes forward,
    summed exactly over all alignments: better with few pairs whose order is kept (pronunciation, inflection); auto = monotonic for
    such pairs of letters, else soft; a line says which, and why."""
    copy: bool | None = None
    """With --alignment monotonic: a token can also be copied from its source position, by a learned gate (inflection, names).
    Default: yes with this alignment if half of what the targets write stands in their sources; a line says so."""
    size: SizeName | None = None
    """Sets --embedding, --hidden and --readout-size. Default: small for letters (vocabularies under 2,000), medium for words and
    subwords; medium, too, for three layers of letters with at least 50,000 pairs, if the training takes at least a minute for each
    3,500 pairs, or shows each twelve times, unless the machine is too slow for it."""
    embedding: int | None = None
    """Numbers in an embedding (small 128, medium 256, large 512)."""
    hidden: int | None = None
    """H: numbers in the decoder's state and in a memory row (small 256, medium 512, large 1024)."""
    layers: int | None = None
    """Recurrent layers, in the encoder and in the decoder. Default: 3 for letters with at least 8,000 pairs, if the training takes
    about 6 minutes or more, and one for each 16,000 pairs, or shows at least 300,000 pairs and each five times, unless the machine
    is too slow for them; else 1."""
    cell: CellName = "lstm"
    """Recurrent cell: lstm, gru, or rnn (the plain cell, to show vanishing gradients)."""
    bidirectional: bool = True
    """Encoder in both directions, with H/2 numbers each, concatenated to H."""
    reverse_source: bool = False
    """The encoder reads the source backwards, with </s> still last (for one direction); weights are in the source's order."""
    score_size: int | None = None
    """Inner size of the concat score and of the local-p window. Default: hidden."""
    location_length: int = 256
    """L: source positions that the location score knows, </s> counted; positions beyond get no weight."""
    window: WindowName = "none"
    """Where a content score may look: local-m = around position t at step t; local-p = around a predicted position."""
    window_size: int = 10
    """D: how many positions a window reaches to each side."""
    readout: Literal["tanh", "linear"] = "tanh"
    """tanh: softmax(W_s tanh(W_c [c; h])); linear: softmax(W [c; h])."""
    input_feeding: bool = False
    """The decoder also reads the output of the tanh readout of the step before; a training step takes longer."""
    readout_size: int | None = None
    """Inner size of the tanh readout (small 256, medium 512, large 1024; with tied embeddings, their size)."""
    tie: TieName | None = None
    """Shared embeddings: target = target embedding and output layer; all = the source's too (joint vocabulary).
    Default: all if the vocabulary is joint, else none."""

    @property
    def depth(self) -> int:
        """The number of layers; 1 where it is not chosen yet."""
        return self.layers or 1


@dataclass(frozen=True)
class LearnConfig:
    """How the model is trained. One of --minutes, --epochs, --steps gives the length, and the whole schedule fits into it."""

    minutes: float | None = None
    """Wall-clock time of the whole training: a short calibration turns it into steps, which are planned anew on the way where the
    machine gets slower or faster."""
    epochs: float | None = None
    """Passes over the data. Default, if no length is given: as many as show 250,000 pairs, at least 10."""
    steps: int | None = None
    """Updates of the weights."""
    batch_size: int | None = None
    """Pairs in a batch (default: 64; in medium and large models of words and subwords with 10,000 pairs or more, and of letters with
    50,000 and three layers, 128, unless the training is shorter than 650 of these)."""
    batch_tokens: int | None = None
    """Size of a batch in target tokens instead of pairs."""
    accumulate: int = 1
    """Computes a batch in so many parts, one after the other: the same step in less memory."""
    pool: int = 512
    """How many batches are sorted by length together; every epoch has new pools."""
    learning_rate: float | None = None
    """Highest learning rate of Adam (default: small 6e-3, medium 4e-3, large 1e-3; 0.15 of this in a training that
    starts from a model)."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises from 0."""
    decay: DecayName = "cosine"
    """How the rate falls to 0 after the warm-up; constant = it does not."""
    weight_decay: float | None = None
    """Decoupled weight decay (AdamW): each step shrinks the weights by the learning rate times this (default: 0.1 in models of three
    layers with at least 50,000 pairs from ten passes over the data on, and in those of words and subwords with at least 10,000 from
    five on; else, and in large ones, 0)."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    dropout: float | None = None
    """Share of numbers dropped in training (default, by passes over the data: 0 under 4, 0.1 under 10, 0.2 under 30, else 0.3; a
    small model with three layers, or 8,000 pairs or more, gets less)."""
    bpe_dropout: float = 0.0
    """With bpe: share of merges passed over when words are cut, anew for each epoch: more kinds of pieces, for long trainings on few
    sentences. 0 = words are cut once."""
    label_smoothing: float = 0.1
    """Share of the target's probability that is spread over the vocabulary."""
    freeze: float = 0.0
    """Share of the steps in which known vectors (--source-embeddings, --target-embeddings) stay as they are."""
    average: float = 0.998
    """Decay of the moving average of the weights, which is evaluated and saved; 0 = no average."""
    teacher_forcing: TeacherForcingName = "always"
    """How often the decoder reads the gold token instead of its own, over training: always; never (free running); two-phase
    (always, then --gold-at-end); or falling from always to --gold-at-end: linear, exponential, inverse-sigmoid."""
    gold_at_end: float = 0.0
    """Share of gold tokens that a falling or two-phase --teacher-forcing ends with."""
    switch: float = 0.5
    """Share of the steps after which two-phase begins its second phase."""
    switch_patience: int = 0
    """Begin it earlier, after this many evaluations without a better one; 0 = by --switch alone."""
    coin: CoinName = "token"
    """What each random choice between gold and own tokens is for: a token, a sentence, or the whole batch."""
    own_token: OwnTokenName = "argmax"
    """The decoder's own token: argmax = the likeliest; sample = one drawn from its distribution."""
    metric: MetricName | None = None
    """Dev metric, free running, that picks the best model; if it ties, token error rate and loss on dev do (default: accuracy
    for words, names and phones, bleu for sentences of words or subwords, chrf for sentences of characters)."""
    tokenize: str | None = None
    """sacrebleu's tokenizer for BLEU on dev, and later in evaluate: 13a, none, char, zh, ja-mecab, … (default: none for space
    targets, 13a if most targets have 4 words, else char)."""
    evaluate_every: int | None = None
    """Steps between two evaluations on dev (default: an epoch, or longer, so that they take a twentieth of the time)."""
    patience: int = 0
    """Stop after this many evaluations without a better one; evaluations at which the metric shows nothing do not count. 0 =
    train to the end of the schedule."""
    save_minutes: float = 5.0
    """Minutes after which a checkpoint is written between two evaluations; each evaluation writes one. 0 = none between."""
    save_every: int = 0
    """Also write a checkpoint after so many steps; 0 = no further ones."""
    on_bad_loss: BadLossName = "skip"
    """If the loss or gradient of a batch is not finite: skip = the batch is named and left out, and ten in a row end the run;
    stop = the first one ends it."""
    seed: int = 1
    """Seed of weights, order and dropout."""
    precision: PrecisionName = "auto"
    """auto: bfloat16 if a probe at the start finds it clearly faster on this machine, else float32."""
    matmul: MatmulName = "auto"
    """Library for float32 products on a CPU; auto: the probe chooses."""
    threads: int = 0
    """CPU threads; 0 = all cores."""
    device: DeviceName = "auto"
    """Where to train; auto: the GPU, if PyTorch sees one. The model folder runs anywhere."""


@dataclass(frozen=True)
class TrainConfig:
    """A whole run: files, text, model, learning."""

    pairs: PairsPath = ""
    """Training pairs: TSV or JSONL (.gz too; - = standard input), or SOURCE,TARGET for two parallel files."""
    dev: PairsPath = ""
    """Development pairs, in the same form; they pick the best model. Without: 1 in 20 training pairs, at most 2,000."""
    out: FolderPath = ""
    """Model folder to write."""
    from_: ModelPath = ""
    """Model folder to start from (fine-tuning): its text and model options, vocabularies and weights. Tokens that are new in PAIRS
    are added to the vocabularies; those of bpe stay. With --members, also an ensemble of as many: each starts from one of these."""
    members: int = 1
    """Models to train, with seeds from --seed on; they write together, as an ensemble, and lie in --out. The length given by
    --minutes is for all together."""
    member: int = 0
    """With --members: train only this one of them (1, 2, …), on a machine of its own, say. 0 = all."""
    jobs: int = 1
    """With --members: train so many of them at the same time, each with its share of the cores. 1 = one after the other."""
    source_embeddings: VectorsPath = ""
    """Known vectors of source tokens, as text (word2vec, GloVe, fastText; .gz too): --embedding is then their size."""
    target_embeddings: VectorsPath = ""
    """As --source-embeddings, for the target."""
    teacher: ModelPath = ""
    """Model, or ensemble, to learn from (distillation): it first writes outputs for all training sources. Each pair is then trained
    on one of them or on its own target, by their shares, drawn anew for every epoch. What it wrote is kept in --out until the end."""
    teacher_beam: int = 5
    """With --teacher: beam of its search; the outputs, at most so many, share by their probabilities."""
    teacher_gold: float = 0.5
    """With --teacher: share of the pairs' own targets; the rest is for what the teacher wrote."""
    teacher_sources: LinesPath = ""
    """With --teacher: further sources, without targets, as for translate; they are trained on what the teacher writes for them."""
    cache: FolderPath = ""
    """Folder for the tokenised pairs, which are then read from the disk and may be larger than memory; made once, then reused.
    Default: pairs stay in memory; those in files of more than 100 MB (.gz: 25 MB) go to a folder beside --out."""
    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)
