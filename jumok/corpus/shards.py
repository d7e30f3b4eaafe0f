"""Shards: the pairs of a block as ids of small vocabularies of its own, in a file; how shards are made and read.

The ids of the whole corpus are known only when all blocks have been counted. So each shard numbers its own tokens and keeps
their counts. When all shards are written, `jumok.corpus.prepare` replaces their ids by those of the corpus.
"""

from __future__ import annotations

import json
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from jumok import disk
from jumok.config import TextConfig, build
from jumok.corpus.blocks import Columns, read_block
from jumok.errors import DataError
from jumok.text.codec import feature_tokens
from jumok.text.dev import Key, Overlap, composed
from jumok.text.tokenizers import CharTokenizer, Tokenizer, load_tokenizer
from jumok.text.vocabulary import END, SPECIALS, Vocabulary

FORMAT = 4  # of a shard and its facts; grows when shards that an older jumok left cannot be used
FIRST = len(SPECIALS)  # a shard's ids begin where a vocabulary's do, behind the same specials
_CODE_POINTS = 0x110000


@dataclass(frozen=True, eq=False)
class ShardSide:
    """One side of a shard.

    Attributes:
        tokens: the strings of ids FIRST, FIRST + 1, …
        counts: how often each occurs, in pairs that are too long as well.
        ids: all rows, one after the other, each with its END.
        lengths: of each row.
    """

    tokens: list[str]
    counts: np.ndarray
    ids: np.ndarray
    lengths: np.ndarray

    def of(self, vocabulary: Vocabulary) -> np.ndarray:
        """The ids, translated to those of a vocabulary."""
        table = np.array([*range(FIRST), *vocabulary.ids(self.tokens)], np.uint32)
        return table[self.ids]

    def only(self, rows: np.ndarray) -> ShardSide:
        """A copy without the rows where `rows` is False; the counts stay."""
        return ShardSide(self.tokens, self.counts, self.ids[np.repeat(rows, self.lengths)], self.lengths[rows])


def encode(tokenizer: Tokenizer, texts: Sequence[str], features: Sequence[tuple[str, ...]] | None = None) -> ShardSide:
    """Encodes texts: features, tokens, END, in the order of `Codec.encode_source` and `encode_target`."""
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
    """Numbers tokens in the order in which they come."""

    def __missing__(self, token: str) -> int:
        self[token] = number = len(self) + FIRST
        return number


def _characters(tokenizer: CharTokenizer, texts: Sequence[str]) -> ShardSide:
    """Encodes all texts at once, as an array of code points; a line feed, which no text has, becomes the END of each."""
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


def _side(tokens: list[str], ids: np.ndarray, lengths: np.ndarray) -> ShardSide:
    counts = np.bincount(ids, minlength=FIRST + len(tokens))[FIRST:]
    return ShardSide(tokens, counts, ids.astype(np.min_scalar_type(FIRST + len(tokens))), lengths)


@dataclass(frozen=True, eq=False)
class Shard:
    """The content of a shard's file.

    Attributes:
        facts: about the block, see `Sharding`.
        lines: line number of each pair.
    """

    facts: dict[str, Any]
    source: ShardSide
    target: ShardSide
    lines: np.ndarray

    @property
    def sides(self) -> tuple[ShardSide, ShardSide]:
        return self.source, self.target

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all. DataError if the disk is full, read-only, gone."""
        arrays = {"facts": _packed(self.facts), "lines": self.lines}
        for name, side in zip(("source", "target"), self.sides, strict=True):
            arrays |= {f"{name}_tokens": _packed(side.tokens), f"{name}_counts": side.counts}
            arrays |= {f"{name}_ids": side.ids, f"{name}_lengths": side.lengths}
        try:
            with disk.Draft(path) as draft:
                with draft.open() as f:
                    np.savez(f, **arrays)  # type: ignore[arg-type]
                draft.put()
        except OSError as e:
            raise DataError(f"{path}: could not be written ({e.strerror or e}); finished parts are kept") from None

    @classmethod
    def read(cls, path: Path) -> Shard:
        """Reads a shard. DataError if the file is damaged."""
        with _opened(path) as arrays:
            sides = [
                ShardSide(
                    _unpacked(arrays[f"{name}_tokens"]), *(arrays[f"{name}_{what}"] for what in ("counts", "ids", "lengths"))
                )
                for name in ("source", "target")
            ]
            return cls(_unpacked(arrays["facts"]), sides[0], sides[1], arrays["lines"])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as e:
        raise DataError(f"{path}: damaged ({e}); delete the folder it is in, and it is made again") from None


def _packed(values: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(values, ensure_ascii=False).encode("utf-8"), np.uint8)


def _unpacked(array: np.ndarray) -> Any:
    return json.loads(array.tobytes())


def shard_path(folder: Path, index: int) -> Path:
    """The file of the shard of block number `index`."""
    return folder / f"shard-{index:06}.npz"


class Sharding:
    """Makes shards of blocks, in any process.

    The facts of a block, as JSON values:

        pairs       number of pairs, those held out for dev not counted
        rows        of these, the ones that are kept; the others are `too_long`
        tokens      tokens in the rows, of each side
        longest     tokens in the longest row, of each side
        dev         the pairs held out for dev: (line, source, target, features)
        overlap     given dev pairs that occur in the block
        seen        sources of given dev pairs that occur in it, with whatever target: (source, features)
        others      whether the block has pairs that are not among the given dev pairs
        …           all of `Columns.facts`; with an `error`, there is no shard
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
        """The settings that make a `Sharding`, as JSON values.

        Args:
            folder: where the shards are written.
            files: as `files_of` gives them.
            text: TextConfig as a dict.
            tokenizers: of both sides.
            held: sources whose pairs are held out for dev.
            dev: given dev pairs, to look for in the block.
        """
        cut = [tokenizer.to_dict() for tokenizer in tokenizers]
        return {"folder": str(folder), "files": files, "text": text, "tokenizers": cut, "held": held, "dev": dev}

    def __call__(self, header: dict[str, Any], raw: Sequence[bytes]) -> dict[str, Any]:
        """Makes the shard of a block, and returns the facts. The header has its `index` and the number of lines `before` it."""
        path = shard_path(self.folder, header["index"])
        if path.exists():
            with _opened(path) as arrays:
                return _unpacked(arrays["facts"])
        columns = read_block(raw, header["before"], self.files, self.text)
        aside = self._set_aside(columns)
        dev_pairs, seen, others = self.overlap.look(columns.sources, columns.targets, columns.features)
        facts = columns.facts() | {"pairs": len(columns.sources), "dev": aside}
        facts |= {"overlap": sorted(dev_pairs), "seen": sorted(seen), "others": others}
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
        """Removes the pairs of the held sources from the columns. Returns each as (line, source, target, features)."""
        chosen = [i for i, source in enumerate(columns.sources) if composed(source) in self.held] if self.held else []
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
    """How often each token occurs in the shards, on each side; pairs that are too long count, those held out do not."""
    counters: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    for path in paths:
        with _opened(path) as arrays:
            for counter, name in zip(counters, ("source", "target"), strict=True):
                for token, n in zip(_unpacked(arrays[f"{name}_tokens"]), arrays[f"{name}_counts"].tolist(), strict=True):
                    counter[token] += n
    return counters
