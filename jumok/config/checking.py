"""Checks of options: the range of each number, and which values combine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from jumok.alignments import misfit
from jumok.config.fields import options, value_of
from jumok.config.searching import SearchConfig
from jumok.config.training import ModelConfig, TrainConfig
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
            value = value_of(config, name) if name in known else None
            if value is not None:
                _require(good(value), where, name, value, wanted)
    if isinstance(config, SearchConfig):
        _check_search(config, where)
    if isinstance(config, ModelConfig):
        _check_model(config, where)
    if isinstance(config, TrainConfig):
        _check_model(config.model, where)
        _check_run(config, where)
    return config


def _check_search(search: SearchConfig, where: str) -> None:
    _require(search.nbest <= search.beam, where, "nbest", search.nbest, f"at most beam ({search.beam})")


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
