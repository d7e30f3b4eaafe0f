"""The tasks: for each its data, how `jumok train` is told of it, what counts, and the best figures known."""

import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.support.dates import made

PHONES = ("--target-tokenizer", "space")
BPE = ("--source-tokenizer", "bpe", "--target-tokenizer", "bpe")
FEATURES = ("--features-column", "3")
WORDS = ("accuracy", "token-error-rate")
SENTENCES = ("bleu", "chrf")

LANGUAGES = tuple(["arm", "bul", "dut", "geo", "gre", "hin", "jpn", "lit", "rum", "vie"])
INFLECTED = ("english", "german", "turkish", "finnish")
FEW, FEW_DEV = 800, 100  # pairs of a fixed shuffle, since the files are in alphabetical order
SEEDS = {"train": 20, "dev": 21}


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        files: (data, part, "train" | "dev" | "test") -> the file. None for data that are made.
        parts: what it is done for: languages, say.
        options: of `jumok train`, all that a user has to give.
        metrics: of `jumok evaluate`; the first decides on dev.
        lines: what becomes of the lines of a file, by its name ("train" …), before they are used. None: they stay.
        known: part -> figure of others; docs/figures.md says whose.
        made: (part, name) -> the lines of data that are made here.
    """

    files: Callable[[Path, str, str], Path] | None
    parts: tuple[str, ...]
    options: tuple[str, ...]
    metrics: tuple[str, ...]
    lines: Callable[[list[str], str], list[str]] | None = None
    known: dict[str, float] = field(default_factory=dict)
    made: Callable[[str, str], list[str]] | None = None


def few(lines: list[str], name: str) -> list[str]:
    """The first of a fixed shuffle; all of test."""
    if name == "test":
        return lines
    random.Random(SEEDS[name]).shuffle(lines)
    return lines[: FEW if name == "train" else FEW_DEV]


def turned(lines: list[str], name: str) -> list[str]:
    """Target and source change places."""
    return ["\t".join(reversed(line.rstrip("\n").split("\t")[:2])) + "\n" for line in lines]


def joined(lines: list[str], name: str) -> list[str]:
    """The target's words without the blanks between them."""
    pairs = (line.rstrip("\n").split("\t")[:2] for line in lines)
    return [f"{source}\t{target.replace(' ', '')}\n" for source, target in pairs]


def pronounced(data: Path, part: str, name: str) -> Path:
    """SIGMORPHON 2020 task 1."""
    return data / f"sigmorphon2020-g2p/{part}_{name}.tsv"


def inflected(amount: str) -> Callable[[Path, str, str], Path]:
    """CoNLL-SIGMORPHON 2017 task 1."""
    return lambda data, part, name: (
        data / f"conll-sigmorphon2017-inflection/{part}-{name}{f'-{amount}' if name == 'train' else ''}.tsv"
    )


def plain(folder: str, names: dict[str, str]) -> Callable[[Path, str, str], Path]:
    """A folder with a file for each of train, dev and test."""
    return lambda data, part, name: data / folder / names[name].format(part)


CMUDICT = {"train": "train.tsv.gz", "dev": "dev.tsv", "test": "test.tsv"}
SPLIT = {"train": "train.tsv", "dev": "dev.tsv", "test": "test.tsv"}
FLICKR = {"train": "train.en-{}.tsv.gz", "dev": "val.en-{}.tsv", "test": "test_2016_flickr.en-{}.tsv"}
ENJA = {"train": "train.en-ja.tsv.gz", "dev": "dev.en-ja.tsv", "test": "test.en-ja.tsv"}
KOEN = {name: f"{name}.eng-kor.tsv" for name in SPLIT}

TASKS: dict[str, Task] = {
    "g2p-few": Task(pronounced, LANGUAGES, PHONES, WORDS, few),
    "g2p": Task(pronounced, LANGUAGES, PHONES, WORDS),
    "cmudict": Task(plain("cmudict-0.7b", CMUDICT), ("english",), PHONES, WORDS),
    "inflection-medium": Task(
        inflected("medium"),
        INFLECTED,
        FEATURES,
        WORDS[:1],
        known={"english": 90.9, "german": 72.1, "turkish": 32.9, "finnish": 43.7},
    ),
    "inflection-high": Task(
        inflected("high"),
        INFLECTED,
        FEATURES,
        WORDS[:1],
        known={"english": 94.7, "german": 82.4, "turkish": 72.6, "finnish": 78.2},
    ),
    "transliteration": Task(plain("en-ko-transliteration", SPLIT), ("en-ko",), (), WORDS[:1]),
    "transliteration-nfd": Task(plain("en-ko-transliteration", SPLIT), ("en-ko",), ("--target-form", "NFD"), WORDS[:1]),
    "transliteration-back": Task(plain("en-ko-transliteration", SPLIT), ("ko-en",), (), WORDS[:1], turned),
    "multi30k": Task(plain("multi30k/tok", FLICKR), ("de", "fr"), BPE, SENTENCES),
    "multi30k-words": Task(
        plain("multi30k/tok", FLICKR),
        ("de", "fr"),
        ("--source-tokenizer", "space", "--target-tokenizer", "space", "--min-count", "5", "--metric", "bleu"),
        SENTENCES,
    ),
    "enja": Task(plain("small_parallel_enja", ENJA), ("en-ja",), BPE, SENTENCES, joined),
    "jaen": Task(plain("small_parallel_enja", ENJA), ("ja-en",), BPE, SENTENCES, turned),
    "koen": Task(plain("ko-en/split", KOEN), ("en-ko",), (), ("chrf", "bleu")),
    "koen-back": Task(plain("ko-en/split", KOEN), ("ko-en",), (), ("chrf", "bleu"), turned),
    "dates": Task(None, ("dates", "numbers"), (), WORDS, made=made),
}


def content(path: Path) -> list[str]:
    """The lines of a file, unpacked."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        return file.readlines()
