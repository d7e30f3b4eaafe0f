"""Output files: a check that none overwrites a part of a model folder."""

from __future__ import annotations

import os

from jumok.errors import ConfigError
from jumok.runtime.folder import CONFIG, OWN, WEIGHTS


def check_output(out: str, option: str) -> None:
    """Raises ConfigError if the file `out`, given by `option`, is a part of a model folder; "" = no file."""
    if not out or not os.path.exists(out):
        return
    folder, name = os.path.split(os.path.realpath(out))
    if name in OWN and all(os.path.isfile(os.path.join(folder, part)) for part in (CONFIG, WEIGHTS)):
        raise ConfigError(f"{out}: {option} would overwrite a part of the model folder {folder}; give another name")
