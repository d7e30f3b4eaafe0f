"""Whose a model folder is and how far its training came: read from its record, never guessed; options given with --resume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from clockwork import dev_gets_worse
from faulty_disk import Death
from toy_run import SHORT, TINY, die_at, listen, remains, write_pairs

import jumok
from jumok.errors import FolderError, JumokError, TrainingError
from jumok.learn import checkpoint, run
from jumok.learn.checkpoint import NEWEST, has_checkpoint, read_checkpoint, write_checkpoint
from jumok.learn.folder import Folder
from jumok.runtime.record import RECORD, Record, read_record


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return listen(monkeypatch)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training's folder; copy it, do not write to it."""
    out = tmp_path_factory.mktemp("whole") / "model"
    jumok.train(data, out=out, **SHORT)
    return out


def record(out: Path) -> Record:
    found = read_record(out)
    assert found is not None
    return found


def stopped_at(step: int, data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Path:
    with monkeypatch.context() as m:
        die_at(m, step)
        with pytest.raises(Death):
            jumok.train(data, out=out, **SHORT | options)
    return out


# --- finished is what the record says


def test_the_record_tells_run_state_and_steps(data: Path, whole: Path, tmp_path: Path, monkeypatch: Any) -> None:
    done = record(whole)
    assert (done.state, done.step, done.steps) == ("finished", 8, 8) and done.asked["hidden"] == 8 and "pairs" not in done.asked
    out = stopped_at(7, data, tmp_path / "model", monkeypatch)
    killed = record(out)
    assert (killed.state, killed.step, killed.steps) == ("running", 6, 8) and killed.run != done.run
    jumok.train(out=out, resume=True, quiet=True)
    assert record(out).run == killed.run and record(out).sitting != killed.sitting


@pytest.mark.parametrize("error", [Death, lambda: TrainingError("the disk is full")])
def test_a_first_model_without_a_checkpoint_is_no_finished_training(
    error: Any, data: Path, whole: Path, tmp_path: Path, monkeypatch: Any, said: list[str]
) -> None:
    """A full disk, or a kill, between the two: --resume trains anew, to the end, and says why."""

    def fail(*_: Any, **__: Any) -> None:
        raise error()

    out = tmp_path / "model"
    with monkeypatch.context() as m:
        m.setattr("jumok.learn.folder.write_checkpoint", fail)
        with pytest.raises((Death, TrainingError)):
            jumok.train(data, out=out, **SHORT | {"save_every": 0})
    assert (out / "config.json").exists() and not has_checkpoint(out)
    with pytest.raises(TrainingError, match="name the training pairs to begin anew"):
        jumok.train(out=out, resume=True, quiet=True)
    said.clear()
    jumok.train(data, out=out, resume=True, **SHORT)
    assert (
        said[0] == f"{out}: training was not finished (step 4 of 8), but there is no checkpoint to go on from: it begins anew"
    )
    assert not any("is finished" in line for line in said) and record(out).state == "finished"
    assert remains(out)["model.safetensors"] == remains(whole)["model.safetensors"]


def test_patience_finishes_a_training(data: Path, tmp_path: Path, monkeypatch: Any, said: list[str]) -> None:
    options = {"steps": 100, "evaluate_every": 1, "patience": 2, "metric": "accuracy", **TINY}
    dev_gets_worse(monkeypatch)
    jumok.train(data, out=tmp_path / "m", **options)
    jumok.train(data, out=tmp_path / "m", resume=True, **options)
    assert "training is finished" in said[-1] and "of 100, stopped early by patience" in said[-1]


def test_killed_after_the_record_said_finished_it_is(data: Path, tmp_path: Path, monkeypatch: Any, said: list[str]) -> None:
    def die(_: Path) -> None:
        raise Death

    out = tmp_path / "m"
    with monkeypatch.context() as m:
        m.setattr(run, "remove_checkpoint", die)
        with pytest.raises(Death):
            jumok.train(data, out=out, **SHORT)
    assert has_checkpoint(out)
    (out / "history.json").unlink()  # which may be deleted
    jumok.train(data, out=out, resume=True, **SHORT)
    assert "training is finished" in said[-1] and not has_checkpoint(out)


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "source.json", "target.json"])
def test_a_finished_training_without_its_model_is_an_error(
    name: str, recorded: bool, whole: Path, data: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "m"))
    if not recorded:
        (out / RECORD).unlink()
        if name == "config.json":
            return  # then nothing says that it is finished
    for damage in (Path.unlink, lambda path: path.write_bytes(b"\xff\xfe{broken")):
        damage(out / name)
        with pytest.raises(TrainingError, match=r"is finished, as .* says, but the model is not there"):
            jumok.train(data, out=out, resume=True, **SHORT)


@pytest.mark.parametrize("name", ["model.safetensors", "training.json", "history.json", "config.json"])
def test_a_folder_in_the_place_of_a_file_is_said_before_training(name: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "m" / name).mkdir(parents=True)
    with pytest.raises(FolderError, match=rf"{name}: this is a folder, where a file of Jumok's has its place"):
        jumok.train(tmp_path / "never read", out=tmp_path / "m", overwrite=True, **SHORT)


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 1, "run": "x"}', '{"format": 2}'])
def test_a_damaged_record_is_one_line_and_overwriting_mends_it(damage: str, whole: Path, data: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "place" / "model"))
    (out / RECORD).write_text(damage)
    jumok.load(out).translate("ab")  # which does not read it
    with pytest.raises(FolderError, match=r"training\.json: (not|format 2)") as caught:
        jumok.train(data, out=out, resume=True, **SHORT)
    assert "\n" not in str(caught.value)
    jumok.train(data, out=out, overwrite=True, **SHORT)
    assert remains(out) == remains(whole)


def test_an_overwriting_run_killed_before_its_first_model_is_not_the_old_one(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: Any, said: list[str]
) -> None:
    out = tmp_path / "place" / "model"
    jumok.train(data, out=out, **SHORT | {"seed": 7})
    stopped_at(1, data, out, monkeypatch, overwrite=True)
    said.clear()
    jumok.train(data, out=out, resume=True, **SHORT)
    assert not any("is finished" in line for line in said) and remains(out) == remains(whole)


def test_a_run_that_fails_at_its_start_leaves_the_old_record(data: Path, whole: Path, tmp_path: Path, monkeypatch: Any) -> None:
    def fail(*_: Any) -> None:
        raise TrainingError("no")

    monkeypatch.setattr(Folder, "keep", fail)
    out = Path(shutil.copytree(whole, tmp_path / "m"))
    for place in (out, tmp_path / "new"):
        with pytest.raises(TrainingError, match="no"):
            jumok.train(data, out=place, overwrite=True, **SHORT | {"save_every": 0})
    assert record(out) == record(whole) and not (tmp_path / "new").exists()


def test_what_was_only_begun_is_no_obstacle(data: Path, whole: Path, tmp_path: Path, monkeypatch: Any) -> None:
    out = stopped_at(1, data, tmp_path / "m", monkeypatch)
    assert [p.name for p in out.iterdir()] == [RECORD]
    jumok.train(data, out=out, **SHORT)
    assert remains(out)["model.safetensors"] == remains(whole)["model.safetensors"]


def test_a_checkpoint_of_another_run_is_not_gone_on_from(data: Path, whole: Path, tmp_path: Path, monkeypatch: Any) -> None:
    other = stopped_at(7, data, tmp_path / "other", monkeypatch)
    out = stopped_at(7, data, tmp_path / "m", monkeypatch)
    shutil.copy(other / NEWEST, out / NEWEST)
    with pytest.raises(TrainingError, match=r"the checkpoint is of another run .* delete what is not wanted, or .*--overwrite"):
        jumok.train(data, out=out, resume=True, **SHORT)


# --- folders from before there were records


def test_without_a_record_a_history_that_is_complete_is_finished(
    whole: Path, data: Path, tmp_path: Path, said: list[str]
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "m"))
    (out / RECORD).unlink()
    jumok.load(out).translate("ab")
    jumok.train(data, out=out, resume=True, **SHORT)
    assert "training is finished" in said[-1] and "as its history says" in said[-1]


def test_without_a_record_what_cannot_be_known_is_said_and_nothing_is_lost(whole: Path, data: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "m"))
    (out / RECORD).unlink()
    history = json.loads((out / "history.json").read_text())
    (out / "history.json").write_text(json.dumps(history[:1]))
    before = remains_of(out)
    with pytest.raises(TrainingError, match=r"a model of step 4 of 8 is there, .*no checkpoint, and no training\.json"):
        jumok.train(data, out=out, resume=True, **SHORT)
    (out / "history.json").unlink()
    with pytest.raises(FolderError, match="a model folder is there already"):
        jumok.train(data, out=out, resume=True, **SHORT)
    assert remains_of(out) == {k: v for k, v in before.items() if k != "history.json"}


def remains_of(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in out.iterdir()}


def test_a_checkpoint_from_before_is_gone_on_from_again_and_again(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    out = stopped_at(4, data, tmp_path / "m", monkeypatch)
    found = read_checkpoint(out, print)
    assert found is not None
    facts = {k: v for k, v in found[1].items() if k not in ("run", "given", "format")}
    write_checkpoint(out, {k: t.clone() for k, t in found[0].items()}, facts)
    (out / checkpoint.BEFORE).unlink()
    (out / RECORD).unlink()
    with monkeypatch.context() as m:
        die_at(m, 5)
        with pytest.raises(Death):
            jumok.train(out=out, resume=True, quiet=True)
    assert record(out).state == "running"
    jumok.train(out=out, resume=True, quiet=True)
    assert remains(out)["model.safetensors"] == remains(whole)["model.safetensors"]


# --- options given with --resume


def told(said: list[str]) -> list[str]:
    return [line for line in said if "not used" in line]


def test_options_that_are_not_used_are_named(data: Path, tmp_path: Path, monkeypatch: Any, said: list[str]) -> None:
    out = stopped_at(5, data, tmp_path / "m", monkeypatch)
    with monkeypatch.context() as m:
        die_at(m, 6)
        with pytest.raises(Death):
            jumok.train(data, out=out, resume=True, **SHORT)
    assert told(said) == []  # the same again
    other = {"steps": 60, "learning_rate": 1e-5, "attention": "dot", "bidirectional": False, "save_every": 1, "threads": 1}
    done = jumok.train(data, out=out, resume=True, **SHORT | other)
    assert told(said) == [
        "warning: not used, the checkpoint says otherwise: bidirectional off (on), steps 60 (8), learning_rate 1e-05 (0.01)"
    ]
    assert done.config.learn.steps == 8 and done.config.learn.save_every == 1
    said.clear()
    jumok.train(data, out=out, resume=True, **SHORT | {"dropout": 0.5})
    assert told(said) == ["warning: not used, the model was trained with other options: dropout 0.5 (0.2)"]


def test_a_default_that_is_given_counts_and_a_length_stands_for_another(
    data: Path, tmp_path: Path, monkeypatch: Any, said: list[str]
) -> None:
    out = stopped_at(5, data, tmp_path / "m", monkeypatch, attention="general")
    jumok.train(data, out=out, resume=True, attention="dot", minutes=3, quiet=True)
    assert told(said) == ["warning: not used, the checkpoint says otherwise: attention dot (general), minutes 3 (8 steps)"]


def test_pairs_that_are_elsewhere_are_asked_for(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    shutil.copy(data, tmp_path / "here.tsv")
    monkeypatch.chdir(tmp_path)
    out = stopped_at(5, Path("here.tsv"), tmp_path / "m", monkeypatch)
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")
    with pytest.raises(JumokError, match=r"here\.tsv: there is no such file here; .*give PAIRS again with --resume"):
        jumok.train(out="../m", resume=True, quiet=True)
    jumok.train("../here.tsv", out="../m", resume=True, quiet=True)
    assert record(out).state == "finished"
