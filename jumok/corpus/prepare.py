"""Preparing a corpus: all cores read and tokenise the pairs once, into shards, and the shards become one corpus.

1. If dev must be held out, or bpe must learn, a survey of all pairs (`jumok.corpus.survey`).
2. Each block of the files becomes a shard (`jumok.corpus.shards`). An interrupted run goes on here.
3. The counts of all shards make the vocabularies. Then each shard's ids become ids of the vocabulary, and are written one
   shard after the other.

No step holds more than a few blocks, the vocabularies and dev in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jumok import disk
from jumok.config import TextConfig
from jumok.console import Bar
from jumok.corpus import corpus
from jumok.corpus.blocks import SIZE, Warnings, cut
from jumok.corpus.crew import Crew, Message
from jumok.corpus.shards import FORMAT as SHARDS
from jumok.corpus.shards import Shard, Sharding, count_tokens, shard_path
from jumok.corpus.survey import Survey
from jumok.errors import DataError
from jumok.processes import cores
from jumok.text.codec import SOURCE_FILE, TARGET_FILE, Codec, codec_from_counts, train_tokenizers
from jumok.text.dev import Overlap, key, set_aside
from jumok.text.lines import source_name
from jumok.text.pairs import Pair, check_separator, files_of
from jumok.text.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer
from jumok.text.vocabulary import PAD

PLAN, SURVEY = "plan.json", "survey.json"

Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Wanted:
    """What to make a corpus from.

    Attributes:
        pairs: the file, or "A,B".
        dev: the dev pairs; None = some are held out, chosen by `seed`.
        codec: tokenizers and vocabularies of a run that is resumed; None = they are made from the pairs.
    """

    pairs: str
    text: TextConfig
    dev: Sequence[Pair] | None
    seed: int
    codec: Codec | None = None

    def settings(self) -> dict[str, Any]:
        """Everything except the files and the codec, as JSON values."""
        dev = self.seed if self.dev is None else corpus.digest([key(pair) for pair in self.dev])
        return {"text": corpus.text_settings(self.text), "dev": dev}


def prepare_corpus(folder: str | Path, wanted: Wanted, tell: Tell, *, shown: bool = True, processes: int | None = None) -> bool:
    """Makes the corpus in `folder`. Returns False if it was there already.

    If it is interrupted (KeyboardInterrupt), finished shards stay, and the next call goes on.

    Args:
        folder: a new or an empty folder, or that of a corpus, which is replaced if it was made from something else.
        tell: takes one-line messages; warnings begin with "warning: ".
        shown: whether to show progress bars.
        processes: how many processes read. Default: one a core.

    Raises:
        DataError: whatever `read_pairs`, `check_dev` and `split_dev` refuse; a folder with other files; a full disk.
    """
    folder = Path(folder)
    try:
        if _strange(folder):
            raise DataError(f"{folder}: the folder has other files in it; give --cache an empty or a new folder")
        files = files_of(wanted.pairs)
        check_separator(wanted.text)
        corpus.statuses(files)
        _check_inputs(folder, files)
        folder.mkdir(parents=True, exist_ok=True)
        with corpus.locked(folder, tell):
            meta = corpus.read_meta(folder)
            prints = corpus.file_prints(files, meta and meta["files"], shown)
            if meta is not None and _is_wanted(meta, wanted, prints):
                if meta["files"] != prints:  # only touched: so the next run need not hash it again
                    disk.write_file(folder / corpus.META, json.dumps(meta | {"files": prints}).encode())
                return False
            _Preparation(folder, wanted, prints, tell, shown, processes or cores()).run()
            return True
    except OSError as e:
        raise DataError(
            f"{folder}: could not be written ({e.strerror or e}); finished parts are kept; make room, or give --cache another folder"
        ) from None


def _strange(folder: Path) -> bool:
    """Whether the folder has files, and they are neither a corpus nor one that was begun."""
    if not folder.is_dir():
        return folder.exists()
    names = {file.name for file in folder.iterdir()} - {corpus.LOCK}
    building = folder / corpus.BUILDING
    if not names or (building / PLAN).is_file():
        return False
    begun = names == {corpus.BUILDING} and building.is_dir() and not any(building.iterdir())
    arrays = [corpus.array_path(folder, side, part) for side in corpus.SIDES for part in corpus.PARTS]
    made = (folder / corpus.META).is_file() and all(path.is_file() for path in arrays)
    return not (begun or (made and (corpus.BUILDING not in names or not any(building.iterdir()))))


def _check_inputs(folder: Path, files: Sequence[str]) -> None:
    """DataError if a file of pairs would be overwritten, since it has the name of a file of the corpus."""
    needed = {corpus.META, corpus.DEV, corpus.LINES, SOURCE_FILE, TARGET_FILE}
    for file in files:
        place, name = os.path.split(os.path.realpath(file))
        if place == os.path.realpath(folder) and name in needed:
            raise DataError(f"{file}: the tokenised pairs would be written over it; give --cache another folder")


def _is_wanted(meta: dict[str, Any], wanted: Wanted, prints: Sequence[dict[str, Any]]) -> bool:
    codec = meta["own"] if wanted.codec is None else meta["codec"] == corpus.digest(wanted.codec.to_dict())
    same = meta["settings"] == wanted.settings() and corpus.contents(meta["files"]) == corpus.contents(prints)
    return bool(codec and same)


class _Preparation:
    """The steps of preparing one corpus, in order."""

    def __init__(
        self,
        folder: Path,
        wanted: Wanted,
        prints: list[dict[str, Any]],
        tell: Tell,
        shown: bool,
        size: int,
    ) -> None:
        self.folder, self.wanted, self.prints, self.tell = folder, wanted, prints, tell
        self.files = files_of(wanted.pairs)
        self.shown, self.size, self.building = shown, size, folder / corpus.BUILDING
        self.notices: list[str] = []
        self.taken: list[int] = []

    def run(self) -> None:
        self._begin()
        held, tokenizers = self._dev_and_tokenizers()
        facts = self._shards(held, tokenizers)
        paths = [shard_path(self.building, i) for i in range(len(facts))]
        codec = self.wanted.codec
        if codec is None:
            codec = codec_from_counts(*tokenizers, *count_tokens(paths), self.wanted.text)
        if not sum(shard["rows"] for shard in facts):
            most = self.wanted.text.max_tokens
            raise DataError(f"{self.wanted.pairs}: no training pair is left; raise --max-tokens above {most}")
        self._join(paths, facts, codec)
        self._check_unchanged()
        self._finish(facts, codec)

    def _begin(self) -> None:
        """Deletes what an interrupted run with other settings has left."""
        codec = self.wanted.codec
        plan = {
            "format": corpus.FORMAT,
            "shards": SHARDS,
            "size": SIZE,
            "files": corpus.contents(self.prints),
            "settings": self.wanted.settings(),
            "codec": None if codec is None else corpus.digest(codec.to_dict()),
        }
        data = json.dumps(plan).encode()
        if not (self.building / PLAN).is_file() or (self.building / PLAN).read_bytes() != data:
            shutil.rmtree(self.building, ignore_errors=True)
            self.building.mkdir()
            disk.write_file(self.building / PLAN, data)

    def _each_block(
        self,
        work: str,
        settings: dict[str, Any],
        title: str,
        take: Callable[[dict[str, Any]], None],
        header: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        """Does the work on every block, with a progress bar; `take` gets the facts in the order of the blocks."""
        positions: list[int] = []
        total, done, pairs, start = sum(file["size"] for file in self.prints), 0, 0, time.perf_counter()

        def tasks() -> Iterator[Message]:
            for index, block in enumerate(cut(self.files, SIZE)):
                positions.append(block.position)
                yield {"index": index, "before": block.before, **header()}, block.raw

        with Crew(work, settings, self.size) as crew, Bar(title, total, self.shown) as bar:
            for index, facts in enumerate(crew.do(tasks())):
                take(facts)
                pairs += facts["pairs"]
                rate = pairs / (time.perf_counter() - start)
                bar.advance(positions[index] - done, f"{title} · {rate:,.0f} pairs/s")
                done = positions[index]

    def _dev_and_tokenizers(self) -> tuple[list[str], tuple[Tokenizer, Tokenizer]]:
        """The sources held out for dev, and the tokenizers of both sides; written down, so that a second run has them."""
        wanted, text, kept = self.wanted, self.wanted.text, self.building / SURVEY
        if kept.is_file():
            values = json.loads(kept.read_bytes())
            first, second = (load_tokenizer(tokenizer, str(kept)) for tokenizer in values["tokenizers"])
            return values["held"], (first, second)
        cut = TOKENIZERS[text.source_tokenizer], TOKENIZERS[text.target_tokenizer]
        learn = wanted.codec is None and any(tokenizer.learned for tokenizer in cut)
        survey, held = Survey(learn), list[str]()
        if learn or wanted.dev is None:
            self._survey(survey, wanted.seed if wanted.dev is None else None)
        if wanted.dev is None:
            held = sorted(set_aside(survey.first(), survey.pairs, source_name(self.files[0])))
        if wanted.codec is None:
            both = train_tokenizers(*survey.sample(held), text)
        else:
            both = wanted.codec.source.tokenizer, wanted.codec.target.tokenizer
        values = {"held": held, "tokenizers": [tokenizer.to_dict() for tokenizer in both]}
        disk.write_file(kept, json.dumps(values).encode())
        return held, both

    def _survey(self, survey: Survey, seed: int | None) -> None:
        """Surveys all blocks. The next pass gives the same warnings, so that they are given here only if it fails."""
        warnings: list[str] = []
        messages = Warnings(self.files, self.wanted.text, warnings.append)

        def take(facts: dict[str, Any]) -> None:
            messages.add(facts)
            survey.add(facts)

        settings = {
            "files": self.files,
            "text": corpus.text_settings(self.wanted.text),
            "seed": seed,
            "looked_at": survey.looked_at,
        }
        try:
            header = lambda: {"every": survey.every, "below": survey.below}  # noqa: E731
            self._each_block("survey", settings, "surveying the pairs", take, header)
            messages.finish(survey.pairs)
        except DataError:
            for warning in warnings:
                self._warn(warning)
            raise

    def _shards(self, held: list[str], tokenizers: tuple[Tokenizer, Tokenizer]) -> list[dict[str, Any]]:
        """Makes all shards. Returns the facts of each."""
        overlap = Overlap(key(pair) for pair in self.wanted.dev or ())
        settings = Sharding.settings(
            self.building, self.files, corpus.text_settings(self.wanted.text), tokenizers, held, sorted(overlap.dev)
        )
        messages, all_facts = Warnings(self.files, self.wanted.text, self._warn), list[dict[str, Any]]()

        def take(facts: dict[str, Any]) -> None:
            messages.add(facts)
            overlap.add(
                ((source, target, tuple(features)) for source, target, features in facts["overlap"]),
                ((source, tuple(features)) for source, features in facts["seen"]),
                facts["others"],
            )
            all_facts.append(facts)

        self._each_block("shards", settings, "tokenising", take)
        messages.finish(sum(shard["pairs"] + len(shard["dev"]) for shard in all_facts))
        if self.wanted.dev is not None:
            self.taken = overlap.judge(self.wanted.dev, self._warn)
        return all_facts

    def _warn(self, text: str) -> None:
        self.notices.append(text)
        self.tell(f"warning: {text}")

    def _join(self, paths: Sequence[Path], facts: Sequence[dict[str, Any]], codec: Codec) -> None:
        rows = sum(shard_facts["rows"] for shard_facts in facts)
        with ExitStack() as stack:

            def new(path: Path, largest: int, n: int) -> _Array:
                return stack.enter_context(_Array(path, np.min_scalar_type(largest), n))

            arrays = []
            for i, (side, vocabulary) in enumerate(
                zip(corpus.SIDES, (codec.source.vocabulary, codec.target.vocabulary), strict=True)
            ):
                total, longest = (
                    sum(shard_facts["tokens"][i] for shard_facts in facts),
                    max(shard_facts["longest"][i] for shard_facts in facts),
                )
                ids = new(corpus.array_path(self.building, side, "ids"), len(vocabulary), total + 1)
                starts = new(corpus.array_path(self.building, side, "starts"), total, rows)
                arrays.append((vocabulary, ids, starts, new(corpus.array_path(self.building, side, "lengths"), longest, rows)))
            lines = new(self.building / corpus.LINES, 2**32 - 1, rows)
            bar = stack.enter_context(Bar("joining the shards", rows, self.shown))
            for path in paths:
                shard = Shard.read(path)
                for part, (vocabulary, ids, starts, lengths) in zip(shard.sides, arrays, strict=True):
                    starts.add(ids.added + np.cumsum(part.lengths) - part.lengths)
                    lengths.add(part.lengths)
                    ids.add(part.of(vocabulary))
                lines.add(shard.lines)
                bar.advance(len(shard.lines))
            for _, ids, _, _ in arrays:
                ids.add(np.array([PAD]))

    def _check_unchanged(self) -> None:
        for file, known in zip(self.files, self.prints, strict=True):
            status = os.stat(file)
            if (status.st_size, status.st_mtime_ns) != (known["size"], known["mtime_ns"]):
                raise DataError(f"{file}: has changed while it was read; train again when it no longer changes")

    def _finish(self, facts: Sequence[dict[str, Any]], codec: Codec) -> None:
        """Moves everything to its place; corpus.json, which says that the corpus is whole, comes last."""
        codec.save(self.building)
        name = source_name(self.files[0])
        dev = [
            {"source": source, "target": target, "features": features, "where": f"{name}:{line}"}
            for shard in facts
            for line, source, target, features in shard["dev"]
        ]
        rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in dev)
        (self.building / corpus.DEV).write_text(rows, encoding="utf-8", errors="backslashreplace", newline="\n")
        meta = {
            "format": corpus.FORMAT,
            "settings": self.wanted.settings(),
            "files": self.prints,
            "codec": corpus.digest(codec.to_dict()),
            "own": self.wanted.codec is None,
            "pairs": sum(shard["rows"] for shard in facts),
            "too_long": sum(shard["too_long"] for shard in facts),
            "notices": self.notices,
            "taken": self.taken,
        }
        (self.folder / corpus.META).unlink(missing_ok=True)
        arrays = [corpus.array_path(self.building, side, part) for side in corpus.SIDES for part in corpus.PARTS]
        others = [self.building / file for file in (corpus.LINES, corpus.DEV, SOURCE_FILE, TARGET_FILE)]
        disk.move_into(self.folder, (*arrays, *others))
        disk.write_file(self.folder / corpus.META, json.dumps(meta).encode())
        shutil.rmtree(self.building, ignore_errors=True)


class _Array:
    """An array of known length, written to a file piece by piece."""

    def __init__(self, path: Path, dtype: np.dtype, n: int) -> None:
        self.path, self.dtype, self.n, self.added = path, np.dtype(dtype), n, 0

    def __enter__(self) -> _Array:
        self._file = open(self.path, "wb")
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.n,)}
        np.lib.format.write_array_header_1_0(self._file, header)
        return self

    def __exit__(self, error: object, *_: object) -> None:
        with self._file:
            if error is None:
                assert self.added == self.n

    def add(self, part: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(part, self.dtype).data)
        self.added += len(part)
