"""Training that dies, at any moment, and goes on: what is left at the end is what an undisturbed run leaves, bit for bit."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from clockwork import dev_gets_worse
from faulty_disk import Death, faulty
from toy_run import SHORT, TINY, die_at, listen, remains, write_pairs

import jumok
from jumok.errors import FolderError, TrainingError
from jumok.learn import loop as loops
from jumok.learn import machine as machines
from jumok.learn.checkpoint import BEFORE, NEWEST, has_checkpoint
from jumok.learn.folder import Folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return listen(monkeypatch)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("whole") / "model"
    done = jumok.train(data, out=out, **SHORT)
    assert [e["best"] for e in done.history] == [True, True]  # both ways of writing a model are met
    return remains(out)


@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("old", [False, True])
def test_death_at_any_rename(data: Path, tmp_path: Path, whole: dict[str, Any], swaps: bool, old: bool) -> None:
    """With and without an older model to be replaced, on systems that swap names and on those that do not."""
    seen: set[tuple[bool, bool]] = set()
    if old:
        jumok.train(data, out=tmp_path / "old" / "model", steps=1, evaluate_every=1, seed=7, **TINY)
    for n in range(1, 100):
        out = tmp_path / str(n) / "model"
        if old:
            shutil.copytree(tmp_path / "old", out.parent)
        with faulty(n, swaps=swaps, only=("replace", "rename", "swap")) as system:
            try:
                jumok.train(data, out=out, overwrite=old, **SHORT)
            except Death:
                assert system.failed
        if not system.failed:
            break
        seen.add(((out / "config.json").exists(), has_checkpoint(out)))
        if old and swaps:
            jumok.load(out).translate("ab")
        jumok.train(data, out=out, resume=True, overwrite=old, **SHORT)
        assert remains(out) == whole, n
    assert n > 10 and remains(out) == whole
    assert (True, True) in seen and (old or (False, True) in seen)


@pytest.mark.parametrize("step", range(1, 8))
def test_death_at_any_step(data: Path, tmp_path: Path, whole: dict[str, Any], step: int, monkeypatch: Any) -> None:
    out = tmp_path / "model"
    with monkeypatch.context() as m:
        die_at(m, step)
        with pytest.raises(Death):
            jumok.train(data, out=out, **SHORT)
    assert has_checkpoint(out) == (step >= 3)
    jumok.train(data, out=out, resume=True, **SHORT)
    assert remains(out) == whole


def test_before_the_first_model_a_checkpoint_stands_alone(data: Path, tmp_path: Path, whole: Any, monkeypatch: Any) -> None:
    out = tmp_path / "model"
    with monkeypatch.context() as m:
        die_at(m, 3)
        with pytest.raises(Death):
            jumok.train(data, out=out, **SHORT)
    assert sorted(p.name for p in out.iterdir()) == [NEWEST, "training.json"]
    with pytest.raises(FolderError, match="no model yet: a training was interrupted before its first one; --resume"):
        jumok.load(out)
    with pytest.raises(FolderError, match=r"an unfinished training is there.*--resume.*--overwrite"):
        jumok.train(data, out=out, **SHORT)
    jumok.train(out=out, resume=True, quiet=True)  # all it needs to know is in the checkpoint
    assert remains(out) == whole


def test_an_unfinished_training_is_overwritten_from_its_start(data: Path, tmp_path: Path, whole: Any, monkeypatch: Any) -> None:
    """Killed before its own first checkpoint, the new run must not be taken for the old one."""
    out = tmp_path / "model"
    with monkeypatch.context() as m:
        die_at(m, 6)
        with pytest.raises(Death):
            jumok.train(data, out=out, seed=7, **SHORT)
    with monkeypatch.context() as m:
        die_at(m, 1)
        with pytest.raises(Death):
            jumok.train(data, out=out, overwrite=True, **SHORT)
    assert not has_checkpoint(out)
    jumok.load(out).translate("ab")  # the old run's
    jumok.train(data, out=out, resume=True, overwrite=True, **SHORT)
    assert remains(out) == whole


def test_checkpoints_by_time(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    for minutes, there in ((1e-6, True), (0.0, False), (100.0, False)):
        out = tmp_path / f"{minutes}"
        with monkeypatch.context() as m:
            die_at(m, 2)
            with pytest.raises(Death):
                jumok.train(data, out=out, steps=4, evaluate_every=4, save_minutes=minutes, **TINY)
        assert has_checkpoint(out) == there
    facts = jumok.train(out=tmp_path / "1e-06", resume=True, quiet=True)
    assert facts.history[-1]["step"] == 4


def test_nothing_to_resume(data: Path, tmp_path: Path, whole: Any, said: list[str]) -> None:
    out = tmp_path / "there" / "model"
    with pytest.raises(TrainingError, match="no checkpoint to resume from; name the training pairs"):
        jumok.train(out=out, resume=True, quiet=True)
    jumok.train(data, out=out, resume=True, **SHORT)
    assert said[0] == f"nothing to resume in {out}: training begins anew"
    assert remains(out) == whole
    before = {p: p.stat().st_mtime_ns for p in out.iterdir()}
    done = jumok.train(data, out=out, resume=True, **SHORT)
    assert "training is finished, there is nothing to resume" in said[-1]
    assert {p: p.stat().st_mtime_ns for p in out.iterdir()} == before
    best = min(done.history, key=lambda e: e["loss"])
    assert (done.best, done.best_step) == (best["loss"], best["step"]) and done.config.learn.steps == 8


def test_a_model_without_its_training_is_not_taken_for_a_finished_one(data: Path, tmp_path: Path, model_folder: Path) -> None:
    shutil.copytree(model_folder, tmp_path / "model")
    with pytest.raises(FolderError, match="a model folder is there already"):
        jumok.train(data, out=tmp_path / "model", resume=True, **SHORT)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    data: Path, tmp_path: Path, whole: Any, monkeypatch: Any, said: list[str]
) -> None:
    out = tmp_path / "model"
    with monkeypatch.context() as m:
        die_at(m, 7)
        with pytest.raises(Death):
            jumok.train(data, out=out, **SHORT)
    broken = bytearray((out / NEWEST).read_bytes())
    broken[len(broken) // 2] ^= 4
    (out / NEWEST).write_bytes(broken)
    said.clear()
    jumok.train(data, out=out, resume=True, quiet=True)
    assert "checksum does not fit" in said[0] and BEFORE in said[1] and "resumed at step 4 of 8" in said
    assert remains(out) == whole


def test_a_model_that_is_gone_is_told(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    out = tmp_path / "model"
    with monkeypatch.context() as m:
        die_at(m, 6)
        with pytest.raises(Death):
            jumok.train(data, out=out, **SHORT)
    (out / "config.json").unlink()
    with pytest.raises(TrainingError, match="the best model so far, which was beside it, is gone"):
        jumok.train(data, out=out, resume=True, quiet=True)


def test_patience_that_had_run_out_is_remembered(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    options = {"steps": 100, "evaluate_every": 1, "patience": 2, "metric": "accuracy", **TINY}
    dev_gets_worse(monkeypatch)
    jumok.train(data, out=tmp_path / "whole" / "model", **options)
    dev_gets_worse(monkeypatch)
    out = tmp_path / "killed" / "model"

    def die(*_: Any) -> None:
        raise Death

    with monkeypatch.context() as m:
        m.setattr(Folder, "finish", die)
        with pytest.raises(Death):
            jumok.train(data, out=out, **options)
    done = jumok.train(out=out, resume=True, quiet=True)
    assert len(done.history) == 3
    assert remains(out) == remains(tmp_path / "whole" / "model")


def test_the_machine_is_not_measured_again(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    options = SHORT | {"matmul": "auto", "precision": "auto"}
    with monkeypatch.context() as m:
        die_at(m, 5)
        m.setattr(machines, "_timed", lambda *_: 1.0)  # not a step of rehearsal
        with pytest.raises(Death):
            jumok.train(data, out=tmp_path / "model", **options)

    def measured(*_: Any) -> float:
        raise AssertionError("the machine is measured")

    monkeypatch.setattr(machines, "_timed", measured)
    done = jumok.train(out=tmp_path / "model", resume=True, quiet=True)
    learn = done.config.learn
    assert learn.precision == "float32" and learn.matmul in ("onednn", "default")
    kept = json.loads((tmp_path / "model" / "config.json").read_text())["training"]["learn"]
    assert (kept["precision"], kept["matmul"], kept["threads"]) == (learn.precision, learn.matmul, learn.threads)


def test_other_pairs_than_before_are_told(data: Path, tmp_path: Path, monkeypatch: Any, said: list[str]) -> None:
    mine = tmp_path / "pairs.tsv"
    shutil.copy(data, mine)
    with monkeypatch.context() as m:
        die_at(m, 5)
        with pytest.raises(Death):
            jumok.train(mine, out=tmp_path / "model", **SHORT)
    with open(mine, "a", encoding="utf-8") as f:
        f.write("abcdabcd\tdcbadcba\n")
    jumok.train(mine, out=tmp_path / "model", resume=True, quiet=True)
    assert any("not those that the checkpoint was made with" in line for line in said)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_ends_the_run_with_one_line_and_it_goes_on(data: Path, tmp_path: Path, whole: Any, code: int) -> None:
    failed = 0
    for n in (1, 8, 20, 40, 60):
        out = tmp_path / str(n) / "model"
        out.parent.mkdir()
        with faulty(n, lambda: OSError(code, os.strerror(code))) as system:
            try:
                jumok.train(data, out=out, **SHORT)
            except TrainingError as e:
                failed += 1
                assert str(out) in str(e) and os.strerror(code) in str(e) and "--resume" in str(e) and "\n" not in str(e)
            else:
                assert n > 20  # only deleting what is not wanted any more may fail silently
        assert system.failed
        jumok.train(data, out=out, resume=True, **SHORT)
        assert remains(out) == whole
    assert failed >= 4


@pytest.mark.parametrize("step", [4, 6])
def test_a_folder_that_vanishes_ends_the_run_with_one_line(data: Path, tmp_path: Path, monkeypatch: Any, step: int) -> None:
    """Before a checkpoint is due, and before a better model is."""
    out, real = tmp_path / "model", loops.Loop.update

    def update(self: loops.Loop, *arguments: Any) -> Any:
        if self.position.step == step:
            shutil.rmtree(out)
        return real(self, *arguments)

    monkeypatch.setattr(loops.Loop, "update", update)
    with pytest.raises(TrainingError, match=r"moved or deleted while training|there is no such folder") as caught:
        jumok.train(data, out=out, **SHORT)
    assert str(out) in str(caught.value) and not out.exists()


def test_restarted_by_torchrun_when_all_was_done_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process can be killed after the model is finished, while it waits for the end of the others."""
    pairs, out = write_pairs(tmp_path / "pairs.tsv"), tmp_path / "m"
    jumok.train(pairs, out=out, **SHORT)
    before = remains(out)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    told = listen(monkeypatch)
    jumok.train(pairs, out=out, **SHORT)
    assert remains(out) == before and "training is finished" in told[-1]
    with pytest.raises(FolderError, match="a model folder is there already"):
        jumok.train(pairs, out=out, **SHORT | {"learning_rate": 0.02})
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    with pytest.raises(FolderError, match="a model folder is there already"):
        jumok.train(pairs, out=out, **SHORT)
