"""All options, as frozen dataclasses: the same names on the command line, in TOML, in Python and in a model folder.

`TextConfig` says how lines become tokens, `ModelConfig` what the network is, `LearnConfig` how it is trained. `TrainConfig`
holds all three and the files. `None` means "chosen from the data" (see `jumok.learn.recipe`); the chosen values are written
into the model folder, so that a run can be repeated. `check` checks all values.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Optional, TypeVar, get_args, get_origin
from typing import get_type_hints as _evaluate

from jumok.alignments import misfit
from jumok.errors import ConfigError
from jumok.places import FolderPath, ModelPath, PairsPath, expanded
from jumok.scores import SCORES

TokenizerName = Literal["char", "space", "word", "bpe"]
UnicodeForm = Literal["none", "NFC", "NFD", "NFKC", "NFKD"]
AttentionName = Literal["none", "dot", "general", "concat", "location"]
AlignmentName = Literal["soft", "monotonic"]
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

    source_column: int = 1
    """Column of the source in a TSV (first column = 1)."""
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


@dataclass(frozen=True)
class ModelConfig:
    """What the network is. Sizes that are None follow --size."""

    attention: AttentionName = "dot"
    """Score of the attention (dot learned fastest, and as well as any); none = plain encoder-decoder, with only the last state."""
    alignment: AlignmentName = "soft"
    """soft = each step weighs all source positions; monotonic = each token is written from one position, which only goes forward,
    summed exactly over all alignments: better with few pairs whose order is kept (pronunciation, inflection)."""
    copy: bool = False
    """With --alignment monotonic: a token can also be copied from its source position, by a learned gate (inflection, names)."""
    size: SizeName | None = None
    """Sets --embedding, --hidden and --readout-size. Default: small for letters (vocabularies under 2,000), medium for words and
    subwords, and for letters with at least 50,000 pairs and 10 minutes or 1,500,000 pairs shown."""
    embedding: int | None = None
    """Numbers in an embedding (small 128, medium 256, large 512)."""
    hidden: int | None = None
    """H: numbers in the decoder's state and in a memory row (small 256, medium 512, large 1024)."""
    layers: int = 1
    """Recurrent layers, in the encoder and in the decoder."""
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


@dataclass(frozen=True)
class LearnConfig:
    """How the model is trained. One of --minutes, --epochs, --steps gives the length, and the whole schedule fits into it."""

    minutes: float | None = None
    """Wall-clock time of the whole training; a short calibration turns it into --steps, which is what is recorded."""
    epochs: float | None = None
    """Passes over the data. Default, if no length is given: as many as show 250,000 pairs, at least 10."""
    steps: int | None = None
    """Updates of the weights."""
    batch_size: int | None = None
    """Pairs in a batch (default 64)."""
    batch_tokens: int | None = None
    """Size of a batch in target tokens instead of pairs."""
    accumulate: int = 1
    """Computes a batch in so many parts, one after the other: the same step in less memory."""
    pool: int = 512
    """How many batches are sorted by length together; every epoch has new pools."""
    learning_rate: float | None = None
    """Highest learning rate of Adam (default: 3e-3 small; 4e-3 medium, of letters 2e-3; 1e-3 large)."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises from 0."""
    decay: DecayName = "cosine"
    """How the rate falls to 0 after the warm-up; constant = it does not."""
    weight_decay: float = 0.0
    """Decoupled weight decay (AdamW)."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    dropout: float | None = None
    """Share of numbers dropped in training (default, by passes over the data: 0 under 4, 0.1 under 10, 0.2 under 30, else 0.3)."""
    label_smoothing: float = 0.1
    """Share of the target's probability that is spread over the vocabulary."""
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
    cache: FolderPath = ""
    """Folder for the tokenised pairs, which are then read from the disk and may be larger than memory; made once, then reused.
    Default: pairs stay in memory; those in files of more than 100 MB (.gz: 25 MB) go to a folder beside --out."""
    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)


@dataclass(frozen=True)
class SearchConfig:
    """How a trained model is searched for its best output."""

    beam: int = 1
    """Hypotheses kept at each step; 1 = greedy."""
    nbest: int = 1
    """Hypotheses returned for a line (at most --beam)."""
    length_penalty: float = 1.0
    """Ranks hypotheses by log-probability / length ** length-penalty; 0 = no normalisation."""
    max_length: Optional[int] = None  # noqa: UP045 - tyro imports typeguard, 70 ms, to check an `int | None`
    """Most tokens written for a line. Default: grows with the source, as the targets do in the training pairs."""
    batch_size: int = 64
    """Lines decoded together."""


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


Config = TypeVar("Config")


@functools.cache
def type_hints(cls: type) -> dict[str, Any]:
    """The types of a config class's fields; evaluated once, since `translate` checks its options at every call."""
    return _evaluate(cls)


def options(cls: type) -> dict[str, dataclasses.Field]:
    """All options of a config class and of the classes inside it, by name."""
    fields: dict[str, dataclasses.Field] = {}
    hints = type_hints(cls)
    for f in dataclasses.fields(cls):
        inner: Any = hints[f.name]
        fields |= options(inner) if isinstance(inner, type) and dataclasses.is_dataclass(inner) else {f.name: f}
    return fields


def build(cls: type[Config], values: dict[str, Any], where: str) -> Config:
    """Builds a config from flat or nested names.

    Args:
        cls: the config class.
        values: {"attention": "dot", …} or {"model": {"attention": "dot"}, …}, as from TOML, JSON or keyword arguments.
        where: the source of the values, for errors: a file, "the command line", "jumok.train".

    Raises:
        ConfigError: an unknown name, or a value that is not possible; says what was wanted.
    """
    known = options(cls)
    sections = {f.name for f in dataclasses.fields(cls) if f.name not in known}  # type: ignore[arg-type]
    flat: dict[str, Any] = {}
    for name, value in values.items():
        section = isinstance(value, dict) and name.replace("-", "_") not in known
        if section and name not in sections:
            near = difflib.get_close_matches(name, sections, n=1)
            wanted = f"did you mean [{near[0]}]?" if near else f"there are {', '.join(f'[{s}]' for s in sorted(sections))}"
            raise ConfigError(f"{where}: there is no section [{name}]" + (f"; {wanted}" if sections else ""))
        for option, chosen in (value if section else {name: value}).items():
            if option.replace("-", "_") in flat:
                raise ConfigError(f"{where}: {option} is given twice; give it once")
            flat[option.replace("-", "_")] = chosen
    for name in flat:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(f"{where}: there is no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return check(expanded(_fill(cls, flat, where)), where)


def _fill(cls: type[Config], flat: dict[str, Any], where: str) -> Config:
    hints = type_hints(cls)  # type: ignore[arg-type]
    made = {}
    for f in dataclasses.fields(cls):  # type: ignore[arg-type]
        if dataclasses.is_dataclass(hints[f.name]):
            made[f.name] = _fill(hints[f.name], flat, where)
        elif f.name in flat:
            made[f.name] = _value(hints[f.name], flat[f.name], f.name, where)
    return cls(**made)


def _value(hint: Any, value: Any, name: str, where: str) -> Any:
    """`value` as the type `hint`, or a ConfigError."""
    choices = [c for part in (get_args(hint) or (hint,)) for c in (get_args(part) or (part,))]
    if any(isinstance(c, str) for c in choices):  # a Literal, maybe optional
        names = [c for c in choices if isinstance(c, str)]
        if value in names or (value is None and type(None) in choices):
            return value
        raise ConfigError(f"{where}: {name} is {value!r}; it can be {', '.join(names)}")
    if value is None and type(None) in choices:
        return None
    if get_origin(hint) is tuple:
        if isinstance(value, list | tuple) and all(type(text) is str for text in value):
            return tuple(value)
        raise ConfigError(f"{where}: {name} is {value!r}; it must be a list of texts")
    if float in choices and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if str in choices and isinstance(value, Path):
        return str(value)
    for kind in (bool, int, float, str):
        if kind in choices and type(value) is kind:
            return value
    wanted = " or ".join(c.__name__ for c in choices if c is not type(None))
    raise ConfigError(f"{where}: {name} is {value!r}; it must be {wanted}")


def _require(good: bool, where: str, name: str, value: Any, wanted: str) -> None:
    if not good:
        raise ConfigError(f"{where}: {name} is {value!r}; it must be {wanted}")


def _from_one(v: float) -> bool:
    return v >= 1


def _from_zero(v: float) -> bool:
    return v >= 0


def _above_zero(v: float) -> bool:
    return v > 0


def _below_one(v: float) -> bool:
    return 0 <= v < 1


def _up_to_one(v: float) -> bool:
    return 0 <= v <= 1


# ranges of numbers: in words, as a test, and the options that have this range
_NUMBERS: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    (
        "1 or more",
        _from_one,
        "source_column target_column bpe_size min_count max_tokens embedding hidden layers score_size readout_size "
        "location_length window_size steps batch_size batch_tokens accumulate pool evaluate_every beam nbest max_length "
        "seeds jobs train_max_length",
    ),
    (
        "0 or more",
        _from_zero,
        "features_column weight_decay length_penalty patience switch_patience save_minutes save_every threads seed",
    ),
    ("more than 0", _above_zero, "minutes epochs learning_rate clip minutes_per_run"),
    ("from 0 to below 1", _below_one, "warmup dropout label_smoothing average"),
    ("from 0 to 1", _up_to_one, "gold_at_end switch"),
)


def check(config: Config, where: str = "options") -> Config:
    """Returns the config if all its values and combinations are possible. Else raises a ConfigError that says why."""
    known = options(type(config))
    for wanted, good, names in _NUMBERS:
        for name in names.split():
            value = _get(config, name) if name in known else None
            if value is not None:
                _require(good(value), where, name, value, wanted)
    if isinstance(config, SearchConfig):
        _require(config.nbest <= config.beam, where, "nbest", config.nbest, f"at most beam ({config.beam})")
    if isinstance(config, ModelConfig):
        _check_model(config, where)
    if isinstance(config, TrainConfig):
        _check_model(config.model, where)
        _check_run(config, where)
    return config


def _check_model(model: ModelConfig, where: str) -> None:
    contents = [name for name, score in SCORES.items() if not score.by_position]
    if model.window != "none" and model.attention not in contents:
        raise ConfigError(
            f"{where}: window is {model.window!r} with attention {model.attention!r}; a window needs a content score: "
            f"give --attention {', '.join(contents[:-1])} or {contents[-1]}, or --window none"
        )
    if model.input_feeding and (model.attention == "none" or model.readout != "tanh"):
        raise ConfigError(
            f"{where}: input_feeding is on with attention {model.attention!r} and readout {model.readout!r}; it feeds "
            "tanh(W_c [c; h]): give an attention and --readout tanh, or --no-input-feeding"
        )
    if wrong := misfit(model.alignment, model.attention, model.window, model.input_feeding, model.copy):
        raise ConfigError(f"{where}: {wrong}")


def _check_run(run: TrainConfig, where: str) -> None:
    lengths = [n for n in ("minutes", "epochs", "steps") if getattr(run.learn, n) is not None]
    if len(lengths) > 1:
        raise ConfigError(f"{where}: {' and '.join(lengths)} are given; give one, the others follow from it")
    if run.model.bidirectional and run.model.hidden is not None and run.model.hidden % 2:
        raise ConfigError(f"{where}: hidden is {run.model.hidden}; with both directions it must be even, H/2 for each")
    if run.model.readout == "linear" and run.model.tie in ("target", "all"):
        raise ConfigError(f"{where}: tie is {run.model.tie!r} with a linear readout; tied embeddings need --readout tanh")
    if run.model.tie == "all" and run.text.joint_vocabulary is False:
        raise ConfigError(f"{where}: tie is 'all' but joint_vocabulary is off; one table for both sides needs one vocabulary")
    if run.text.joint_vocabulary and run.text.source_tokenizer != run.text.target_tokenizer:
        raise ConfigError(f"{where}: joint_vocabulary needs the same tokenizer on both sides")
    columns = [run.text.source_column, run.text.target_column] + [run.text.features_column] * bool(run.text.features_column)
    if len(set(columns)) < len(columns):
        raise ConfigError(f"{where}: source, target and features columns are {columns}; they must differ")


def _get(config: Any, name: str) -> Any:
    for f in dataclasses.fields(config):
        v = getattr(config, f.name)
        if f.name == name:
            return v
        if dataclasses.is_dataclass(v) and name in options(type(v)):
            return _get(v, name)
    raise KeyError(name)


def to_dict(config: Any) -> dict[str, Any]:
    """The config as plain nested dicts, for JSON."""
    return dataclasses.asdict(config)
