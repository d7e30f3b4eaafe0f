"""A checkpoint: everything training needs to go on, in one safetensors file, there whole or not at all; and the one before.

Arrays are tensors; numbers, history and the run's configuration are one JSON string in the file's metadata. No pickle. Beside
it in the metadata stands a SHA-256 of the whole file (taken with zeros in its own place), so that no flipped bit is trained on.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jumok import disk
from jumok.errors import JumokError, TrainingError
from jumok.runtime.folder import CHECKPOINTS

NEWEST, BEFORE = CHECKPOINTS
FORMAT = 2
_NO_SUM = b"0" * 64
_SUM = re.compile(rb'"sha256":\s*"([0-9a-f]{64})"')  # inside the JSON string of the facts every quotation mark is escaped
_PIECE = 2**20  # bytes read at a time
_KINDS = {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}

ADVICE = {
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some of your quota",
    errno.EROFS: "the disk is read-only; make it writable",
    errno.EACCES: "make the folder writable",
    errno.EPERM: "make the folder writable",
    errno.ENOENT: "the folder was moved or deleted while training; put it back",
    errno.ENOTDIR: "the folder was moved or deleted while training; put it back",
}


class _Damaged(TrainingError):
    """A checkpoint whose content is not what was written; the one before may be good."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: the checkpoint is damaged ({why})")


def cannot_write(path: Path, what: str, error: Exception) -> TrainingError:
    """The one line for a disk that fails while training: what could not be written, why, what to do."""
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    advice = ADVICE.get(error.errno or 0) if isinstance(error, OSError) else None
    return TrainingError(
        f"{path}: the {what} could not be written ({reason}); what was there before is whole: "
        f"{advice or 'mend that'}, then go on with --resume"
    )


def write_checkpoint(
    folder: Path,
    tensors: dict[str, Tensor],
    facts: dict[str, Any],
    make: bool = False,
    ours: Callable[[], None] = lambda: None,
    by: str = "",
) -> None:
    """Writes beside the old checkpoint, flushes, and renames: the old one becomes the one before.

    Args:
        folder: the model folder, with a model in it or not yet.
        facts: JSON values; "run" among them is the run's name.
        make: the folder may be made; else one that is gone is an error.
        ours: raises an error where the folder is not the run's own any more; by: the writer's name, for the hidden file.

    Raises:
        TrainingError: the disk is full, the folder is read-only or gone; what was there stays as it was. What `ours` raises.
    """
    ours()
    newest, before = folder / NEWEST, folder / BEFORE
    metadata = {"jumok": json.dumps({"format": FORMAT, **facts}), "sha256": _NO_SUM.decode()}
    header, arrays = _in_pieces(tensors, metadata)
    place = _place(header)
    assert place is not None
    digest = hashlib.sha256(header)
    for array in arrays:
        digest.update(array)
    pieces: tuple[bytes | memoryview, ...] = header[: place[0]], digest.hexdigest().encode(), header[place[1] :], *arrays
    with writing(newest, "checkpoint"):
        if make and not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            disk.flush(folder.absolute().parent)
        with disk.Draft(newest, by) as draft:
            draft.write(*pieces)
            ours()
            draft.put_and_keep(before)


def _in_pieces(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> tuple[bytes, list[memoryview]]:
    """A safetensors file as its header and its arrays where they lie: the library's own `save` would build a copy of it all."""
    table: dict[str, Any] = {"__metadata__": metadata}
    arrays, end = [], 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):  # so all are aligned
        array = memoryview(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        place = [end, end := end + len(array)]
        table[name] = {"dtype": _KINDS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": place}
        arrays.append(array)
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, arrays


def read_checkpoint(folder: Path, warn: Callable[[str], None]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and facts of the newest good checkpoint in `folder`; None where there is none at all.

    `warn` is called with a line where the newest is damaged or missing, so that the one before is taken. The damaged one is then deleted, so that
    the next checkpoint does not push the good one out.

    Raises:
        TrainingError: all checkpoints are damaged, or one cannot be read for a reason that may pass.
    """
    wrong = []
    for path in (folder / NEWEST, folder / BEFORE):
        try:
            checkpoint = _read(path)
        except FileNotFoundError:
            continue
        except _Damaged as e:
            wrong.append(str(e))
            continue
        if path.name == BEFORE:
            warn("; ".join(wrong) or f"{folder / NEWEST} is missing")
            warn(f"going on from the checkpoint before it, {path}")
            disk.discard(folder / NEWEST)
        return checkpoint
    if wrong:
        raise TrainingError(f"{'; '.join(wrong)}; train anew with --overwrite")
    return None


def has_checkpoint(folder: Path) -> bool:
    """Whether there is one, good or damaged."""
    return any((folder / name).is_file() for name in CHECKPOINTS)


def remove_checkpoint(folder: Path) -> None:
    """A finished run needs none. The older one goes first: what is left by a kill in between is the end of the run.

    Raises:
        OSError: the disk does not let it.
    """
    for name in (BEFORE, NEWEST):
        (folder / name).unlink(missing_ok=True)


def run_of(facts: Mapping[str, Any]) -> str:
    """The name of the run that a checkpoint is of; one from before runs had names is given one that follows from what it holds."""
    known = [facts.get("config"), facts.get("data")]
    return facts.get("run") or hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _place(header: bytes) -> tuple[int, int] | None:
    """Where in the file the checksum stands."""
    match = _SUM.search(header)
    return match.span(1) if match else None


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as f:
            size = f.read(8)
            length = int.from_bytes(size, "little")
            if len(size) < 8 or length > os.fstat(f.fileno()).st_size:
                raise _Damaged(path, "it is cut off")
            header = size + f.read(length)
            place = _place(header)
            if place is None:
                raise _Damaged(path, "it has no checksum")
            sums = hashlib.sha256(header[: place[0]] + _NO_SUM + header[place[1] :])
            while piece := f.read(_PIECE):
                sums.update(piece)
            if sums.hexdigest().encode() != header[slice(*place)]:
                raise _Damaged(path, "its checksum does not fit")
            with safe_open(path, "pt") as content:
                facts = json.loads((content.metadata() or {})["jumok"])
                tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - it is no dict
            if not _is_at(f.fileno(), path):  # safe_open opens the file by its name, and again for the tensors
                raise TrainingError(
                    f"{path}: another run replaced the checkpoint while it was read; give each run its own --out"
                )
    except FileNotFoundError:
        raise
    except OSError as e:
        if e.errno == errno.EIO:  # the disk itself has lost it
            raise _Damaged(path, str(e.strerror)) from None
        raise TrainingError(
            f"{path}: the checkpoint cannot be read ({e.strerror or e}); mend that, then go on with --resume"
        ) from None
    except (SafetensorError, KeyError, ValueError) as e:
        raise _Damaged(path, str(e)) from None
    if facts.get("format") != FORMAT:
        raise TrainingError(
            f"{path}: checkpoint format {facts.get('format')}; this jumok reads {FORMAT}; train anew with --overwrite"
        )
    return tensors, facts


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def writing(path: Path, what: str) -> Iterator[None]:
    """Turns what a failing disk or a vanished folder raises inside into one `TrainingError`."""
    try:
        yield
    except TrainingError:
        raise
    except (OSError, JumokError) as e:
        raise cannot_write(path, what, e) from e
