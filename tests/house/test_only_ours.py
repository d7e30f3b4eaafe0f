"""What is not Jumok's own is never replaced or lost: in a model folder at any kill, and as an input named as an output."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import Death, faulty
from toy_run import SHORT, TINY, die_at, listen, write_pairs

import jumok
from jumok import disk, quickstart
from jumok.cli import main
from jumok.corpus.prepare import Wanted, prepare
from jumok.errors import ConfigError, DataError, FolderError, JumokError
from jumok.runtime.folder import OWN

ONE_STEP = {"steps": 1, "evaluate_every": 1, **TINY}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv")


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with things of the user's in it; copy it."""
    out = tmp_path_factory.mktemp("model") / "m"
    jumok.train(data, out=out, **ONE_STEP)
    put_mine(out, data)
    return out


def put_mine(out: Path, data: Path) -> None:
    shutil.copy(data, out / "pairs.tsv")
    (out / "notes.txt").write_text("mine")
    (out / ".hidden").write_text("mine")
    (out / "sub" / "deep").mkdir(parents=True)
    (out / "sub" / "deep" / "file").write_text("deep")
    (out / "outside").symlink_to("../elsewhere")
    (out / "dangling").symlink_to("nowhere")
    (out / "history.json.d").mkdir()


def mine_is_whole(out: Path, data: Path) -> bool:
    return (
        (out / "pairs.tsv").read_bytes() == data.read_bytes()
        and {(out / name).read_text() for name in ("notes.txt", ".hidden")} == {"mine"}
        and (out / "sub" / "deep" / "file").read_text() == "deep"
        and [os.readlink(out / name) for name in ("outside", "dangling")] == ["../elsewhere", "nowhere"]
        and (out / "history.json.d").is_dir()
    )


def test_overwriting_leaves_what_is_the_users_and_says_so(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = listen(monkeypatch)
    out = Path(shutil.copytree(model, tmp_path / "m", symlinks=True))
    (out / "profile.json").write_text("{}")  # of the old training
    jumok.train(out / "pairs.tsv", out=out, overwrite=True, **SHORT)  # more than one model, and checkpoints
    assert mine_is_whole(out, data) and not (out / "profile.json").exists()
    assert jumok.load(out).config.training["learn"]["steps"] == 8
    line = "only the training's own files are replaced; what else is there stays: .hidden, dangling, history.json.d, notes.txt, outside and 2 more"
    assert said[0] == f"{out}: {line}"
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("swaps", [True, False])
def test_death_at_any_call_loses_nothing_of_the_users(tmp_path: Path, data: Path, swaps: bool, links: bool) -> None:
    """On disks that swap names or not, that have second names for a file or not."""

    def none(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    for n in range(1, 100):
        path = tmp_path / str(n) / "m"
        path.mkdir(parents=True)
        (path / "config.json").write_text("old")
        put_mine(path, data)
        new = disk.beside(path, "new")
        new.mkdir()
        (new / "config.json").write_text("new")
        with pytest.MonkeyPatch.context() as m:
            if not links:
                m.setattr(os, "link", none)
            with faulty(n, swaps=swaps) as system, contextlib.suppress(Death):
                disk.put_folder(new, path, OWN)
        disk.bring_back(path)
        disk.sweep(path, OWN)
        assert mine_is_whole(path, data) and (path / "config.json").read_text() in ("old", "new"), n
        assert [p.name for p in path.parent.iterdir()] == ["m"]
        if not system.failed:
            break
    assert n > 8 and (path / "config.json").read_text() == "new"


def test_a_disk_that_fails_while_the_users_things_move_puts_them_back(tmp_path: Path, data: Path) -> None:
    for n in range(1, 20):
        path = tmp_path / str(n) / "m"
        path.mkdir(parents=True)
        put_mine(path, data)
        new = disk.beside(path, "new")
        new.mkdir()
        with faulty(n, lambda: OSError(28, "full"), lasting=False, swaps=False, only=("rename",)) as system:
            try:
                disk.put_folder(new, path, OWN)
            except OSError:
                assert system.failed
        assert mine_is_whole(path, data)
        if not system.failed:
            break
    assert n > 4


def test_what_a_killed_writer_left_is_kept_where_it_cannot_go_back(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.mkdir()
    (path / "notes.txt").write_text("newer")
    left = disk.beside(path, "old")
    left.mkdir()
    (left / "notes.txt").write_text("older")
    (left / "config.json").write_text("old")
    disk.sweep(path, OWN)
    assert (path / "notes.txt").read_text() == "newer" and (left / "notes.txt").read_text() == "older"


def test_what_the_user_puts_there_while_a_training_goes_on_stays(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"

    def observe(step: int, _: Any) -> None:
        (out / f"note {step}").write_text("mine")

    jumok.train(data, out=out, cache=out / "cache", observe=observe, **SHORT)
    assert {p.name for p in out.iterdir()} - {*OWN} == {"note 0", "note 4", "note 8", "cache"}


def test_a_cache_inside_out_is_no_obstacle_and_a_stranger_s_folder_is(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    out = tmp_path / "m"
    with monkeypatch.context() as m:
        die_at(m, 1)
        with pytest.raises(Death):
            jumok.train(data, out=out, cache=out / "cache", **SHORT)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(FolderError, match="an unfinished training is there"):
        jumok.train(data, out=out, cache=out / "cache", **SHORT)
    jumok.train(data, out=out, cache=out / "cache", resume=True, **SHORT)
    assert (out / "notes.txt").read_text() == "mine" and (out / "cache" / "corpus.json").exists()


@pytest.mark.parametrize("options", [{"cache": "m"}, {"tensorboard": "./m"}])
def test_two_places_that_are_one_are_refused(data: Path, tmp_path: Path, options: dict[str, Any], monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jumok.learn.run.Board", lambda folder: None)
    with pytest.raises(ConfigError, match="and --out are one folder"):
        jumok.train(data, out="m", **options, **ONE_STEP)


def test_pairs_under_one_of_jumoks_own_names_are_refused(model: Path, data: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(model, tmp_path / "m", symlinks=True))
    shutil.copy(data, out / "README.md")
    with pytest.raises(ConfigError, match=r"README\.md: training reads this file, and would write over it"):
        jumok.train(out / "README.md", out=out, overwrite=True, **ONE_STEP)


# --- outputs that are inputs


def linked(path: Path) -> Path:
    path.with_name("link.json").symlink_to(path)
    return path.with_name("link.json")


OUTPUTS: dict[str, Callable[[Path, Path], list[Any]]] = {
    "align over its pairs": lambda m, p: ["align", m, p, "--out", p],
    "align over its gold": lambda m, p: ["align", m, p, "--gold", p.with_name("gold.tsv"), "--out", p.with_name("gold.tsv")],
    "align over a link to its pairs": lambda m, p: ["align", m, p, "--out", linked(p)],
    "align over one of two files": lambda m, p: ["align", m, f"{p.with_name('gold.tsv')},{p}", "--out", p],
    "align over a model": lambda m, p: ["align", m, p, "--out", m / "history.json"],
    "evaluate over its test": lambda m, p: ["evaluate", m, p, "--outputs", os.path.relpath(p)],
    "evaluate over a model": lambda m, p: ["evaluate", m, p, "--outputs", m / "source.json"],
    "explain over a model": lambda m, p: ["explain", m, "ab", "--out", m / "config.json"],
    "explain over a link to a model": lambda m, p: ["explain", m, "ab", "--out", linked(m / "config.json")],
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_an_output_that_would_destroy_an_input_is_refused(
    case: str, model: Path, data: Path, tmp_path: Path, capsys: Any
) -> None:
    folder, pairs = shutil.copytree(model, tmp_path / "m", symlinks=True), Path(shutil.copy(data, tmp_path / "pairs.tsv"))
    shutil.copy(data, tmp_path / "gold.tsv")
    arguments = [str(a) for a in OUTPUTS[case](Path(folder), pairs)]
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "would destroy it; give another name" in err
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_other_files_may_be_written_again_and_beside_a_model(model: Path, tmp_path: Path, capsys: Any) -> None:
    folder = shutil.copytree(model, tmp_path / "m", symlinks=True)
    for _ in range(2):
        assert main(["explain", str(folder), "ab", "--out", str(Path(folder) / "picture.svg")]) == 0
        assert main(["evaluate", str(folder), str(Path(folder) / "pairs.tsv"), "--outputs", str(tmp_path / "o.tsv")]) == 0


# --- other folders


def test_the_quickstart_leaves_a_stranger_s_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quickstart, "dictionary", lambda: {f"word{i}": [f"W {i}"] for i in range(100)})

    def stop(*_: Any, **__: Any) -> None:
        raise JumokError("far enough")

    monkeypatch.setattr("jumok.learn.train", stop)
    for name in ("train.tsv", "model", "attention.svg"):
        place = tmp_path / name / "out"
        place.mkdir(parents=True)
        (place / name).write_text("mine")
        with pytest.raises(ConfigError, match=rf"not a quickstart's \({name}\), and stays"):
            quickstart.run(str(place), 1)
        assert [p.name for p in place.iterdir()] == [name] and (place / name).read_text() == "mine"
    place = tmp_path / "place"
    place.mkdir()
    (place / "thesis.txt").write_text("mine")
    for _ in range(2):
        with pytest.raises(JumokError, match="far enough"):
            quickstart.run(str(place), 1)
        (place / "quickstart.json").unlink()  # as one from before it was written down
        (place / "model").mkdir(exist_ok=True)
    assert {p.name for p in place.iterdir()} == {"train.tsv", "dev.tsv", "test.tsv", "model", "thesis.txt"}


@pytest.mark.parametrize(
    "names", [["building/church.jpg"], ["corpus.json"], ["lock", "source.json"], ["corpus.json", "building/a"]]
)
def test_a_cache_folder_with_a_stranger_s_files_is_refused(data: Path, tmp_path: Path, names: list[str]) -> None:
    for name in names:
        path = tmp_path / "c" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    with pytest.raises(DataError, match="there is something else here"):
        prepare(
            tmp_path / "c", Wanted(str(data), jumok.learn.start.TrainConfig().text, None, 1), print, shown=False, processes=1
        )
    assert {(tmp_path / "c" / name).read_text() for name in names} == {"mine"}


def test_pairs_in_the_cache_folder_are_not_written_over(data: Path, tmp_path: Path) -> None:
    wanted = Wanted(str(data), jumok.learn.start.TrainConfig().text, None, 1)
    prepare(tmp_path / "c", wanted, print, shown=False, processes=1)
    shutil.copy(data, tmp_path / "c" / "notes.txt")
    with pytest.raises(DataError, match=r"dev\.jsonl: the tokenised pairs would be written over it"):
        prepare(tmp_path / "c", Wanted(str(tmp_path / "c" / "dev.jsonl"), wanted.text, None, 1), print, shown=False)
    prepare(tmp_path / "c", Wanted(str(data), wanted.text, None, 2), print, shown=False, processes=1)
    assert (tmp_path / "c" / "notes.txt").read_bytes() == data.read_bytes() and not (tmp_path / "c" / "lock").exists()


def test_a_study_does_not_read_what_it_writes(data: Path, tmp_path: Path) -> None:
    (tmp_path / "s" / "data").mkdir(parents=True)
    shutil.copy(data, tmp_path / "s" / "data" / "train.jsonl")
    with pytest.raises(ConfigError, match=r"is a part of the study in .*, which writes over it"):
        jumok.study("gradients", tmp_path / "s" / "data" / "train.jsonl", out=tmp_path / "s", quiet=True)
