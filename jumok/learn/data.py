"""What a run trains on: pairs in memory, or tokenised on the disk where they are many; dev pairs; the codec."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jumok.config import TrainConfig
from jumok.corpus.corpus import open_corpus
from jumok.corpus.prepare import Wanted, prepare_corpus
from jumok.errors import ConfigError, DataError
from jumok.learn.display import Display
from jumok.learn.filled import check_filled
from jumok.learn.strange import check_strange
from jumok.learn.teacher import Lesson
from jumok.text import Codec, Pair, Rows, build_codec, check_dev, grown, read_pairs, split_dev
from jumok.text.choices import Choices
from jumok.text.lines import source_name
from jumok.text.pairs import files_of
from jumok.text.recut import Recutting, recutting

DEV_PAIRS = 2_000  # more dev pairs than these are not looked at during training
LARGE = 100 * 2**20  # bytes of files from which on pairs do not stay in memory
UNPACKED = 4  # a .gz counts for so many times its size


@dataclass(frozen=True)
class Data:
    """What a run trains on.

    Attributes:
        sources, targets: the training pairs as ids; `describe` says where in the files one is, and its source's text.
        dev: the dev pairs, no more than are looked at.
        choices: what a teacher wrote for the training pairs; None without one. taught: its digest.
        recutting: cuts words anew for each epoch; None = they are cut once.
    """

    sources: Rows
    targets: Rows
    dev: list[Pair]
    codec: Codec
    describe: Callable[[int], tuple[str, str]]
    choices: Choices | None = None
    taught: str = ""
    recutting: Recutting | None = None


Teach = Callable[[list[Pair], list[Pair]], Lesson]  # of training pairs and dev


def read(run: TrainConfig, codec: Codec | None, display: Display, grow: bool = False, teach: Teach | None = None) -> Data:
    """Reads training and dev pairs and makes the codec, if it is not given.

    Args:
        grow: add to the given codec what is new in the training pairs.
        teach: gives what a teacher writes for training pairs; None = there is none.

    Raises:
        DataError: files that are missing or wrong, or have too little.
    """
    cache = cache_folder(run)
    in_memory = [flag for flag, on in (("--teacher", teach is not None), ("--bpe-dropout", run.learn.bpe_dropout > 0)) if on]
    if cache is not None and in_memory:
        raise ConfigError(
            f"{run.pairs}: more than {LARGE // 2**20} MB of pairs stay on the disk, and {in_memory[0]} needs them in memory; give it "
            "fewer, or leave it out"
        )
    data = _in_memory(run, codec, display, grow, teach) if cache is None else _from_disk(run, codec, display, cache)
    dev = data.dev
    if len(dev) > DEV_PAIRS:
        chosen = sorted(random.Random(split_seed(run)).sample(range(len(dev)), DEV_PAIRS))
        display.note(f"dev has {len(dev):,} pairs; {DEV_PAIRS:,} of them are used while training")
        dev[:] = [dev[i] for i in chosen]
    ids = data.codec.encode_pairs(dev) if run.dev else ([], [])
    check_filled(run, data, ids[0], display.warn)
    check_strange(data, ids, display.warn)
    return data


def split_seed(run: TrainConfig) -> int:
    """The seed that dev pairs are drawn with: the same for all members of an ensemble."""
    return run.learn.seed - max(0, run.member - 1)


def cache_folder(run: TrainConfig) -> Path | None:
    """Where the tokenised pairs are to be; None for in memory."""
    if run.cache:
        return Path(run.cache)
    files = [Path(file) for file in files_of(run.pairs)]
    size = sum(file.stat().st_size * (UNPACKED if file.suffix == ".gz" else 1) for file in files if file.is_file())
    out = Path(run.out).absolute()
    return out.with_name(f"{out.name}.corpus") if size > LARGE else None


def _in_memory(run: TrainConfig, codec: Codec | None, display: Display, grow: bool, teach: Teach | None) -> Data:
    with display.stage(f"reading {source_name(run.pairs)}"):
        pairs = read_pairs(run.pairs, run.text, warn=display.warn)
    if run.dev:
        dev = check_dev(pairs, read_pairs(run.dev, run.text, warn=display.warn), warn=display.warn)
    else:
        pairs, dev = split_dev(pairs, split_seed(run))
        if not dev or not pairs:
            raise DataError(f"{run.pairs}: too few pairs to set some aside for dev; give --dev, or more pairs")
        _tell_set_aside(dev, display)
    lesson = teach(pairs, dev) if teach is not None else None
    if lesson is not None:
        pairs = pairs + lesson.pairs()
    with display.stage("cutting the pairs into tokens"):
        more = lesson.texts() if lesson is not None else ()
        if codec is None:
            codec = build_codec(pairs, run.text, more, whole=run.learn.bpe_dropout > 0)
        elif grow:
            codec = grown(codec, pairs, run.text.min_count, more)
        sources, targets = codec.encode_pairs(pairs)
    most = run.text.max_tokens + 1
    kept = [i for i in range(len(pairs)) if len(sources[i]) <= most and len(targets[i]) <= most]
    if len(kept) < len(pairs):
        _tell_too_long(len(pairs) - len(kept), run, display)
        if not kept:
            raise DataError(f"{run.pairs}: no training pair is left; raise --max-tokens above {run.text.max_tokens}")
        sources, targets = [sources[i] for i in kept], [targets[i] for i in kept]

    def describe(row: int) -> tuple[str, str]:
        return pairs[kept[row]].where, pairs[kept[row]].source

    rows, pairs_kept = (Rows.of(sources), Rows.of(targets)), [pairs[i] for i in kept]
    choices = lesson.choices(pairs_kept, rows[1], codec, run) if lesson is not None else None
    recut = None
    if run.learn.bpe_dropout:
        with display.stage("cutting the words in other ways, for --bpe-dropout"):
            recut = recutting(codec, pairs_kept, rows, run.learn.bpe_dropout, run.learn.seed)
    return Data(*rows, dev, codec, describe, choices, lesson.digest if lesson is not None else "", recut)


def _from_disk(run: TrainConfig, codec: Codec | None, display: Display, cache: Path) -> Data:
    given = read_pairs(run.dev, run.text, warn=display.warn) if run.dev else None
    wanted = Wanted(run.pairs, run.text, given, split_seed(run), codec)
    try:
        made = prepare_corpus(cache, wanted, display.note, shown=not display.quiet)
    except KeyboardInterrupt:
        display.note(f"stopped; what was done is kept in {cache}, and the same command goes on from there")
        raise
    corpus = open_corpus(cache, run.text)
    if not made:
        for notice in corpus.notices:
            display.warn(notice)
    size = f"{corpus.size() / 1e6:,.0f} MB on the disk"
    done = "tokenised into" if made else "tokenised before, in"
    display.note(f"training pairs: {done} {cache} ({size}; delete it when you train on them no more)")
    if given is None:
        _tell_set_aside(corpus.dev, display)
    if corpus.too_long:
        _tell_too_long(corpus.too_long, run, display)
    name = source_name(files_of(run.pairs)[0])

    def describe(row: int) -> tuple[str, str]:
        side = corpus.codec.source
        return f"{name}:{corpus.lines[row]}", side.tokenizer.text(side.vocabulary.tokens(corpus.sources[row][:-1].tolist()))

    dev = corpus.dev if given is None else [given[i] for i in corpus.taken]
    return Data(corpus.sources, corpus.targets, dev, codec or corpus.codec, describe)


def _tell_set_aside(dev: list[Pair], display: Display) -> None:
    display.note(f"no --dev given: {len(dev):,} of the pairs are set aside for it, by source")


def _tell_too_long(n: int, run: TrainConfig, display: Display) -> None:
    most = run.text.max_tokens
    display.warn(f"{n:,} training pairs have a side of more than {most} tokens and are left out (--max-tokens)")
