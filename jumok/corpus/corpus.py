"""A corpus: training pairs as ids, in files that are mapped into memory instead of loaded. `jumok.corpus.prepare` makes it.

It is a folder, without code and without pickle:

    corpus.json               format, what the corpus was made from, warnings; written last: without it, there is no corpus
    source.json, target.json  tokenizer and vocabulary of each side, as in a model folder
    source.ids.npy …          all ids, one row after the other, with a PAD at the end (see `Rows`); .starts and .lengths of the rows
    lines.npy                 line number of each pair
    dev.jsonl                 pairs held out for dev
"""

from __future__ import annotations

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

FORMAT = 3
META, DEV, LINES, LOCK, BUILDING = "corpus.json", "dev.jsonl", "lines.npy", "lock", "building"
SIDES = ("source", "target")
PARTS = ("ids", "starts", "lengths")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Training pairs on the disk, with their codec.

    Attributes:
        sources, targets: the rows, as `Codec.encode_pairs` would give them; pairs with a side that is too long are left out.
        codec: the codec that encoded them.
        dev: pairs held out for dev, if none were given.
        lines: line number of each pair.
        too_long: how many pairs were left out because of --max-tokens.
        notices: warnings that were given when the pairs were read.
        taken: which of the given dev pairs may pick a model; empty if dev was held out.
    """

    folder: Path
    sources: Rows
    targets: Rows
    codec: Codec
    dev: list[Pair]
    lines: np.ndarray
    too_long: int
    notices: list[str]
    taken: list[int]

    def __len__(self) -> int:
        return len(self.sources)

    def size(self) -> int:
        """Bytes on the disk."""
        return sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())


def array_path(folder: Path, side: str, part: str) -> Path:
    """The file of one array of a corpus; `side` is one of SIDES, `part` one of PARTS."""
    return folder / f"{side}.{part}.npy"


def open_corpus(folder: str | Path, text: TextConfig) -> Corpus:
    """Opens the corpus in a folder.

    Args:
        text: the settings that it was made with.

    Raises:
        FolderError: there is no corpus, or it is damaged.
    """
    folder = Path(folder)
    meta = read_meta(folder)
    if meta is None:
        raise FolderError(f"{folder}: there are no tokenised pairs here; train with --cache {folder} to make them")
    codec = Codec.load(folder, text)
    try:
        mapped = [[_mapped(array_path(folder, side, part)) for part in PARTS] for side in SIDES]
        lines = _mapped(folder / LINES)
        with open(folder / DEV, encoding="utf-8", newline="\n") as f:
            dev = [Pair(**{**(row := json.loads(line)), "features": tuple(row["features"])}) for line in f]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise FolderError(
            f"{folder}: the tokenised pairs are damaged ({e}); delete the folder, and they are made again"
        ) from None
    sources, targets = (Rows(*arrays) for arrays in mapped)
    return Corpus(folder, sources, targets, codec, dev, lines, meta["too_long"], meta["notices"], meta["taken"])


def _mapped(path: Path) -> np.ndarray:
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))  # a plain view, which is indexed faster


def read_meta(folder: Path) -> dict[str, Any] | None:
    """The values in corpus.json; None if the file is missing, damaged, or of another format."""
    try:
        meta = json.loads((folder / META).read_bytes())
        return meta if meta["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


# What a corpus was made from


def statuses(files: Sequence[str]) -> list[os.stat_result]:
    """The status of each file (size, time of change). DataError if one is missing, or can be read only once."""
    stats = []
    for file in files:
        try:
            stats.append(os.stat(file))
        except FileNotFoundError:
            why = "standard input can be read only once" if file == "-" else "there is no such file"
            raise DataError(f"{source_name(file)}: {why}; with --cache, give a file") from None
        except OSError as e:
            raise DataError(f"{file}: cannot be read ({e.strerror})") from None
        if stat.S_ISDIR(stats[-1].st_mode):
            raise DataError(f"{file}: this is a folder; give a file in it")
        if not stat.S_ISREG(stats[-1].st_mode):
            raise DataError(f"{file}: this is not a regular file and can be read only once; with --cache, give a file")
    return stats


def file_prints(files: Sequence[str], known: Any, shown: bool) -> list[dict[str, Any]]:
    """Size, time of change, and SHA-256 of each file: a file whose hash differs has changed.

    The hash is computed (half a second a gigabyte) only if size or time differ from the `known` prints.
    """
    prints = []
    for i, (file, status) in enumerate(zip(files, statuses(files), strict=True)):
        old = known[i] if isinstance(known, list) and len(known) == len(files) else {}
        now: dict[str, Any] = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        same = all(old.get(name) == value for name, value in now.items())
        prints.append(now | {"sha256": old["sha256"] if same else _sha256(file, status.st_size, shown)})
    return prints


def _sha256(file: str, size: int, shown: bool) -> str:
    digest = hashlib.sha256()
    with opened_raw(file, packed=False) as f, Bar("checking the file", size, shown and size > 2**30) as bar:
        while chunk := read(f, file, 2**22):
            digest.update(chunk)
            bar.advance(len(chunk))
    return digest.hexdigest()


def contents(prints: Sequence[dict[str, Any]]) -> list[Any]:
    """The part of `file_prints` that decides: a file that was only touched or copied has not changed."""
    return [[file["size"], file["sha256"]] for file in prints]


def text_settings(text: TextConfig) -> dict[str, Any]:
    """All settings that decide how pairs become ids, defaults included."""
    return {**dataclasses.asdict(text), "joint_vocabulary": is_joint(text)}


def digest(values: Any) -> str:
    """The SHA-256 of JSON values, in hexadecimal."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def locked(folder: Path, tell: Callable[[str], None]) -> AbstractContextManager[bool]:
    """Holds the folder's lock; waits while another process is preparing it. A killed process holds no lock."""
    return locks.held(
        folder / LOCK,
        lambda who: DataError(f"{folder}: another run is preparing it ({who})"),
        lambda _: tell(f"another run is preparing {folder}; waiting for it"),
    )
