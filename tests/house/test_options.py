"""Every option of every command is found on a command line, in each of its forms, and what is wrong there is one line."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from jumok import config
from jumok.cli import COMMANDS, _options, _words, main
from jumok.cli._options import Options, Positional
from jumok.config import flag
from jumok.errors import ConfigError

# what must be given of each command
GIVEN = {
    "align": ["model", "p.tsv"],
    "average": ["a", "b"],
    "evaluate": ["model", "test.tsv"],
    "explain": ["model", "cat"],
    "info": ["model"],
    "next": ["model", "cat"],
    "page": ["model"],
    "quickstart": [],
    "rescore": ["model", "nbest.jsonl"],
    "score": ["model", "p.tsv"],
    "study": ["bottleneck"],
    "train": ["p.tsv"],
    "translate": ["model"],
}
VALUES: dict[Any, tuple[list[str], Any]] = {int: (["7"], 7), float: (["0.25"], 0.25), str: (["x"], "x")}
VALUES[tuple] = (["é", "b c"], ("é", "b c"))


def every(options: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, type and value of each option."""
    for f in dataclasses.fields(options):
        value = getattr(options, f.name)
        if dataclasses.is_dataclass(value):
            yield from every(value)
        else:
            yield f.name, config.type_hints(type(options))[f.name], value


def typed(hint: Any, default: Any) -> tuple[list[str], Any]:
    """The words of a value other than the default, and the value."""
    parts = [part for part in (hint, *get_args(hint)) if part is not type(None)]
    choices = [c for part in parts if get_origin(part) is Literal for c in get_args(part) if c != default]
    if choices:
        return [choices[-1]], choices[-1]
    return next(VALUES[kind] for part in parts if (kind := get_origin(part) or part) in VALUES)


def forms(name: str, hint: Any, default: Any) -> list[tuple[list[str], Any]]:
    """Each way of giving an option a value other than its default, and the value."""
    dashed, under, no = f"--{flag(name)}", f"--{name.rstrip('_')}", f"--no-{flag(name)}"
    if hint is bool:
        return [([no], False), ([f"--no_{name}"], False)] if default else [([dashed], True), ([under], True)]
    if bool in get_args(hint):
        return [([dashed], True), ([no], False), ([dashed, "False"], False), ([f"{dashed}=True"], True)]
    words, value = typed(hint, default)
    found = [([dashed, *words], value), ([under, *words], value)]
    if len(words) == 1:
        return [*found, ([f"{dashed}={words[0]}"], value), ([f"{under}={words[0]}"], value)]
    return [*found, ([part for word in words for part in (dashed, word)], value)]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_found_in_each_of_its_forms(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, _ = COMMANDS[command]
    monkeypatch.setattr(kind, "check", lambda self, where: None)  # what combines is another question
    usual, _ = _options.read(kind, GIVEN[command])
    loose = {option.name for option in _words.options(kind).values() if option.positional}
    before = {name: value for name, _, value in every(usual)}
    named = {name: (hint, value) for name, hint, value in every(usual) if name not in {*loose, "config"}}
    for name, about in named.items():
        for words, value in forms(name, *about):
            options, given = _options.read(kind, [*GIVEN[command], *words])
            after = {name: value for name, _, value in every(options)}
            assert after == before | {name: value} and type(after[name]) is type(value), words
            assert given - loose == {name} and before[name] != value
    together = [word for name, about in named.items() for word in forms(name, *about)[0][0]]
    options, given = _options.read(kind, [*GIVEN[command], *together])
    assert given - loose == set(named)
    assert {name: value for name, _, value in every(options)} == before | {
        n: forms(n, *about)[0][1] for n, about in named.items()
    }


@dataclasses.dataclass(frozen=True)
class Section:
    depth: int = 3
    words: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Try(Options):
    first: Positional[str]
    second: Positional[str] = "-"
    text: str = ""
    rate: float | None = None
    loud: bool = False
    kept: bool | None = None
    import_: str = ""
    section: Section = dataclasses.field(default_factory=Section)


ANY = st.text(st.characters(codec="utf-8"), max_size=5)
PLAIN = ANY.filter(lambda text: not text.startswith(("-", "–", "—")) and text not in _words.OLD_VALUES)
NOT_AN_OPTION = ANY.filter(lambda text: not text.startswith("--"))


@drawn(st.data())
def test_whatever_is_written_is_read_back_in_any_order(data: st.DataObject) -> None:
    wanted: dict[str, Any] = {"first": data.draw(PLAIN)}
    loose = [wanted["first"]]
    if data.draw(st.booleans()):
        wanted["second"] = data.draw(PLAIN)
        loose.append(wanted["second"])
    pieces: list[list[str]] = []
    for name in data.draw(
        st.lists(st.sampled_from(["text", "rate", "loud", "kept", "import_", "depth", "words"]), unique=True)
    ):
        if name in ("text", "import_"):
            wanted[name] = text = data.draw(ANY)
            joined = text.startswith("--") or data.draw(st.booleans())
            pieces.append([f"--{flag(name)}={text}"] if joined else [f"--{flag(name)}", text])
        elif name == "words":
            wanted[name] = tuple(data.draw(st.lists(NOT_AN_OPTION, min_size=1, max_size=3)))
            pieces.append(["--words", *wanted[name]])
        elif name in ("loud", "kept"):
            wanted[name] = data.draw(st.booleans())
            pieces.append([f"--{'' if wanted[name] else 'no-'}{name}"])
        else:
            wanted[name] = data.draw(st.integers(-9, 9) if name == "depth" else st.floats(allow_nan=False))
            pieces.append([f"--{name}", str(wanted[name])])
    lists, singles = [p for p in pieces if p[0] == "--words"], [p for p in pieces if p[0] != "--words"]
    pieces = data.draw(st.permutations([*singles, *([word] for word in loose)]))
    where = [pieces.index([word]) for word in loose]
    for i, word in zip(sorted(where), loose, strict=True):  # those without a name keep their order
        pieces[i] = [word]
    line = [word for piece in [*pieces, *lists] for word in piece]
    assert _words.values(Try, line, "jumok try", pytest.fail) == wanted


@pytest.mark.parametrize(("word", "value"), [("True", True), ("False", False), ("None", None)])
def test_a_flag_takes_its_old_values_and_its_negative_none(word: str, value: bool | None) -> None:
    assert _words.values(Try, ["--kept", word, "x"], "jumok try", pytest.fail) == {"kept": value, "first": "x"}
    with pytest.raises(ConfigError, match=f"--no-kept is '{word}'; it takes no value"):
        _words.values(Try, ["--no-kept", word, "x"], "jumok try", pytest.fail)


@pytest.mark.parametrize(
    ("words", "says"),
    {
        "m --beem 5": "there is no option --beem; did you mean --beam?",
        "m --no-jsn": "there is no option --no-jsn; did you mean --no-json?",
        "m --no-beam": "there is no option --no-beam; did you mean --beam?",
        "m --be 5": "there is no option --be; did you mean --beam?",
        "m --zzzzzz": "there is no option --zzzzzz; jumok translate --help-all shows them all",
        "m -b 5": "there is no option -b; options begin with two dashes; what begins with a dash and is none stands behind --",
        "m -beam": "there is no option -beam",
        "--model m": "there is no option --model; MODEL is given by its place: jumok translate MODEL [FILE]",
        "--=5": "there is no option --",
        "m --=5": "there is no option --",
        "m —beam 5": "there is no option —beam; that is a long dash; did you mean --beam?",
        "m –beam=5": "there is no option –beam; that is a long dash; did you mean --beam?",
        "m --beam": "--beam has no value; leave it out",
        "m --beam --json": "--beam has no value; leave it out",
        "m --prefix --x": "--prefix has no value; a value that begins with dashes is written --prefix=--x",
        "m --beam=": "beam is ''; it must be a whole number",
        "m --beam five": "beam is 'five'; it must be a whole number",
        "m --beam 1e2": "beam is '1e2'; it must be a whole number",
        "m --beam None": "beam is 'None'; it must be a whole number",
        "m --length-penalty much": "length_penalty is 'much'; it must be a number",
        "m --engine fast": "engine is 'fast'; it can be auto, exact, int8, numpy",
        "m --json=yes": "--json is 'yes'; it takes no value: write --json, or --no-json",
        "m --no-json=True": "--no-json is 'True'; it takes no value",
        "m --json yes no": "'no' is one word too many; wanted jumok translate MODEL [FILE]",
        "a b c": "'c' is one word too many; wanted jumok translate MODEL [FILE]",
        "a b -- c": "'c' is one word too many",
        "--beam 5": "MODEL not given; wanted jumok translate MODEL [FILE]; jumok translate --help says more",
        "--forbid a m": "MODEL not given",
        "": "MODEL not given",
        "m --config a --config b": "--config is given twice; it takes one file",
    }.items(),
)
def test_what_is_wrong_is_one_line(words: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"jumok: command line: {says}") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    {
        "m --beam 2 --beam 3": "--beam is given twice; the last one counts: 3",
        "m --beam=3 --beam 3": "--beam is given twice",
        "m --json --no-json": "--json is given twice; the last one counts: False",
        "m --prefix a --prefix=": "--prefix is given twice; the last one counts: ''",
    }.items(),
)
def test_the_last_of_several_counts_and_a_line_says_so(words: str, says: str) -> None:
    kind, _ = COMMANDS["translate"]
    said: list[str] = []
    found = _words.values(kind, words.split(), "jumok translate", said.append)
    assert len(said) == 1 and says in said[0]
    assert any(repr(value) == said[0].rpartition(": ")[2] for name, value in found.items() if name != "model")


def test_what_begins_with_dashes() -> None:
    kind, _ = COMMANDS["explain"]
    said = pytest.fail
    assert _words.values(kind, ["m", "--", "--help"], "jumok explain", said)["source"] == "--help"
    assert _words.values(kind, ["m", "-5"], "jumok explain", said)["source"] == "-5"
    assert _words.values(kind, ["m", "-"], "jumok explain", said)["source"] == "-"
    assert _words.help_asked(["m", "--", "--help"]) is None and _words.help_asked(["m", "-h", "--", "x"]) == "-h"
    assert _words.values(kind, ["m", "—"], "jumok explain", said)["source"] == "—"
    assert _words.values(Try, ["a", "--text", "-x", "--import", "b"], "jumok try", said) == {
        "first": "a", "text": "-x", "import_": "b"
    }  # fmt: skip


EMPTY = [
    (command, name)
    for command, (kind, _) in COMMANDS.items()
    for name, option in _words.options(kind).items()
    if option.is_list and not option.positional
]


@pytest.mark.parametrize(("command", "name"), EMPTY, ids=str)
def test_a_list_that_is_named_and_left_empty_is_a_mistake(command: str, name: str) -> None:
    kind, _ = COMMANDS[command]
    for words in ([*GIVEN[command], f"--{flag(name)}"], [*GIVEN[command], f"--{flag(name)}", "--config="]):
        with pytest.raises(ConfigError, match=f"--{flag(name)} has no value"):
            _options.read(kind, words)


def test_help_is_shown_whatever_else_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "--beem", "5", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: jumok translate MODEL [FILE] [options]")


def test_a_usual_command_line_imports_little() -> None:
    """What only errors, files of options and `--help` need is left for these."""
    code = (
        "import sys\n"
        "from jumok.cli import COMMANDS, _options\n"
        "_options.read(COMMANDS['translate'][0], ['model', '--forbid', 'A', 'B', '--max-length', '9'])\n"
        "print(sorted({'argparse', 'difflib', 'tomllib', 'torch', 'rich', 'textwrap'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stdout + done.stderr
