"""The pairs of a study: the user's, or strings with known structure made here; copied into the study's folder either way."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jumok.config import TextConfig
from jumok.errors import ConfigError, DataError
from jumok.studies.plan import read_json, write_whole
from jumok.text import TOKENIZERS, Pair, read_pairs, split_dev

Splits = dict[str, list[tuple[str, str]]]
LETTERS = "abcdefghijkl"
VOWELS = "aeiou"
SPLIT_SEED = 1  # test and dev taken from the user's pairs are the same for every run of a study

# -- data of a study's own ------------------------------------------------------------------------------------------------


def substitution() -> tuple[str, Splits]:
    """Each letter becomes another one by a fixed table: step t needs the letter at t and nothing else."""
    table = dict(zip(LETTERS, "hkaeljcbgifd", strict=True))
    turn = lambda s: "".join(table[c] for c in s)  # noqa: E731
    about = (
        "made here: random strings over 12 letters; the target has, for each letter, another one by a fixed table. "
        "Training has 2 to 14 letters, the test 2 to 22"
    )
    return about, _made(turn, 8000, (2, 14), (2, 22))


def turned_words() -> tuple[str, Splits]:
    """Words of 2 to 4 letters; each is written backwards, letters changed by a table: order changes, but not far."""
    table = dict(zip(LETTERS, "hkaeljcbgifd", strict=True))
    about = (
        "made here: 2 to 5 words of 2 to 4 letters; the target has each word backwards, its letters changed by a fixed table"
    )

    def source(rng: random.Random, _: int) -> str:
        return " ".join("".join(rng.choices(LETTERS, k=rng.randint(2, 4))) for _ in range(rng.randint(2, 5)))

    def turn(s: str) -> str:
        return " ".join("".join(table[c] for c in word[::-1]) for word in s.split(" "))

    return about, _made(turn, 8000, (0, 0), (0, 0), source)


def harmony() -> tuple[str, Splits]:
    """Consonants stay; each vowel written follows from the vowel read and the vowel written before it.

    With gold before it a step is easy. A wrong vowel of the model's own changes what is right to write next, all the way.
    """
    about = (
        "made here: syllables of a consonant and a vowel; a vowel written is the vowel read moved on by the vowel written "
        "before it (their numbers added, modulo 5), so that an error goes on through the word"
    )

    def source(rng: random.Random, length: int) -> str:
        return "".join(rng.choice("bdgklmnprst") + rng.choice(VOWELS) for _ in range(length))

    def turn(s: str) -> str:
        out, before = [], 0
        for c in s:
            if c in VOWELS:
                before = (before + VOWELS.index(c)) % len(VOWELS)
                c = VOWELS[before]
            out.append(c)
        return "".join(out)

    return about, _made(turn, 8000, (2, 8), (2, 8), source)


def first_letters() -> tuple[str, Splits]:
    """The target is the first three letters of the source: all that counts is far from the end of a long source."""
    about = (
        "made here: random strings of 5 to 80 letters; the target is the first three of them, far from the end of a long source"
    )
    return about, _made(lambda s: s[:3], 6000, (5, 80), (5, 80))


def _made(
    turn: Callable[[str], str],
    count: int,
    train: tuple[int, int],
    test: tuple[int, int],
    source: Callable[[random.Random, int], str] | None = None,
) -> Splits:
    """`count` training pairs with different sources, 200 dev, 600 test, none of them in another split; always the same."""
    rng = random.Random(2015)
    make = source or (lambda rng, length: "".join(rng.choices(LETTERS, k=length)))
    seen: set[str] = set()
    splits: Splits = {}
    for name, size, lengths in (("test", 600, test), ("dev", 200, train), ("train", count, train)):
        found: list[tuple[str, str]] = []
        for _ in range(20 * size):
            s = make(rng, rng.randint(*lengths))
            if s not in seen:
                seen.add(s)
                found.append((s, turn(s)))
            if len(found) == size:
                break
        splits[name] = found
    return splits


# -- data of the user ------------------------------------------------------------------------------------------------------


def length_of(source: str, tokenizer: str) -> int:
    """Length of a source as studies count it: characters where tokens are those, else words (parts between blanks)."""
    return len(source) if TOKENIZERS[tokenizer].characters else len(source.split())


def unit_of(tokenizer: str) -> str:
    """What `length_of` counts."""
    return "characters" if TOKENIZERS[tokenizer].characters else "words"


def read_splits(pairs: str, dev: str, test: str, text: TextConfig, warn: Callable[[str], None]) -> dict[str, list[Pair]]:
    """train, dev and test; what is not given is set aside from `pairs`, by source: 1 in 20, at most 2,000."""
    found = {"train": read_pairs(pairs, text, warn=warn)}
    for name, path, seed in (("test", test, SPLIT_SEED), ("dev", dev, SPLIT_SEED + 1)):
        if path:
            found[name] = read_pairs(path, text, warn=warn)
        else:
            found["train"], found[name] = split_dev(found["train"], seed)
            warn(f"no --{name} given: {len(found[name]):,} of the pairs are set aside for it, by source")
    return found


def prepare(
    folder: Path, description: str, splits: dict[str, list[Pair]], text: TextConfig, train_max_length: int | None
) -> dict[str, Any]:
    """Writes train, dev and test to the folder and tells of them: description, unit, lengths and SHA-256 of each split.

    With `train_max_length`, longer pairs leave train and dev, and only the test has them.

    Raises:
        ConfigError: the folder has other data already. DataError: a split is empty.
    """
    unit = unit_of(text.source_tokenizer)
    if train_max_length is not None:
        for name in ("train", "dev"):
            splits[name] = [p for p in splits[name] if length_of(p.source, text.source_tokenizer) <= train_max_length]
    about: dict[str, Any] = {"description": description, "unit": unit, "train_max_length": train_max_length, "splits": {}}
    contents = {}
    for name, pairs in splits.items():
        if not pairs:
            raise DataError(f"{name}: no pair is left in it; raise --train-max-length, or give more pairs")
        contents[name] = "".join(_line(p) for p in pairs)
        lengths = [length_of(p.source, text.source_tokenizer) for p in pairs]
        about["splits"][name] = {
            "pairs": len(pairs),
            "shortest": min(lengths),
            "longest": max(lengths),
            "sha256": hashlib.sha256(contents[name].encode()).hexdigest(),
        }
    there = folder / "about.json"
    if there.exists() and read_json(there).get("splits") != about["splits"]:
        raise ConfigError(f"{folder}: the study there is of other data; a folder holds one study; give another --out")
    for name, content in contents.items():
        if not there.exists() or not (folder / f"{name}.jsonl").exists():
            write_whole(folder / f"{name}.jsonl", content)
    write_whole(there, json.dumps(about, ensure_ascii=False, indent=1) + "\n")
    return about


def _line(pair: Pair) -> str:
    values: dict[str, Any] = {"source": pair.source, "target": pair.target}
    if pair.features:
        values["features"] = list(pair.features)
    return json.dumps(values, ensure_ascii=False) + "\n"


def as_pairs(made: Sequence[tuple[str, str]]) -> list[Pair]:
    """Pairs made here as `jumok.text` has them."""
    return [Pair(source, target) for source, target in made]
