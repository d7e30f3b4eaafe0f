"""docs/tasks.md: each command on it can be given as it stands, each task exists, and the data that are made are as they should be."""

import datetime
import re
import shlex

import pytest
from pages import FENCE, ROOT

import jumok
from benchmarks.support import dates, words
from benchmarks.support.tasks import TASKS
from jumok.cli import COMMANDS, _options, main

PAGE = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
LINES = [line for _, block in FENCE.findall(PAGE) for line in block.splitlines()]
INLINE = re.findall(r"`(jumok \w+ [^`]*)`", PAGE)
SMALL = ["--steps=2", "--hidden=8", "--embedding=4", "--readout-size=8", "--quiet", "--threads=1"]


@pytest.mark.parametrize("line", [*LINES, *INLINE])
def test_every_command_of_the_page_parses(line: str) -> None:
    program, name, *rest = shlex.split(line)
    assert program == "jumok" and name in COMMANDS
    kind, _ = COMMANDS[name]
    options, _ = _options.read(kind, rest)
    options.check("the page")


def test_commands_are_found_at_all() -> None:
    assert sum(line.startswith("jumok train") for line in LINES) == 5 and len(INLINE) >= 3


def test_tasks_that_the_page_names_exist() -> None:
    named = set(re.findall(r"benchmarks\.quality\.task ([a-z][\w-]*)", PAGE)) | set(re.findall(r"\(`([a-z][\w-]*)`\)", PAGE))
    assert {"g2p", "dates", "multi30k"} <= named <= set(TASKS)


@pytest.mark.parametrize("part", dates.PARTS)
def test_made_data(part: str) -> None:
    """The same every time, as many as there should be, no source twice; and each target is what its source means."""
    lines = {name: dates.made(part, name) for name in dates.SIZES}
    assert {name: len(found) for name, found in lines.items()} == dates.SIZES
    pairs = [line.rstrip("\n").split("\t") for found in lines.values() for line in found]
    assert len({source for source, _ in pairs}) == len(pairs) and dates.made(part, "dev") == lines["dev"]
    for source, target in pairs:
        if part == "dates":
            day = datetime.date.fromisoformat(target)
            digits = re.findall(r"\d+", source)
            assert str(day.year) in source and str(day.day) in [number.lstrip("0") for number in digits]
        else:
            assert _value(target) == int(source.replace(",", ""))


def _value(words: str) -> int:
    """English words back to a number."""
    total = part = 0
    for word in words.split():
        if word in dates.ONES:
            part += dates.ONES.index(word)
        elif word in dates.TENS:
            part += 10 * (dates.TENS.index(word) + 2)
        elif word == "hundred":
            part *= 100
        else:
            power = next(power for power, name in dates.POWERS if name == word)
            total, part = total + part * power, 0
    return total + part


def test_a_command_of_the_page_runs(tmp_path, monkeypatch) -> None:
    """The one for normalisation, on a few of its data."""
    monkeypatch.chdir(tmp_path)
    for name, size in (("train", 60), ("dev", 10)):
        (tmp_path / f"{name}.tsv").write_text("".join(dates.made("dates", name)[:size]), encoding="utf-8")
    words = shlex.split(next(line for line in LINES if "--minutes 2" in line))
    del words[words.index("--minutes") : words.index("--minutes") + 2]
    assert main([*words[1:], *SMALL]) == 0
    assert jumok.load("model").translate("1 May 1998").finished in (True, False)


def test_words_for_a_teacher_are_of_no_file_and_of_the_letters_of_training() -> None:
    """In the order given; in capitals where the words of training are."""
    files = [["read", "den", "ear"], ["near", "är"], ["dare"]]
    assert list(words.new(["read", "a", "dear", "near", "rean", "dare", "dab", "är"], *files)) == ["dear", "rean"]
    capitals = [[word.upper() for word in file] for file in files]
    assert list(words.new(["read", "dear", "Near", "rean"], *capitals)) == ["DEAR", "REAN"]
