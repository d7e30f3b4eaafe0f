"""Slow machines: a network and a batch that see enough of the data in the time of --minutes, and a line that says so."""

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from clockwork import Machines
from small_run import TINY, write_pairs

import jumok
from jumok.config import TrainConfig, build
from jumok.learn import afford, recipe, threads
from jumok.learn.machine import Machine

LETTERS, WORDS = (40, 50), (40, 5_000)
SMALL = TINY | {"hidden": 8, "batch_size": None, "minutes": 1.0, "evaluate_every": 200, "quiet": False}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv", 200)


@pytest.mark.parametrize(
    ("sizes", "asked", "course"),
    [
        (LETTERS, {"minutes": 20}, [("medium", 3, 128), ("small", 3, 128), ("small", 1, 64)]),
        (LETTERS, {"minutes": 18.9}, [("small", 3, 128), ("small", 1, 64)]),
        (LETTERS, {"minutes": 20, "size": "medium"}, [("medium", 3, 128), ("medium", 1, 64)]),
        (LETTERS, {"minutes": 20, "layers": 3}, [("medium", 3, 128), ("small", 3, 128), ("small", 3, 64)]),
        (LETTERS, {"minutes": 20, "layers": 3, "batch_size": 128}, [("medium", 3, 128), ("small", 3, 128)]),
        (LETTERS, {"minutes": 20, "layers": 3, "batch_tokens": 900}, [("medium", 3, 128), ("small", 3, 128)]),
        (LETTERS, {"minutes": 20, "layers": 1}, [("small", 1, 64)]),
        (LETTERS, {"minutes": 20, "size": "large", "layers": 2}, [("large", 2, 64)]),
        (LETTERS, {"minutes": 1}, [("small", 1, 64)]),
        (LETTERS, {"epochs": 12}, [("medium", 3, 128)]),
        (LETTERS, {"steps": 99_999}, [("medium", 3, 128)]),
        (WORDS, {"minutes": 1}, [("medium", 1, 128), ("small", 1, 64)]),
        (WORDS, {"minutes": 1, "size": "medium", "layers": 3}, [("medium", 3, 128), ("medium", 3, 64)]),
        (WORDS, {"minutes": 1, "readout_size": 256}, [("medium", 1, 128), ("medium", 1, 64)]),
        (WORDS, {"minutes": 1, "hidden": 400}, [("medium", 1, 128), ("medium", 1, 64)]),
        (WORDS, {"minutes": 1, "embedding": 300}, [("medium", 1, 128), ("small", 1, 64)]),
        (WORDS, {}, [("medium", 1, 128)]),
    ],
)
def test_what_could_be_smaller_step_by_step(sizes, asked, course):
    """Only what was chosen because of the minutes, and nothing that was given."""
    asked, found = build(TrainConfig, asked, "test"), []
    while True:
        chosen = recipe.resolve(asked, *sizes, 70_000)
        found.append((chosen.model.size, chosen.model.layers, chosen.learn.batch_size))
        if not (could := afford.lighter(asked, chosen, sizes, 70_000)):
            break
        asked = could[0].asked
    assert found == course


@pytest.mark.parametrize("shown", [[0.0, 0.0], [1e9]])
def test_settings_are_chosen_where_it_takes_least_time(monkeypatch, shown):
    """On the smallest; so they are known if that is taken in the end, and are chosen again for anything larger."""
    chosen = []
    monkeypatch.setattr(afford, "choose", lambda trial, *_, strict: chosen.append(trial))
    monkeypatch.setattr(afford, "passes", lambda *_: shown.pop(0))
    display = SimpleNamespace(note=lambda line: None)

    def trial_of(asked):
        return SimpleNamespace(asked=recipe.resolve(asked, *LETTERS, 70_000), data=SimpleNamespace(pairs=70_000))

    small, asked = len(shown) > 1, build(TrainConfig, {"minutes": 20}, "test")
    found = afford.affordable(asked, trial_of, LETTERS, None, display)
    network = found.asked.model
    assert (network.size, network.layers, found.asked.learn.batch_size) == (("small", 1, 64) if small else ("medium", 3, 128))
    assert len(chosen) == 1 and (found is chosen[0]) == small and chosen[0].asked.model.layers == 1


def test_what_larger_ones_need():
    def needs(sizes, pairs, **options):
        asked = build(TrainConfig, {"minutes": 99.0, **options}, "test")
        return [round(it.passes, 2) for it in afford.lighter(asked, recipe.resolve(asked, *sizes, pairs), sizes, pairs)]

    assert needs(LETTERS, 10_000) == [13.0]  # 130,000 pairs
    assert needs(LETTERS, 100_000, size="small") == [3, 0.83]
    assert needs(LETTERS, 100_000) == [10, 3, 0.83]
    assert needs(WORDS, 20_000) == [13, 4.16]  # 650 batches
    assert needs(WORDS, 9_999) == [13]
    assert needs(WORDS, 50_000) == [7.5, 1.66]  # 375,000 pairs


@pytest.fixture
def slow(monkeypatch):
    """Machines on which minutes take no time; two hundred pairs are enough for three layers, and these need three passes.

    The first list is how often each pair could be shown, trial by trial; the second what was tried.
    """
    monkeypatch.setattr(recipe, "DEEP_PAIRS", 10)
    monkeypatch.setattr(recipe, "DEEP_MINUTES", 1)
    monkeypatch.setattr(afford, "DEEP_SHOWN", 100)
    Machines(monkeypatch)
    shown, tried = [], []
    monkeypatch.setattr(afford, "choose", lambda *_, strict: Machine("float32", "default", 1))
    monkeypatch.setattr(afford, "passes", lambda trial, *_: tried.append(trial.asked.model.layers) or shown.pop(0))
    return shown, tried


@pytest.mark.parametrize(("shown", "layers"), [(2.9, 1), (3.0, 3)])
def test_a_line_says_that_three_layers_would_see_too_little(data, tmp_path, slow, capfd, shown, layers):
    slow[0].append(shown)
    done = jumok.train(data, out=tmp_path / "m", **SMALL)
    said = "1 layer instead of 3: in this time, this machine could show each pair only 2.9 times, and 3.0 are needed; --layers 3 turns"
    assert done.config.model.layers == layers and slow == ([], [3]) and (said in capfd.readouterr().err) == (layers == 1)
    assert jumok.load(tmp_path / "m").info().layers == layers
    jumok.train(data, out=tmp_path / "given", layers=3, **SMALL)
    jumok.train(data, out=tmp_path / "steps", **(SMALL | {"minutes": None, "steps": 4_700}))
    assert slow == ([], [3])  # nothing was left to choose


def test_what_is_said_of_the_options_is_said_once(data, tmp_path, slow, capfd):
    slow[0].append(1.0)
    jumok.train(data, out=tmp_path / "m", **(SMALL | {"threads": threads.cores() + 1}))
    said = capfd.readouterr().err
    assert "1 layer instead of 3" in said and said.count("that is slower than --threads") == 1


def test_the_batches_of_a_smaller_one_are_its_own(data, tmp_path, slow, monkeypatch):
    monkeypatch.setattr(recipe, "MANY_PAIRS", 10)  # 128 with three layers
    slow[0].append(1.0)
    done = jumok.train(data, out=tmp_path / "m", **(SMALL | {"size": "small"}))
    assert (done.config.model.layers, done.config.learn.batch_size) == (1, 64)
    assert done.history[-1].epoch == pytest.approx(done.config.learn.steps / 3, rel=0.01)  # 190 pairs or fewer in batches of 64


def test_members_are_of_one_kind_whatever_the_machine_does_meanwhile(data, tmp_path, slow):
    def layers(**how):
        out = jumok.train(data, out=tmp_path / "m", members=2, **(SMALL | {"minutes": 2.0}), **how).folder
        return [jumok.load(out / n).info().layers for n in "12"]

    slow[0].append(1.0)
    assert layers() == [1, 1] and slow == ([], [3])
    shutil.rmtree(tmp_path / "m" / "1")
    assert layers(resume=True) == layers(member=2, overwrite=True) == [1, 1] and slow == ([], [3])
    slow[0].append(9_999.0)
    assert layers(overwrite=True) == [3, 3] and slow == ([], [3, 3])


def test_likeness_is_for_what_nobody_gave():
    asked = build(TrainConfig, {"layers": 2}, "test")
    other = recipe.resolve(build(TrainConfig, {"minutes": 99}, "test"), *LETTERS, 100_000)
    both = afford.like(asked, other)
    assert (both.model.size, both.model.layers, both.learn.batch_size) == ("medium", 2, 128)
    assert dataclasses.replace(both, model=asked.model, learn=asked.learn) == asked
