"""The edge of every command: each path that it reads or writes, and each standard stream, made to fail in every way.

Commands and their paths are found in `cli.COMMANDS` by the types of `jumok.places`, so a new one is tried without being named
here. Whatever happens: exit status 0, or 2 and one line; and what was there before is there after.
"""

import builtins
import dataclasses
import errno
import hashlib
import io
import os
import shutil
import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
from faulty_disk import refusing

from jumok import cli, config, places
from jumok.cli._words import POSITIONAL
from jumok.config import ModelConfig, TextConfig
from jumok.explain import to_json_line
from jumok.runtime import load
from jumok.runtime.folder import CONFIG, FolderConfig, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec

TINY = [
    f"--{o}"
    for o in (
        "hidden=8",
        "embedding=8",
        "readout-size=8",
        "steps=1",
        "threads=1",
        "precision=float32",
        "matmul=default",
        "evaluate-every=1",
    )
]
TEXTS = set(
    [
        "features_separator",
        "tokenize",
        "metrics",
        "variants",
        "source",
        "features",
        "reference",
        "prefix",
        "prefix_tokens",
        "mbr",
        "forbid",
        "forbid_text",
        "allow",
        "require",
    ]
)  # texts that are no paths


def fields(cls: type) -> Iterator[tuple[str, str | None, places.Place | None]]:
    """(name, its flag or None where it has none, what it names) of every option of a command."""
    hints = typing.get_type_hints(cls, include_extras=True)
    marks = places._fields(cls)
    for f in dataclasses.fields(cls):
        hint = hints[f.name]
        inner = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
        if dataclasses.is_dataclass(inner):
            yield from fields(inner)
        else:
            positional = POSITIONAL in getattr(hint, "__metadata__", ())
            yield f.name, None if positional else f"--{config.flag(f.name)}", marks[f.name]


PATHS = {
    (command, name): (flag, place)
    for command, (kind, _) in cli.COMMANDS.items()
    for name, flag, place in fields(kind)
    if place is not None
}
# what a command is given beside the path that is tried, by option; positional ones have no dashes. Studies: see `usual`.
GIVEN = {
    "train": {"pairs": "p.tsv", "dev": "d.tsv", "out": "out"},
    "translate": {"model": "model", "file": "lines.txt"},
    "evaluate": {"model": "model", "test": "p.tsv"},
    "explain": {"model": "model"},
    "next": {"model": "model"},
    "align": {"model": "model", "pairs": "p.tsv"},
    "info": {"model": "model"},
    "score": {"model": "model", "pairs": "p.tsv"},
    "rescore": {"model": "model", "lists": "nbest.jsonl"},
    "average": {"models": "model,model", "out": "made"},
    "study": {"out": "study"},
    "quickstart": {},
    "page": {"models": "model"},
}
MORE = {
    "train": [*TINY, "--quiet"],
    "explain": ["cat"],
    "next": ["cat"],
    "evaluate": ["--metrics", "accuracy"],
    "quickstart": ["--minutes", "1"],
}
NAMES = {
    "pairs": "p.tsv",
    "lines": "lines.txt",
    "options": "run.toml",
    "vectors": "v.vec",
    "model": "model",
    "file": "made.svg",
    "folder": "made",
}


@pytest.fixture(scope="module")
def reverse_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the other direction: phones in, letters out."""
    text = TextConfig(source_tokenizer="space", joint_vocabulary=False)
    model = ModelConfig(attention="dot", size="small", embedding=4, hidden=4, score_size=4, readout_size=4, tie="none")
    codec = build_codec([Pair("K AE T", "cat")], text)
    parameters = random_parameters(model, len(codec.source.vocabulary), len(codec.target.vocabulary), seed=1)
    path = tmp_path_factory.mktemp("reverse") / "model"
    write_folder(path, FolderConfig(text, model, (1.0, 5.0), {}), parameters, codec, "# Reverse\n", [])
    return path


@pytest.fixture
def here(tmp_path: Path, model_folder: Path, reverse_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one of everything, which is the working folder; commands that train for long do not."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    shutil.copytree(model_folder, tmp_path / "model")
    shutil.copytree(reverse_folder, tmp_path / "reverse")
    rows = [(a + b, f"{a.upper()} {b.upper()}") for a in "abcde" for b in "fghij"]
    (tmp_path / "p.tsv").write_text("".join(f"{s}\t{t}\t1-1\n" for s, t in rows), encoding="utf-8")
    (tmp_path / "d.tsv").write_text("af\tA F\nxy\tX Y\n", encoding="utf-8")
    (tmp_path / "lines.txt").write_text("1-1\n" * len(rows), encoding="utf-8")  # links, too
    vectors = "".join(f"{c} {' '.join('12345678')}\n" for c in "abcdeABCDE")
    (tmp_path / "v.vec").write_text(vectors, encoding="utf-8")
    (tmp_path / "nbest.jsonl").write_text(to_json_line(load(tmp_path / "model").translate("cat")) + "\n", encoding="utf-8")
    (tmp_path / "list.txt").write_text("A\nT\n", encoding="utf-8")
    (tmp_path / "run.toml").write_text("# as usual\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jumok.studies.conduct.carry_out", lambda *_: 0)
    words = {a + b + c: [f"{a.upper()} {b.upper()}"] for a in "abcdefgh" for b in "ijklm" for c in "nopq"}
    monkeypatch.setattr("jumok.quickstart.dictionary", lambda: words)
    return tmp_path


def _no_training(model: Path) -> Callable[..., object]:
    class Done:
        interrupted = 0

    def train(pairs: Path, dev: Path, out: Path, **_: object) -> Done:
        shutil.copytree(model, out, dirs_exist_ok=True)
        return Done()

    return train


@pytest.fixture
def quickstart_trains_nothing(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import jumok.learn

    monkeypatch.setattr(jumok.learn, "train", _no_training(model_folder))


def arguments(command: str, tried: str | None = None, value: str = "") -> list[str]:
    """A command line with `value` for the option `tried`, and what is usual for the others."""
    given = dict(GIVEN[command])
    head = []
    if command == "study":
        head = ["faithful" if tried == "model" else "bottleneck"]
        if tried in ("model", "dev", "test"):
            given |= {"test": "p.tsv"} if tried == "model" else {"pairs": "p.tsv"}
    if tried is not None:
        given[tried] = f"{value},{value}" if (command, tried) == ("average", "models") else value
    if tried == "teacher_sources":
        given["teacher"] = "model"
    flags = {name: flag for (of, name), (flag, _) in PATHS.items() if of == command}
    more = MORE.get(command, [])
    if tried == "from_":  # sizes are those of the model to start from
        more = [word for word in more if not word.startswith(("--hidden", "--embedding", "--readout-size"))]
    line = [command, *head, *(given[n] for n in flags if flags[n] is None and n in given), *more]
    for name, flag in flags.items():
        if flag is not None and name in given:
            line += [flag, given[name]]
    return line


def digest(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[os.fspath(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def check(
    line: list[str],
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    replaced: str = "",
    trouble: AbstractContextManager[object] | None = None,
) -> int:
    """Runs the command, in trouble; what must hold whatever happens. `replaced`: what a success may have written over."""
    before = digest(folder)
    capsys.readouterr()
    with trouble or nullcontext():
        status = cli.main(line)
    err = capsys.readouterr().err
    told = [row for row in err.splitlines() if row.startswith("jumok: ")]
    assert (status, len(told)) in ((0, 0), (2, 1)), (line, status, err)
    assert "Traceback" not in err
    after = digest(folder)
    may_change = {replaced} if status == 0 else set()
    lost = [name for name, sum_ in before.items() if after.get(name) != sum_ and name not in may_change]
    assert lost == [], (line, err)
    assert [name for name in after if "/." in f"/{name}"] == [], (line, err)
    return status


READ = [key for key, (_, place) in PATHS.items() if not place.written]
WRITTEN = [key for key, (_, place) in PATHS.items() if place.written]
WITHOUT_PACKAGE = {("train", "tensorboard")}  # tried in test_board


def ids(keys: list[tuple[str, str]]) -> list[str]:
    return [f"{command}-{name}" for command, name in keys]


def test_every_text_option_is_a_path_or_known_to_be_none() -> None:
    for command, (kind, _) in cli.COMMANDS.items():
        for name, _, place in fields(kind):
            hint = _hints(kind).get(name)
            if place is None and hint in (str, tuple[str, ...]):
                assert name in TEXTS, f"{command} {name}: give it a type of jumok.places, or add it to TEXTS"


def _hints(cls: type) -> dict[str, object]:
    found = {}
    for name, hint in typing.get_type_hints(cls).items():
        found |= _hints(hint) if isinstance(hint, type) and dataclasses.is_dataclass(hint) else {name: hint}
    return found


def test_the_usual_command_lines_succeed(
    here: Path, capsys: pytest.CaptureFixture[str], quickstart_trains_nothing: None
) -> None:
    for command in cli.COMMANDS:
        if command != "train":
            assert check(arguments(command), capsys, here) == 0, command


@pytest.mark.usefixtures("quickstart_trains_nothing")
class TestQuickstart:
    """Its training is long, and is no part of it."""

    @pytest.mark.parametrize("trouble", ["a file", "read-only", "full", "not UTF-8"])
    def test_out(self, here: Path, capsys: pytest.CaptureFixture[str], trouble: str) -> None:
        written(("quickstart", "out"), trouble, here, capsys)


@pytest.mark.parametrize("trouble", ["missing", "wrong kind", "denied", "failing", "vanished", "not UTF-8", "name not UTF-8"])
@pytest.mark.parametrize("key", READ, ids=ids(READ))
def test_what_is_read(
    key: tuple[str, str], trouble: str, here: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    command, name = key
    if command == "quickstart":
        request.getfixturevalue("quickstart_trains_nothing")
    _, place = PATHS[key]
    usual = {"dev": "d.tsv", "reverse_model": "reverse", "lists": "nbest.jsonl"}.get(name, NAMES[place.kind])
    if place.listed:
        usual = "list.txt"
    path = here / usual
    if trouble == "missing":
        assert check(arguments(command, name, "absent"), capsys, here) == 2
    elif trouble == "wrong kind":
        wrong = "lines.txt" if place.kind == "model" else "model"
        assert check(arguments(command, name, wrong), capsys, here) == 2
    elif trouble in ("denied", "failing"):
        number = errno.EACCES if trouble == "denied" else errno.EIO
        target = path / CONFIG if path.is_dir() else path
        refused = refusing(target, lambda: OSError(number, os.strerror(number)), ("read",))
        assert check(arguments(command, name, usual), capsys, here, trouble=refused) == 2
    elif trouble == "vanished":
        check(arguments(command, name, usual), capsys, here / "home", trouble=vanishing(path))
    elif trouble == "not UTF-8":
        target = path / CONFIG if path.is_dir() else path
        target.write_bytes(b"\xff\xfe\xe9" + target.read_bytes())
        check(arguments(command, name, usual), capsys, here)
    else:
        other = os.fsdecode(b"caf\xe9." + os.fsencode(usual))
        path.rename(here / other)
        if usual in ("model", "p.tsv"):
            (shutil.copytree if usual == "model" else shutil.copy)(here / other, path)
        assert check(arguments(command, name, other), capsys, here) == 0


@contextmanager
def vanishing(path: Path, when: Path | None = None) -> Iterator[None]:
    """After `when` (by itself: the path) was opened, or a file in it, for the first time, the path is gone."""
    really, watched = builtins.open, when or path
    with pytest.MonkeyPatch.context() as patch:

        def opened(file: typing.Any, *more: typing.Any, **options: typing.Any) -> typing.Any:
            found = really(file, *more, **options)
            if not isinstance(file, int) and Path(os.path.abspath(file)).is_relative_to(watched):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            return found

        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)
        yield


def written(key: tuple[str, str], trouble: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, name = key
    _, place = PATHS[key]
    usual = {"tree": "made.json"}.get(name, NAMES[place.kind])
    path = here / usual
    file = place.kind == "file"
    if trouble == "no parent":
        assert check(arguments(command, name, f"absent/{usual}"), capsys, here) == (2 if file else 0)
    elif trouble == "a folder":
        (path / "x").mkdir(parents=True)
        (path / "x" / "mine").write_text("precious")
        assert check(arguments(command, name, usual), capsys, here) == 2
    elif trouble == "a file":
        path.write_text("precious")
        assert check(arguments(command, name, usual), capsys, here, usual if file else "") == (0 if file else 2)
    elif trouble == "below a file":
        assert check(arguments(command, name, f"p.tsv/{usual}"), capsys, here) == 2
    elif trouble in ("read-only", "full"):
        number = errno.EROFS if trouble == "read-only" else errno.ENOSPC
        calls = ("create", "mkdir", "replace", "rename") if trouble == "read-only" else ("write",)
        if file:
            path.write_text("precious")
        refused = refusing(path, lambda: OSError(number, os.strerror(number)), calls)
        assert check(arguments(command, name, usual), capsys, here, trouble=refused) == 2
    elif trouble == "a device that is full":
        link = here / f"full{Path(usual).suffix}"
        value = "/dev/full" if command != "explain" else str(link)
        if command == "explain":
            link.symlink_to("/dev/full")
        assert check(arguments(command, name, value), capsys, here) == 2
    elif trouble == "not UTF-8":
        value = os.fsdecode(b"caf\xe9.") + usual
        assert check(arguments(command, name, value), capsys, here) == 0 and os.path.lexists(value)
    elif trouble == "vanished":  # the folder that it is to be in, when the work begins
        (here / "place").mkdir()
        work = here / ("model" if (command, "model") in PATHS and command != "study" else "p.tsv")
        check(arguments(command, name, f"place/{usual}"), capsys, here, trouble=vanishing(here / "place", work))
    elif trouble == "home":
        assert check(arguments(command, name, f"~/{usual}"), capsys, here) == 0
        assert (here / "home" / usual).exists() and not (here / "~").exists()
    elif trouble == "nobody's home":
        assert check(arguments(command, name, f"~nobody-of-that-name/{usual}"), capsys, here) == 2
        assert not (here / "~nobody-of-that-name").exists()


TROUBLES = [
    "no parent",
    "a folder",
    "a file",
    "below a file",
    "read-only",
    "full",
    "vanished",
    "not UTF-8",
    "home",
    "nobody's home",
]
OTHERS = [key for key in WRITTEN if key not in WITHOUT_PACKAGE and key[0] != "quickstart"]


@pytest.mark.parametrize("trouble", [*TROUBLES, "a device that is full"])
@pytest.mark.parametrize("key", OTHERS, ids=ids(OTHERS))
def test_what_is_written(key: tuple[str, str], trouble: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if trouble.startswith("a device") and PATHS[key][1].kind != "file":
        pytest.skip("a folder is no device")
    written(key, trouble, here, capsys)


@pytest.mark.parametrize("stream", ["closed", "full", "gone", "stderr closed", "stderr full"])
@pytest.mark.parametrize("command", cli.COMMANDS)
def test_standard_output(
    command: str, stream: str, here: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    if command == "quickstart":
        request.getfixturevalue("quickstart_trains_nothing")
    monkeypatch = request.getfixturevalue("monkeypatch")
    line, before = arguments(command), digest(here)

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    json = ["--json"] if "json" in {name for name, *_ in fields(cli.COMMANDS[command][0])} else []
    found = set()
    for more in ([], json):
        with open("/dev/full", "w") as full:
            wanted = {"closed": None, "full": full, "gone": Gone(), "stderr closed": None, "stderr full": full}[stream]
            monkeypatch.setattr(sys, "stderr" if "stderr" in stream else "stdout", wanted)
            if not found or more:
                found.add(cli.main([*line, *more]))
    (status,) = found
    assert status == (0 if "stderr" in stream or stream == "gone" or command == "train" else 2)
    if status == 2:
        assert capsys.readouterr().err.splitlines()[-1].startswith("jumok: standard output: cannot be written")
    after = digest(here)
    assert {name: after[name] for name in before} == before


STREAMED = [key for key in READ if PATHS[key][1].streams]


@pytest.mark.parametrize("key", STREAMED, ids=ids(STREAMED))
def test_standard_input_that_is_closed(
    key: tuple[str, str], here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert check(arguments(*key, "-"), capsys, here) == 2


def test_config_has_no_text_that_is_forgotten() -> None:
    assert {name for name, _, place in fields(config.TrainConfig) if place} == {
        *("pairs", "dev", "out", "cache", "from_", "source_embeddings", "target_embeddings", "teacher"),
        "teacher_sources",
    }
