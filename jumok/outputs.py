"""Output files: what a command must never write over, said before it begins its work."""

from __future__ import annotations

import os
from collections.abc import Iterable

from jumok.errors import ConfigError
from jumok.runtime.folder import CONFIG, OWN, WEIGHTS
from jumok.text.pairs import files_of


def check_output(out: str, option: str, inputs: Iterable[str]) -> None:
    """ConfigError if the file `out` is one of the command's inputs, by whatever name, or a part of a model folder.

    Args:
        out: the path that is to be written; "" = none.
        option: what gives it: "--out".
        inputs: files, pairs of them with a comma, "-" or "".
    """
    if not out or not os.path.exists(out):
        return
    for given in inputs:
        for file in [given, *(files_of(given) if given else ())]:
            if file and file != "-" and os.path.exists(file) and os.path.samefile(out, file):
                raise ConfigError(f"{out}: {option} is a file that is read ({file}), and would destroy it; give another name")
    folder, name = os.path.split(os.path.realpath(out))
    if name in OWN and all(os.path.isfile(os.path.join(folder, part)) for part in (CONFIG, WEIGHTS)):
        raise ConfigError(f"{out}: {option} is a part of the model folder {folder}, and would destroy it; give another name")
