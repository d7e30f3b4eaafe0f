"""A checkpoint: everything training needs to go on, in one safetensors file, there whole or not at all.

Arrays are tensors; numbers, history and the run's configuration are one JSON string in the file's metadata. No pickle.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor

from jumok.errors import TrainingError

NAME = "checkpoint.safetensors"
FORMAT = 1


def write_checkpoint(folder: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Writes beside the old checkpoint, flushes, renames over it.

    Raises:
        TrainingError: the disk is full, the folder is read-only or gone; the old checkpoint stays as it was.
    """
    from safetensors.torch import save

    new = folder / f".{NAME}.new"
    try:
        data = save({k: t.contiguous() for k, t in tensors.items()}, {"jumok": json.dumps({"format": FORMAT, **facts})})
        with open(new, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(new, folder / NAME)
    except OSError as e:
        raise TrainingError(
            f"{folder / NAME}: the checkpoint could not be written: {e.strerror or e}; the last one is whole"
        ) from e


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts of the folder's checkpoint.

    Raises:
        TrainingError: there is none, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / NAME
    if not path.is_file():
        raise TrainingError(f"{path}: there is no checkpoint to resume from; train without --resume")
    try:
        with safe_open(path, "pt") as f:
            facts = json.loads((f.metadata() or {})["jumok"])
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 - safe_open is no dict
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as e:
        raise TrainingError(f"{path}: the checkpoint is damaged ({e}); train anew with --overwrite") from None
    if facts.get("format") != FORMAT:
        raise TrainingError(
            f"{path}: checkpoint format {facts.get('format')}; this jumok reads {FORMAT}; train anew with --overwrite"
        )
    return tensors, facts


def remove_checkpoint(folder: Path) -> None:
    """A finished run needs none."""
    (folder / NAME).unlink(missing_ok=True)
