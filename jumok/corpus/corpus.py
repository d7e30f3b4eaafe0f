"""Corpus: training pairs as ids in files that are mapped into memory instead of loaded; made by `jumok.corpus.prepare`.

A folder, no part of which is code or pickle:

    corpus.json               format, what it was made from, what there is to tell; written last: without it, it is no corpus
    source.json, target.json  tokenizer and vocabulary of each side, as in a model folder
    source.ids.npy …          all ids, list behind list, with a PAD at the end (see `Rows`); .starts and .lengths of the lists
    lines.npy                 line number of each pair
    dev.jsonl                 pairs set aside for dev
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jumok import locks
from jumok.config import TextConfig
from jumok.console import Bar
from jumok.errors import DataError, FolderError
from jumok.text.codec import Codec, is_joint
from jumok.text.lines import opened_raw, read, source_name
from jumok.text.pairs import Pair
from jumok.text.rows import Rows

FORMAT = 2
META, DEV, LINES, LOCK, BUILDING = "corpus.json", "dev.jsonl", "lines.npy", "lock", "building"
SIDES = ("source", "target")
PARTS = ("ids", "starts", "lengths")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Training pairs that are on the disk, and what goes with them.

    Attributes:
        sources, targets: the rows, as `Codec.encode_pairs` would give them; pairs with too long a side are left out.
        codec: what they were encoded with.
        dev: pairs set aside for dev, where none were given.
        lines: line number of each pair.
        too_long: pairs left out because of --max-tokens.
        notices: warnings of when the pairs were read.
    """

    folder: Path
    sources: Rows
    targets: Rows
    codec: Codec
    dev: list[Pair]
    lines: np.ndarray
    too_long: int
    notices: list[str]

    def __len__(self) -> int:
        return len(self.sources)

    def size(self) -> int:
        """Bytes on the disk."""
        return sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())


def array_path(folder: Path, side: str, part: str) -> Path:
    """Where an array of a corpus is; side of SIDES, part of PARTS."""
    return folder / f"{side}.{part}.npy"


def open_corpus(folder: str | Path, text: TextConfig) -> Corpus:
    """The corpus in a folder. `text`: the settings it was made with.

    Raises:
        FolderError: there is none, or it is damaged.
    """
    folder = Path(folder)
    meta = read_meta(folder)
    if meta is None:
        raise FolderError(f"{folder}: no tokenised pairs here; train with --cache {folder} to make them")
    codec = Codec.load(folder, text)
    try:
        mapped = [[_mapped(array_path(folder, side, part)) for part in PARTS] for side in SIDES]
        lines = _mapped(folder / LINES)
        with open(folder / DEV, encoding="utf-8", newline="\n") as f:
            dev = [Pair(**{**(row := json.loads(line)), "features": tuple(row["features"])}) for line in f]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise FolderError(
            f"{folder}: the tokenised pairs are damaged ({e}); delete the folder, and they are made anew"
        ) from None
    sources, targets = (Rows(*arrays) for arrays in mapped)
    return Corpus(folder, sources, targets, codec, dev, lines, meta["too_long"], meta["notices"])


def _mapped(path: Path) -> np.ndarray:
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))  # a plain view, which is indexed faster


def read_meta(folder: Path) -> dict[str, Any] | None:
    """What corpus.json says; None where it is not there, not readable, or of another format."""
    try:
        meta = json.loads((folder / META).read_bytes())
        return meta if meta["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_whole(path: Path, data: bytes) -> None:
    """There whole, and on the disk, or not at all."""
    new = path.with_name(f".{path.name}.new")
    try:
        with open(new, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(new, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise


# What a corpus was made from


def statuses(files: Sequence[str]) -> list[os.stat_result]:
    """Size and time of change of files that can be read more than once; DataError for one that is missing or no such file."""
    found = []
    for file in files:
        try:
            found.append(os.stat(file))
        except FileNotFoundError:
            why = "standard input can be read only once" if file == "-" else "there is no such file"
            raise DataError(f"{source_name(file)}: {why}; with --cache, give a file") from None
        except OSError as e:
            raise DataError(f"{file}: cannot be read ({e.strerror})") from None
        if stat.S_ISDIR(found[-1].st_mode):
            raise DataError(f"{file}: this is a folder; give a file in it")
        if not stat.S_ISREG(found[-1].st_mode):
            raise DataError(f"{file}: this can be read only once, for it is no plain file; with --cache, give a file")
    return found


def file_prints(files: Sequence[str], known: Any, shown: bool) -> list[dict[str, Any]]:
    """What tells that files have changed: size, time of change, and SHA-256 of all bytes.

    The hash decides; it is taken (half a second a gigabyte) where size or time are not the `known` ones.
    """
    found = []
    for i, (file, status) in enumerate(zip(files, statuses(files), strict=True)):
        old = known[i] if isinstance(known, list) and len(known) == len(files) else {}
        own: dict[str, Any] = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        same = all(old.get(name) == value for name, value in own.items())
        found.append(own | {"sha256": old["sha256"] if same else _sha256(file, status.st_size, shown)})
    return found


def _sha256(file: str, size: int, shown: bool) -> str:
    found = hashlib.sha256()
    with opened_raw(file, packed=False) as f, Bar("looking at the file", size, shown and size > 2**30) as bar:
        while chunk := read(f, file, 2**22):
            found.update(chunk)
            bar.advance(len(chunk))
    return found.hexdigest()


def contents(prints: Sequence[dict[str, Any]]) -> list[Any]:
    """The part of `file_prints` that must be the same; a file that was only touched or copied is the same."""
    return [[each["size"], each["sha256"]] for each in prints]


def text_settings(text: TextConfig) -> dict[str, Any]:
    """All that settles how pairs become ids, whether left open or written out."""
    return {**dataclasses.asdict(text), "joint_vocabulary": is_joint(text)}


def digest(values: Any) -> str:
    """SHA-256 of JSON values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def alone(folder: Path, tell: Callable[[str], None]) -> AbstractContextManager[bool]:
    """Waits until no other process is preparing this folder; a process that is killed holds nobody up."""
    return locks.held(
        folder / LOCK,
        lambda who: DataError(f"{folder}: another run is preparing it ({who})"),
        lambda _: tell(f"another run is preparing {folder}; waiting for it"),
    )
