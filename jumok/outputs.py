"""Output files: parts of a model folder, over which nothing else is written."""

from __future__ import annotations

import os

from jumok.errors import ConfigError
from jumok.runtime.folder import CONFIG, OWN, WEIGHTS


def check_output(out: str, option: str) -> None:
    """ConfigError if the file `out`, which `option` names, is a part of a model folder; "" = none is written."""
    if not out or not os.path.exists(out):
        return
    folder, name = os.path.split(os.path.realpath(out))
    if name in OWN and all(os.path.isfile(os.path.join(folder, part)) for part in (CONFIG, WEIGHTS)):
        raise ConfigError(f"{out}: {option} is a part of the model folder {folder}, and would destroy it; give another name")
