"""All options, as frozen dataclasses: the same names on the command line, in TOML, in Python and in a model folder.

`TextConfig` says how lines become tokens, `ModelConfig` what the network is, `LearnConfig` how it is trained. `TrainConfig`
holds all three and the files. `LoadConfig` says what computes a model, `SearchConfig` how it is decoded, `StudyConfig` how models are compared. `None` means
"chosen from the data" (see `jumok.learn.recipe`); the chosen values are written into the model folder, so that a run can be
repeated. `check` checks all values.

    training.py, searching.py, studying.py   the options
    fields.py     what options a class has
    checking.py   their ranges, and what combines
    building.py   from values by name to a config
"""

from __future__ import annotations

from jumok.config.building import Config, build, value_of_type
from jumok.config.checking import check
from jumok.config.fields import field_name, flag, options, to_dict, type_hints, value_of
from jumok.config.searching import EngineName, LengthNormName, LineText, LineTexts, LoadConfig, SearchConfig, UnknownName
from jumok.config.studying import StudyConfig
from jumok.config.training import (
    BETWEEN,
    AlignmentName,
    AttentionName,
    BadLossName,
    CellName,
    CoinName,
    DecayName,
    DeviceName,
    LearnConfig,
    MatmulName,
    MetricName,
    ModelConfig,
    OwnTokenName,
    PrecisionName,
    SizeName,
    TeacherForcingName,
    TextConfig,
    TieName,
    TokenizerName,
    TrainConfig,
    UnicodeForm,
    WindowName,
)

__all__ = [
    "BETWEEN",
    "AlignmentName",
    "AttentionName",
    "BadLossName",
    "CellName",
    "CoinName",
    "Config",
    "DecayName",
    "DeviceName",
    "EngineName",
    "LearnConfig",
    "LengthNormName",
    "LineText",
    "LineTexts",
    "LoadConfig",
    "MatmulName",
    "MetricName",
    "ModelConfig",
    "OwnTokenName",
    "PrecisionName",
    "SearchConfig",
    "SizeName",
    "StudyConfig",
    "TeacherForcingName",
    "TextConfig",
    "TieName",
    "TokenizerName",
    "TrainConfig",
    "UnicodeForm",
    "UnknownName",
    "WindowName",
    "build",
    "check",
    "field_name",
    "flag",
    "options",
    "to_dict",
    "type_hints",
    "value_of",
    "value_of_type",
]
