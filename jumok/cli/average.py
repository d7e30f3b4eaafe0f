"""One model from several, by the mean of their weights: `jumok average`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from jumok.cli._options import Options, Positional
from jumok.cli._printing import warn
from jumok.errors import ConfigError
from jumok.places import FolderPath, ModelPaths


@dataclass(frozen=True)
class Average(Options):
    """Write one model whose weights are the mean of several models' weights: of one training, copied at several of its steps.

    jumok average step1000 step2000 step3000 --out averaged
    """

    models: Positional[ModelPaths]
    """Two model folders or more, with the same options and vocabularies."""
    out: FolderPath = ""
    """Model folder to write."""
    overwrite: bool = False
    """Replace the model at --out; files there that are not Jumok's own stay."""

    READ_ON: ClassVar[str] = "docs/decoding.md, docs/commands.md"


def average(o: Average, given: Collection[str]) -> int:
    from jumok.runtime.averaging import average
    from jumok.runtime.members import folders_of

    if not o.out:
        raise ConfigError("average: out is not given; it names the model folder to write: --out MODEL")
    folders = folders_of(o.models)
    average(folders, out=o.out, overwrite=o.overwrite, warn=warn)
    print(f"written to {o.out}: the mean of {len(folders)} models")
    return 0
