"""Shards: a block of pairs as ids of its own small vocabularies, in a file; how a process makes one, how all are read.

Which ids the whole corpus will have is known only when every block was counted. So a shard numbers its own tokens and keeps
their counts, and `jumok.corpus.prepare` gives it the corpus's ids when all shards are there.
"""

from __future__ import annotations

import json
import os
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from jumok.config import TextConfig, build
from jumok.corpus.blocks import Columns, read_block
from jumok.errors import DataError
from jumok.text.codec import feature_tokens
from jumok.text.dev import Key, Overlap
from jumok.text.tokenizers import CharTokenizer, Tokenizer, load_tokenizer
from jumok.text.vocabulary import END, SPECIALS, Vocabulary

FIRST = len(SPECIALS)  # a shard's own ids begin where a vocabulary's do, and the specials are the same
_CODE_POINTS = 0x110000


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a shard.

    Attributes:
        tokens: the strings of ids FIRST, FIRST + 1, …
        counts: how often each is there, in pairs that are too long as well.
        ids: all rows, one behind the other, each with its END.
        lengths: of each row.
    """

    tokens: list[str]
    counts: np.ndarray
    ids: np.ndarray
    lengths: np.ndarray

    def of(self, vocabulary: Vocabulary) -> np.ndarray:
        """The ids in a vocabulary."""
        table = np.array([*range(FIRST), *vocabulary.ids(self.tokens)], np.uint32)
        return table[self.ids]

    def only(self, rows: np.ndarray) -> Side:
        """Without the rows where `rows` is False; the counts stay."""
        return Side(self.tokens, self.counts, self.ids[np.repeat(rows, self.lengths)], self.lengths[rows])


def encode(tokenizer: Tokenizer, texts: Sequence[str], features: Sequence[tuple[str, ...]] | None = None) -> Side:
    """Texts as a side: features, tokens, END, as `Codec.encode_source` and `encode_target` have them."""
    if isinstance(tokenizer, CharTokenizer) and features is None:
        return _characters(tokenizer, texts)
    lists: list[list[Any]] = list(tokenizer.batch(texts))
    if features is not None:
        lists = [feature_tokens(f) + tokens for f, tokens in zip(features, lists, strict=True)]
    numbers = _Numbers()
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    inner = np.fromiter(map(numbers.__getitem__, chain.from_iterable(lists)), np.int64, int(lengths.sum()))
    ids = np.insert(inner, np.cumsum(lengths), END)
    return _side(list(numbers), ids, lengths + 1)


class _Numbers(dict[str, int]):
    """Tokens by number, in the order they come."""

    def __missing__(self, token: str) -> int:
        self[token] = number = len(self) + FIRST
        return number


def _characters(tokenizer: CharTokenizer, texts: Sequence[str]) -> Side:
    """All texts at once, as an array of code points; a line feed, which no text has, becomes the END of each."""
    whole = "\n".join([*texts, ""])
    if tokenizer.form != "none":
        whole = unicodedata.normalize(tokenizer.form, whole)  # nothing is composed with a line feed, or moved over it
    points = np.frombuffer(whole.encode("utf-32-le"), np.uint32)
    ends = np.flatnonzero(points == ord("\n"))
    seen = np.zeros(_CODE_POINTS, bool)
    seen[points] = True
    seen[ord("\n")] = False
    alphabet = np.flatnonzero(seen)
    table = np.full(_CODE_POINTS, END, np.int32)
    table[alphabet] = np.arange(FIRST, FIRST + len(alphabet), dtype=np.int32)
    return _side([chr(c) for c in alphabet], table[points], np.diff(ends, prepend=-1))


def _side(tokens: list[str], ids: np.ndarray, lengths: np.ndarray) -> Side:
    counts = np.bincount(ids, minlength=FIRST + len(tokens))[FIRST:]
    return Side(tokens, counts, ids.astype(np.min_scalar_type(FIRST + len(tokens))), lengths)


@dataclass(frozen=True, eq=False)
class Shard:
    """What a shard's file has.

    Attributes:
        facts: what its making told, see `Sharding`.
        lines: line number of each pair.
    """

    facts: dict[str, Any]
    source: Side
    target: Side
    lines: np.ndarray

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.source, self.target

    def write(self, path: Path) -> None:
        """There whole or not at all. DataError where the disk is full, read-only, gone."""
        arrays = {"facts": _packed(self.facts), "lines": self.lines}
        for name, side in zip(("source", "target"), self.sides, strict=True):
            arrays |= {f"{name}_tokens": _packed(side.tokens), f"{name}_counts": side.counts}
            arrays |= {f"{name}_ids": side.ids, f"{name}_lengths": side.lengths}
        new = path.with_suffix(".new")
        try:
            with open(new, "wb") as f:
                np.savez(f, **arrays)  # type: ignore[arg-type]
            os.replace(new, path)
        except OSError as e:
            with suppress(OSError):
                new.unlink()
            raise DataError(f"{path}: could not be written ({e.strerror or e}); what is finished is kept") from None

    @classmethod
    def read(cls, path: Path) -> Shard:
        """The shard in a file. DataError where it is damaged."""
        with _opened(path) as arrays:
            sides = [
                Side(_unpacked(arrays[f"{name}_tokens"]), *(arrays[f"{name}_{what}"] for what in ("counts", "ids", "lengths")))
                for name in ("source", "target")
            ]
            return cls(_unpacked(arrays["facts"]), sides[0], sides[1], arrays["lines"])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as e:
        raise DataError(f"{path}: damaged ({e}); delete the folder it is in, and it is made anew") from None


def _packed(values: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(values, ensure_ascii=False).encode("utf-8"), np.uint8)


def _unpacked(array: np.ndarray) -> Any:
    return json.loads(array.tobytes())


def shard_path(folder: Path, index: int) -> Path:
    """Where the shard of a block is."""
    return folder / f"shard-{index:06}.npz"


class Sharding:
    """Makes the shards of blocks, in whichever process.

    A block's facts: `pairs` in it, without those set aside; `rows` that are kept of them, the others being `too_long`;
    `tokens` of the rows and the `longest` one, of each side; `dev`: pairs set aside; `overlap`: the dev pairs that are in it;
    `others`: whether it has pairs that are none; and all that `Columns.told` has. With an `error` there is no shard.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.folder, self.files = Path(settings["folder"]), settings["files"]
        self.text = build(TextConfig, settings["text"], "shards")
        self.tokenizers = [load_tokenizer(values, "shards") for values in settings["tokenizers"]]
        self.held = frozenset(settings["held"])
        self.overlap = Overlap((source, target, tuple(features)) for source, target, features in settings["dev"])

    @staticmethod
    def settings(
        folder: Path,
        files: Sequence[str],
        text: dict[str, Any],
        tokenizers: Sequence[Tokenizer],
        held: Sequence[str],
        dev: Sequence[Key],
    ) -> dict[str, Any]:
        """What `Sharding` is made from, as JSON values.

        Args:
            folder: for the shards.
            files: as `files_of` gives them.
            text: TextConfig as a dict.
            tokenizers: of both sides.
            held: sources whose pairs are set aside.
            dev: pairs to be looked for.
        """
        cut = [tokenizer.to_dict() for tokenizer in tokenizers]
        return {"folder": str(folder), "files": files, "text": text, "tokenizers": cut, "held": held, "dev": dev}

    def __call__(self, header: dict[str, Any], raw: Sequence[bytes]) -> dict[str, Any]:
        """Block -> facts. Header: the block's `index`, and the lines `before` it."""
        path = shard_path(self.folder, header["index"])
        if path.exists():
            with _opened(path) as arrays:
                return _unpacked(arrays["facts"])
        columns = read_block(raw, header["before"], self.files, self.text)
        aside = self._set_aside(columns)
        found, others = self.overlap.look(columns.sources, columns.targets, columns.features)
        facts = columns.told() | {"pairs": len(columns.sources), "dev": aside}
        facts |= {"overlap": sorted(found), "others": others}
        if columns.error:
            return facts
        source = encode(self.tokenizers[0], columns.sources, columns.features)
        target = encode(self.tokenizers[1], columns.targets)
        most = self.text.max_tokens + 1
        kept = (source.lengths <= most) & (target.lengths <= most)
        lines = np.fromiter(columns.lines, np.uint32, len(columns.lines))
        if not kept.all():
            source, target, lines = source.only(kept), target.only(kept), lines[kept]
        facts |= {
            "rows": len(lines),
            "too_long": len(kept) - len(lines),
            "tokens": [len(side.ids) for side in (source, target)],
            "longest": [int(side.lengths.max(initial=0)) for side in (source, target)],
        }
        try:
            Shard(facts, source, target, lines).write(path)
        except DataError as e:
            facts["error"] = str(e)
        return facts

    def _set_aside(self, columns: Columns) -> list[Any]:
        """Takes the pairs of the held sources out; each as (line, source, target, features)."""
        chosen = [i for i, source in enumerate(columns.sources) if source in self.held] if self.held else []
        if not chosen:
            return []
        features = columns.features
        aside = [(columns.lines[i], columns.sources[i], columns.targets[i], features[i] if features else ()) for i in chosen]
        gone = set(chosen)
        kept = [i for i in range(len(columns.sources)) if i not in gone]
        columns.sources = [columns.sources[i] for i in kept]
        columns.targets = [columns.targets[i] for i in kept]
        columns.features = [features[i] for i in kept] if features else None
        columns.lines = [columns.lines[i] for i in kept]
        return aside


def count_tokens(paths: Iterable[Path]) -> tuple[Counter[str], Counter[str]]:
    """How often each token is in the shards, on each side; pairs that are too long count, those set aside do not."""
    found: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    for path in paths:
        with _opened(path) as arrays:
            for counter, name in zip(found, ("source", "target"), strict=True):
                for token, n in zip(_unpacked(arrays[f"{name}_tokens"]), arrays[f"{name}_counts"].tolist(), strict=True):
                    counter[token] += n
    return found
