"""A command line is read in two ways, which agree: tyro sees the options that are typed, or, where something is wrong, all."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
import tyro

from jumok import config
from jumok.cli import COMMANDS, _options
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
VALUES = {bool: ["False"], int: ["7"], float: ["0.25"], str: ["x"], tuple: ["é", "b c"]}


def sections(kind: type) -> Iterator[tuple[str, Any, Any]]:
    """Name, type and default of each option."""
    for f in dataclasses.fields(kind):
        hint = config.type_hints(kind)[f.name]
        if dataclasses.is_dataclass(hint):
            yield from sections(hint)
        else:
            yield f.name, hint, f.default


def typed(name: str, hint: Any, default: Any) -> list[str]:
    """An option, as it may be typed, with another value than it has by default."""
    if hint is bool:
        return [f"--{'no-' * default}{flag(name)}"]
    parts = [part for part in (hint, *get_args(hint)) if part is not type(None)]
    choices = [c for part in parts if get_origin(part) is Literal for c in get_args(part) if c != default]
    if choices:
        return [f"--{flag(name)}", str(choices[-1])]
    return [f"--{flag(name)}", *next(VALUES[kind] for part in parts if (kind := get_origin(part) or part) in VALUES)]


def value(options: Any, name: str) -> Any:
    for f in dataclasses.fields(options):
        found = getattr(options, f.name)
        if f.name == name:
            return found
        if dataclasses.is_dataclass(found) and name in config.options(type(found)):
            return value(found, name)
    raise KeyError(name)


def both(command: str, words: list[str], default: Any = None) -> Any:
    kind, _ = COMMANDS[command]
    words = _options._as_fields(words)
    found = _options._read_typed(kind, words, default)
    assert found == _options._read_all(kind, words, default, f"jumok {command}") and type(found) is kind
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_read_alike_in_both_ways(command: str) -> None:
    kind, _ = COMMANDS[command]
    usual = both(command, GIVEN[command])
    standing = {name for name, _, _ in _options._shown(kind, None, ())}  # without a name
    named = {name: typed(name, hint, default) for name, hint, default in sections(kind) if name not in standing}
    together = both(command, [*GIVEN[command], *(word for words in named.values() for word in words)])
    joined = ["=".join(words) for words in named.values() if len(words) < 3]
    under = ["--" + word[2:].split("=")[0].replace("-", "_") + word[len(word.split("=")[0]) :] for word in joined]
    assert both(command, [*joined, *GIVEN[command]]) == both(command, [*under, *GIVEN[command]])
    assert both(command, GIVEN[command], together) == together  # over the values of a file
    for name, words in named.items():
        one = _options._read_typed(kind, _options._as_fields([*GIVEN[command], *words]), None)
        assert {other for other in named if value(one, other) != value(usual, other)} == {name}
        assert value(one, name) == value(together, name)


@pytest.mark.parametrize(
    "words",
    [
        ["model", "--beem", "5"],
        ["model", "--beam"],
        ["model", "--beam", "five"],
        ["model", "--engine", "fast"],
        ["model", "--json", "yes", "no"],
        ["model", "--no-json"],
        ["model", "-b", "5"],
        ["--beam", "5"],
        ["a", "b", "c"],
        [],
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_said_by_the_parser_that_knows_all_options(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    kind, _ = COMMANDS["translate"]
    assert _options._read_typed(kind, words, None) is None
    out, err = capsys.readouterr()
    assert out == err == ""
    with pytest.raises(SystemExit) as ended:
        _options.read(kind, words, "jumok translate")
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "jumok translate" in said and ("--beam" in said or "beem" not in str(words))


EMPTY = [
    (command, name)
    for command, (kind, _) in COMMANDS.items()
    for part in _options._parts(kind)
    for name, hint in config.type_hints(part).items()
    if hint == tuple[str, ...] and config.options(kind)[name].default == ()
]


@pytest.mark.parametrize(("command", "name"), EMPTY, ids=str)
def test_a_list_that_is_named_and_left_empty_is_a_mistake(command: str, name: str) -> None:
    kind, _ = COMMANDS[command]
    for words in ([*GIVEN[command], f"--{flag(name)}"], [*GIVEN[command], f"--{flag(name)}", "--config="]):
        with pytest.raises(ConfigError, match=f"--{flag(name)} has no value"):
            _options.read(kind, words, f"jumok {command}")


def test_tyro_sees_no_more_than_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, _ = COMMANDS["translate"]
    seen: list[list[str]] = []
    real = tyro.cli
    monkeypatch.setattr(
        tyro, "cli", lambda shown, **more: seen.append([f.name for f in dataclasses.fields(shown)]) or real(shown, **more)
    )
    options, given = _options.read(kind, ["model", "--beam", "5", "--forbid", "A", "--json"], "jumok translate")
    assert (options.search.beam, options.search.forbid, options.json, options.file) == (5, ("A",), True, "-")
    assert seen == [["model", "file", "beam", "forbid", "json"]] and given == {"beam", "forbid", "json"}


def test_a_usual_command_line_does_not_import_typeguard() -> None:
    """It takes 70 ms."""
    code = (
        "import sys\n"
        "from jumok.cli import COMMANDS, _options\n"
        "assert _options._read_typed(COMMANDS['translate'][0], ['model', '--forbid', 'A', 'B', '--max-length', '9'], None)\n"
        "sys.exit('typeguard' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
