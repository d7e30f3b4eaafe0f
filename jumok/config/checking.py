"""Checks of options: the range of each number, and which values combine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, get_args

from jumok.alignments import misfit
from jumok.config.fields import flag, options, value_of
from jumok.config.searching import SearchConfig
from jumok.config.training import MetricName, ModelConfig, TextConfig, TrainConfig
from jumok.errors import ConfigError
from jumok.scores import SCORES

Config = TypeVar("Config")


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


def _part(v: float) -> bool:
    return 0 < v <= 1


# With more, one part of a score drowns all others, and float32 and float64 come to their ends.
MOST = {"length_penalty": 10, "coverage_penalty": 1_000, "diversity": 1_000}

# ranges of numbers: in words, as a test, and the options that have this range
_NUMBERS: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    (
        "1 or more",
        _from_one,
        "target_column bpe_size min_count max_tokens embedding hidden layers score_size readout_size "
        "location_length window_size steps batch_size batch_tokens accumulate pool evaluate_every beam nbest max_length "
        "seeds jobs train_max_length members groups teacher_beam",
    ),
    (
        "0 or more",
        _from_zero,
        "features_column member weight_decay length_penalty patience switch_patience save_minutes save_every threads seed "
        "coverage_penalty diversity sample top_k min_length no_repeat",
    ),
    ("more than 0", _above_zero, "minutes epochs learning_rate clip minutes_per_run temperature"),
    ("from 0 to below 1", _below_one, "warmup dropout bpe_dropout label_smoothing average teacher_gold"),
    ("from 0 to 1", _up_to_one, "gold_at_end switch freeze"),
    ("above 0, at most 1", _part, "top_p"),
)


def check(config: Config, where: str = "options") -> Config:
    """Returns the config if all its values and combinations are possible. Else raises a ConfigError that says why."""
    known = options(type(config))
    for wanted, good, names in _NUMBERS:
        for name in names.split():
            value = value_of(config, name) if name in known else None
            if value is not None:
                _require(good(value), where, name, value, wanted)
    if isinstance(config, SearchConfig):
        _check_search(config, where)
    if isinstance(config, ModelConfig):
        _check_model(config, where)
    text = config if isinstance(config, TextConfig) else getattr(config, "text", None)
    if isinstance(text, TextConfig):
        _check_columns(text, where)
    if isinstance(config, TrainConfig):
        _check_model(config.model, where)
        _check_run(config, where)
    return config


def _check_search(search: SearchConfig, where: str) -> None:
    for name in ("length_penalty", "coverage_penalty", "diversity", "temperature"):
        value, highest = getattr(search, name), MOST.get(name, math.inf)
        _require(math.isfinite(value), where, name, value, "a finite number")
        _require(value <= highest, where, name, value, f"at most {highest:,}")
    most = (search.sample, "sample") if search.sample and search.mbr else (search.beam, "beam")
    if search.sample:
        _check_sampling(search, where)
    else:
        for name in ("temperature", "top_k", "top_p", "seed"):
            value, default = getattr(search, name), getattr(SearchConfig, name)
            _require(value == default, where, name, value, "left out: it is for samples, and sample is 0")
    _require(search.nbest <= most[0], where, "nbest", search.nbest, f"at most {most[1]} ({most[0]})")
    if search.beam % search.groups:
        parts = [str(n) for n in range(1, search.beam + 1) if search.beam % n == 0]
        raise ConfigError(
            f"{where}: groups is {search.groups}; it must divide beam ({search.beam}): {' or '.join(parts)}, or give another beam"
        )
    if search.groups == 1 and search.diversity != SearchConfig.diversity:
        raise ConfigError(f"{where}: diversity is {search.diversity:g} with one group; give groups, or leave diversity out")
    metrics = [name for name in get_args(MetricName) if name != "loss"]
    if search.mbr and search.mbr not in metrics:
        raise ConfigError(f"{where}: mbr is {search.mbr!r}; it can be {', '.join(metrics)}")
    if search.mbr and max(search.sample, search.beam) < 2:
        raise ConfigError(f"{where}: mbr is {search.mbr!r} with one output; it compares outputs: add --sample 20, or a beam")
    _check_rules(search, where)


def _check_sampling(search: SearchConfig, where: str) -> None:
    if search.beam > 1:
        raise ConfigError(
            f"{where}: sample is {search.sample} with beam {search.beam}; a sample is drawn token by token: leave one of them out"
        )
    if search.nbest > 1 and not search.mbr:
        raise ConfigError(
            f"{where}: nbest is {search.nbest} with sample {search.sample}; all samples are given: leave nbest out"
        )


def _check_rules(search: SearchConfig, where: str) -> None:
    for name in ("forbid", "forbid_text", "allow", "require", "prefix_tokens"):
        _require(all(getattr(search, name)), where, name, getattr(search, name), "texts that are not empty")
    for name in ("forbid_text", "require"):
        _require(all(text.strip() for text in getattr(search, name)), where, name, getattr(search, name), "more than blanks")
    if search.require and search.sample:
        raise ConfigError(
            f"{where}: require and sample are both given; a sample is drawn token by token, and cannot wait for a word: leave one out"
        )
    if search.prefix and search.prefix_tokens:
        raise ConfigError(f"{where}: prefix and prefix_tokens are both given; give one, which says how outputs begin")
    if search.max_length is not None and search.min_length > search.max_length:
        raise ConfigError(
            f"{where}: min_length is {search.min_length} and max_length {search.max_length}; no output can keep to both"
        )


def _check_columns(text: TextConfig, where: str) -> None:
    try:
        least = min(text.source_columns)
    except ValueError:
        least = 0
    if least < 1:
        raise ConfigError(
            f"{where}: source_column is {text.source_column!r}; it must be 1 or more, or several with a comma between two: 1,4"
        )


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
    if run.member > run.members:
        raise ConfigError(
            f"{where}: member is {run.member} of {run.members} members; it must be one of them: give --members, too"
        )
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
    known = [name for name in ("source_embeddings", "target_embeddings") if getattr(run, name)]
    if known and run.from_:
        raise ConfigError(
            f"{where}: {flag(known[0])} and from are given; a model to start from has its own vectors: give one of the two"
        )
    if len(known) > 1 and run.model.tie == "all":
        raise ConfigError(
            f"{where}: tie is 'all', so there is one table of vectors for both sides; give --source-embeddings only"
        )
    if run.learn.freeze and not known:
        raise ConfigError(
            f"{where}: freeze is {run.learn.freeze:g}, but no known vectors are given: give --source-embeddings, too"
        )
    _check_teacher(run, where)
    _check_bpe_dropout(run, where)
    text = run.text
    columns = [*text.source_columns, text.target_column] + [text.features_column] * bool(text.features_column)
    if len(set(columns)) < len(columns):
        raise ConfigError(f"{where}: source, target and features columns are {columns}; they must differ")
    if text.several and (run.model.alignment == "monotonic" or run.model.copy):
        what = "copy is on, which needs a monotonic alignment" if run.model.copy else "alignment is 'monotonic'"
        raise ConfigError(
            f"{where}: {what}, but source_column is {text.source_column}: a monotonic alignment goes forward through one source; "
            f"{'leave --copy out' if run.model.copy else 'give --alignment soft'}, or one column"
        )


def _check_bpe_dropout(run: TrainConfig, where: str) -> None:
    rate = f"{where}: bpe_dropout is {run.learn.bpe_dropout:g}"
    if run.learn.bpe_dropout and not run.from_ and "bpe" not in (run.text.source_tokenizer, run.text.target_tokenizer):
        raise ConfigError(f"{rate}, but no side is cut by bpe: give --source-tokenizer bpe or --target-tokenizer bpe, too")
    if run.learn.bpe_dropout and run.cache:
        raise ConfigError(f"{rate}, and cache is given; what lies on the disk is cut once: leave one of the two out")


def _check_teacher(run: TrainConfig, where: str) -> None:
    idle = [
        name for name in ("teacher_beam", "teacher_gold", "teacher_sources") if getattr(run, name) != getattr(TrainConfig, name)
    ]
    if idle and not run.teacher:
        raise ConfigError(f"{where}: {idle[0]} is {getattr(run, idle[0])}, but there is no teacher: give --teacher, too")
    if run.teacher and run.cache:
        raise ConfigError(
            f"{where}: teacher and cache are given; what a teacher writes is kept in memory, with the pairs: leave --cache out"
        )
