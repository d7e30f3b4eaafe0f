"""Ensembles trained by one command: a folder for each member, one length for all, nothing lost, nothing trained twice."""

import json
import os
import re
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small_run import TINY, same_weights, write_pairs

import jumok
from jumok.config import TrainConfig, build
from jumok.errors import ConfigError, DataError, FolderError
from jumok.learn import members
from jumok.learn.members import _one
from jumok.learn.run import Manner
from jumok.runtime.folder import ENSEMBLE, read_folder
from jumok.runtime.members import member_folder, members_of, read_ensemble, write_ensemble

QUICK = TINY | {"steps": 30, "evaluate_every": 30, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv", 200)


@pytest.fixture(scope="module")
def three(data, tmp_path_factory) -> Path:
    return jumok.train(data, out=tmp_path_factory.mktemp("three") / "m", members=3, seed=5, **QUICK).folder


def test_each_member_is_the_model_of_its_seed(three, data, tmp_path):
    """Trained alone with that seed, on the same dev pairs, it has the same weights."""
    dev = tmp_path / "dev.tsv"
    dev.write_text("ab\tba\nfgh\thgf\n", encoding="utf-8")
    folder = jumok.train(data, dev, tmp_path / "m", members=2, seed=5, **QUICK).folder
    alone = jumok.train(data, dev, tmp_path / "alone", seed=6, **QUICK).folder
    assert same_weights(folder / "2", alone) and not same_weights(folder / "1", folder / "2")


def test_they_write_together(three):
    model, members = jumok.load(three), [jumok.load(three / str(n)) for n in (1, 2, 3)]
    assert model.folders == tuple(three / str(n) for n in (1, 2, 3))
    target = "dcba"
    each = [m.score("abcd", target).token_log_probabilities for m in members]
    mean = [sum(2.718281828459045 ** row[t] for row in each) / 3 for t in range(len(target) + 1)]
    together = [2.718281828459045**p for p in model.score("abcd", target).token_log_probabilities]
    assert together == pytest.approx(mean, rel=1e-4)


def test_all_members_have_the_same_dev_pairs_and_vocabularies(three):
    texts = {(three / str(n) / "source.json").read_text(encoding="utf-8") for n in (1, 2, 3)}
    seeds = [json.loads((three / str(n) / "config.json").read_text())["training"]["learn"]["seed"] for n in (1, 2, 3)]
    assert len(texts) == 1 and seeds == [5, 6, 7]


def test_resume_trains_what_is_missing_and_nothing_else(data, tmp_path, capfd):
    out = tmp_path / "m"
    jumok.train(data, out=out, members=3, member=2, **QUICK)
    assert [folder.name for folder in members_of(out)] == ["2"]
    before = (out / "2" / "model.safetensors").read_bytes()
    done = jumok.train(data, out=out, members=3, resume=True, **(QUICK | {"quiet": False}))
    assert "1 of 3 models are trained already" in capfd.readouterr().err
    assert [folder.name for folder in members_of(out)] == ["1", "2", "3"] and done.folder == out
    assert (out / "2" / "model.safetensors").read_bytes() == before
    with pytest.raises(FolderError, match="--resume trains those that are missing"):
        jumok.train(data, out=out, members=3, **QUICK)
    with pytest.raises(FolderError, match="holds an ensemble of 3 models, but --members is 2"):
        jumok.train(data, out=out, members=2, resume=True, **QUICK)


def test_an_interrupted_member_goes_on_where_it_was(data, tmp_path):
    seen: list[int] = []

    def stop(step, model):
        seen.append(step)
        if len(seen) == 7:
            raise KeyboardInterrupt

    options = QUICK | {"steps": 8, "evaluate_every": 2}
    with pytest.raises(KeyboardInterrupt):
        jumok.train(data, out=tmp_path / "m", members=2, observe=stop, **options)
    jumok.train(data, out=tmp_path / "m", members=2, resume=True, **options)
    whole = jumok.train(data, out=tmp_path / "whole", members=2, **options).folder
    assert all(same_weights(tmp_path / "m" / n, whole / n) for n in ("1", "2"))


def test_minutes_are_for_all_together(tmp_path):
    asked = build(TrainConfig, {"pairs": "p", "out": str(tmp_path), "members": 4, "minutes": 8.0}, "test")
    one, _ = _one(asked, Manner(time.perf_counter() - 120), 2, 3)  # two minutes are gone, three members are left
    assert one.learn.minutes == pytest.approx(2.0, abs=0.01) and one.learn.seed == 2 and one.out == str(tmp_path / "2")
    late, _ = _one(asked, Manner(time.perf_counter() - 9000), 4, 1)
    assert late.learn.minutes == pytest.approx(0.4)


def test_a_folder_that_another_member_is_just_beginning(data, tmp_path, monkeypatch):
    """Or that a killed run had begun: with nothing in it but the draft of the ensemble's file."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / f".{ENSEMBLE}.0123456789abcdef.new").write_text("")
    done = jumok.train(data, out=tmp_path / "m", members=2, member=2, **QUICK)
    assert (done.folder / ENSEMBLE).is_file() and (done.folder / "2").is_dir()
    before, seen = tmp_path / "n", iter((0, 2, 2))
    (before / "1").mkdir(parents=True)  # begun after the first look
    monkeypatch.setattr(members, "read_ensemble", lambda path: next(seen))
    jumok.train(data, out=before, members=2, member=2, **QUICK)


def test_a_folder_of_something_else_is_left_alone(data, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "notes.txt").write_text("mine")
    with pytest.raises(FolderError, match="holds no ensemble"):
        jumok.train(data, out=tmp_path / "m", members=2, overwrite=True, **QUICK)
    assert [p.name for p in (tmp_path / "m").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_failed_at_once_is_begun_again_by_the_same_command(data, tmp_path, jobs):
    bad, out = tmp_path / "bad.tsv", tmp_path / "m"
    bad.write_text("ab\tba\nxx\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"bad\.tsv:2"):
        jumok.train(bad, out=out, members=3, jobs=jobs, **QUICK)
    bad.write_bytes(data.read_bytes())
    jumok.train(bad, out=out, members=2, jobs=jobs, **QUICK)
    assert read_ensemble(out) == 2 and [folder.name for folder in members_of(out)] == ["1", "2"]


@pytest.mark.parametrize(
    ("options", "said"), [({"member": 3, "members": 2}, "member is 3 of 2"), ({"members": 0}, "1 or more")]
)
def test_numbers_that_cannot_be(data, tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        jumok.train(data, out=tmp_path / "m", **QUICK, **options)


def test_the_file_of_an_ensemble(tmp_path):
    assert read_ensemble(tmp_path) == 0 and members_of(tmp_path) == [tmp_path]
    write_ensemble(tmp_path / "e", 2)
    assert read_ensemble(tmp_path / "e") == 2
    with pytest.raises(FolderError, match="none of the 2 models of this ensemble is trained"):
        jumok.load(tmp_path / "e")
    for content in ("{", "[]", '{"members": 0}', '{"members": "2"}', '{"members": true}'):
        (tmp_path / "e" / "ensemble.json").write_text(content)
        with pytest.raises(FolderError, match="damaged"):
            jumok.load(tmp_path / "e")


def test_several_processes_may_write_the_file_at_once(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: write_ensemble(tmp_path, 3), range(200)))
    assert read_ensemble(tmp_path) == 3 and [p.name for p in tmp_path.iterdir()] == ["ensemble.json"]


def test_each_member_starts_from_the_one_of_its_number(three, data, tmp_path, capfd):
    """A step that changes nothing leaves each member as it was."""
    still = {"steps": 1, "learning_rate": 1e-9, "average": 0.0, "quiet": True, "threads": 1}
    out = jumok.train(data, out=tmp_path / "m", from_=three, members=3, **still).folder
    again = {"from_": three, "members": 3, "resume": True, **still, "quiet": False}
    jumok.train(data, out=out, **again)
    assert "not used" not in capfd.readouterr().err  # it is the same command
    for number in "123":
        now, before = (read_folder(folder / number).parameters for folder in (out, three))
        assert all(abs(now[name] - before[name]).max() < 1e-6 for name in before)


def test_an_ensemble_to_start_from_has_as_many_members(three, data, tmp_path):
    with pytest.raises(ConfigError, match=r"an ensemble of 3 models, and --members is 2.*give --members 3"):
        jumok.train(data, out=tmp_path / "m", from_=three, members=2, **QUICK)
    with pytest.raises(FolderError, match=r"an ensemble is there; one of its models is wanted, as .*1"):
        jumok.train(data, out=tmp_path / "m", from_=three, **QUICK)
    assert not (tmp_path / "m").exists()


def test_each_member_needs_a_model_to_start_from(three, data, tmp_path):
    for number in "13":
        shutil.copytree(three / number, tmp_path / "e" / number)
    write_ensemble(tmp_path / "e", 3)
    options = QUICK | {"from_": tmp_path / "e", "members": 3}
    with (
        pytest.warns(UserWarning, match="not trained yet: 2 "),
        pytest.raises(ConfigError, match="each member starts from one of these"),
    ):
        jumok.train(data, out=tmp_path / "m", **options)
    assert not (tmp_path / "m").exists()


def test_members_that_are_trained_are_not_replaced_by_those_that_start_from_them(three, data, tmp_path):
    shutil.copytree(three, tmp_path / "m")
    shutil.rmtree(tmp_path / "m" / "3")
    options = TINY | {"steps": 1, "from_": tmp_path / "m" / "1", "members": 3, "seed": 5}
    assert jumok.train(data, out=tmp_path / "m", resume=True, **options).folder == tmp_path / "m"
    assert same_weights(tmp_path / "m" / "1", three / "1") and (tmp_path / "m" / "3" / "model.safetensors").is_file()


@pytest.mark.parametrize("part", [".", "2"])
def test_members_do_not_replace_what_they_start_from(three, data, part):
    before = [(three / number / "model.safetensors").read_bytes() for number in "123"]
    with pytest.raises(ConfigError, match="--from is a member in --out"):
        jumok.train(data, out=three, from_=three / part, members=3, overwrite=True, **QUICK)
    assert [(three / number / "model.safetensors").read_bytes() for number in "123"] == before


def test_what_is_missing_from_an_ensemble_is_said(three, tmp_path):
    shutil.copytree(three / "1", tmp_path / "e" / "1")
    shutil.copytree(three / "3", tmp_path / "e" / "3")
    write_ensemble(tmp_path / "e", 4)
    with pytest.warns(UserWarning, match="the ensemble has 2 of its 4 models; not trained yet: 2, 4 "):
        assert [folder.name for folder in jumok.load(tmp_path / "e").folders] == ["1", "3"]


no_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


@no_pipes
@pytest.mark.parametrize("option", ["pairs", "dev", "teacher_sources", "source_embeddings"])
@pytest.mark.parametrize("form", ["-", "pipe"])
def test_what_can_be_read_only_once_is_refused_before_anything_is_trained(data, tmp_path, option, form):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    where = "-" if form == "-" else str(pipe)
    given = {"pairs": data, "dev": data, "teacher": "teacher", "teacher_sources": data} | {option: where}
    with pytest.raises(ConfigError, match=f"{re.escape(where)}: can be read only once, and each of the 2 models reads it"):
        jumok.train(given.pop("pairs"), out=tmp_path / "m", members=2, quiet=True, **given)
    assert not (tmp_path / "m").exists()


@no_pipes
def test_one_member_may_read_a_pipe(data, tmp_path):
    pipe, text = tmp_path / "pipe", Path(data).read_bytes()
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(text,))
    writer.start()
    jumok.train(pipe, out=tmp_path / "m", members=2, member=1, **TINY | {"steps": 1})
    writer.join()
    assert member_folder(tmp_path / "m", 1).is_dir() and not member_folder(tmp_path / "m", 2).exists()
