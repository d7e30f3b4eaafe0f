"""Training from files to a model folder: it learns, it repeats, it stops and goes on, it refuses what cannot be."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from small_run import TINY, same_weights, write_pairs

import jumok
from jumok.config import ModelConfig, TrainConfig, build, to_dict
from jumok.errors import ConfigError, DataError, FolderError, TrainingError
from jumok.learn import calibrate, material, recipe, run
from jumok.learn import loop as loops
from jumok.learn import machine as machines
from jumok.learn.checkpoint import read_checkpoint
from jumok.learn.display import lasting
from jumok.learn.machine import Machine, choose
from jumok.learn.optimizer import Average
from jumok.learn.stopping import stopped_by_signals


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv", 900)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "model"
    return jumok.train(data, out=out, steps=400, evaluate_every=100, learning_rate=1e-2, attention="dot", **TINY)


def test_it_learns_to_reverse(trained):
    assert trained.best >= 90
    t = jumok.load(trained.folder).translate("abcd")
    assert t.text == "dcba"
    assert t.weights.argmax(1)[:4].tolist() == [3, 2, 1, 0]  # and looks where it should


def test_what_is_written(trained):
    names = {p.name for p in trained.folder.iterdir()}
    assert names == {
        "config.json",
        "model.safetensors",
        "source.json",
        "target.json",
        "README.md",
        "history.json",
        "training.json",
    }
    config = json.loads((trained.folder / "config.json").read_text())["training"]
    assert config["learn"]["steps"] == 400 and config["model"]["hidden"] == 32
    assert all(
        value is not None for name, value in config["learn"].items() if name not in ("minutes", "epochs", "batch_tokens")
    )
    history = json.loads((trained.folder / "history.json").read_text())
    assert [e["step"] for e in history] == [100, 200, 300, 400]  # also what came after the best
    assert {"train_loss", "loss", "accuracy", "token-error-rate", "tokens_per_second"} <= history[0].keys()
    assert f"{trained.best:.3f}" in (trained.folder / "README.md").read_text()


def test_a_run_repeats_from_what_was_written_down(data, tmp_path):
    once = jumok.train(data, out=tmp_path / "once", steps=60, evaluate_every=20, learning_rate=1e-2, **TINY)
    values = json.loads((once.folder / "config.json").read_text())["training"]
    again = jumok.train(config=build(TrainConfig, values, "test"), out=tmp_path / "again", quiet=True)
    assert same_weights(once.folder, again.folder)


def test_interrupted_and_resumed_equals_uninterrupted(data, tmp_path, monkeypatch):
    out = tmp_path / "model"
    real = loops.Loop.update

    def update(self, batch, rate, *gold):
        if rate and self.position.step == 46:
            self.interrupted = True
        return real(self, batch, rate, *gold)

    options = {**TINY, "steps": 80, "evaluate_every": 20, "learning_rate": 1e-2, "attention": "dot", "dropout": 0.2}
    whole = jumok.train(data, out=tmp_path / "whole", **options)
    with monkeypatch.context() as m:
        m.setattr(loops.Loop, "update", update)
        first = jumok.train(data, out=out, **options)
    assert first.history[-1]["step"] == 40 and (out / "checkpoint.safetensors").exists()
    jumok.load(out).translate("abc")
    second = jumok.train(out=out, resume=True, quiet=True)
    assert [e["step"] for e in second.history] == [20, 40, 60, 80]
    assert same_weights(whole.folder, out)
    assert not (out / "checkpoint.safetensors").exists()


def test_interrupted_before_the_first_evaluation_leaves_a_model(data, tmp_path, monkeypatch):
    real = loops.Loop.update

    def update(self, batch, rate, *gold):
        self.interrupted = self.interrupted or bool(rate)
        return real(self, batch, rate, *gold)

    with monkeypatch.context() as m:
        m.setattr(loops.Loop, "update", update)
        jumok.train(data, out=tmp_path / "model", steps=50, **TINY)
    jumok.load(tmp_path / "model").translate("abc")
    assert jumok.train(out=tmp_path / "model", resume=True, quiet=True).history[-1]["step"] == 50


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_training_with_a_model(data, tmp_path, number):
    out = tmp_path / "model"
    options = ["--epochs", "100000", "--hidden", "16", "--embedding", "8", "--threads", "1", "--evaluate-every", "5"]
    command = [sys.executable, "-m", "jumok", "train", str(data), "--out", str(out), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"}) as process:
        deadline = time.monotonic() + 60
        while not (out / "checkpoint.safetensors").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "--resume" in said and "Traceback" not in said
    jumok.load(out).translate("abc")
    found = read_checkpoint(out, pytest.fail)
    assert found is not None and f"stopped at step {found[1]['position']['step']:,};" in said  # nothing of it is lost


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_the_second_signal_ends_at_once(number, raised):
    stops: list[bool] = []
    with stopped_by_signals(lambda: stops.append(True)) as caught:
        signal.raise_signal(number)
        assert stops == [True] and caught == [number]
        with pytest.raises(raised) as ended:
            signal.raise_signal(number)
    assert raised is KeyboardInterrupt or ended.value.code == 143
    assert signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL)


def test_minutes_become_steps_that_fit(data, tmp_path):
    start = time.monotonic()
    done = jumok.train(data, out=tmp_path / "model", minutes=0.15, **TINY)
    assert time.monotonic() - start < 40  # nine seconds asked for; a busy machine may double them
    assert done.config.learn.steps == done.history[-1]["step"] > 10
    assert done.config.learn.minutes is None


def test_too_few_minutes_are_refused(data, tmp_path):
    with pytest.raises(ConfigError, match="nothing is left for training"):
        jumok.train(data, out=tmp_path / "model", minutes=1e-6, **TINY)
    assert not (tmp_path / "model").exists()


def test_patience_ends_training(data, tmp_path):
    done = jumok.train(
        data, out=tmp_path / "m", steps=1000, evaluate_every=2, patience=3, learning_rate=10.0, **TINY
    )  # it only gets worse
    assert done.history[-1]["step"] < 50 and not any(entry["best"] for entry in done.history[-3:])


def test_several_targets_of_a_source_are_all_right(tmp_path):
    pairs = tmp_path / "p.tsv"
    pairs.write_text("".join(f"{w}\t{t}\n" for w in "abcdefghij" for t in (w, w + w)), encoding="utf-8")
    done = jumok.train(pairs, dev=write_pairs(tmp_path / "d.tsv", 20, turn=str), out=tmp_path / "m", steps=3, **TINY)
    assert done.history


def test_features_reach_the_encoder(tmp_path):
    pairs = tmp_path / "p.tsv"
    words = [f"{a}{b}" for a in "abcdefgh" for b in "klmnopqr"]
    pairs.write_text("".join(f"{w}\t{w}{'s' * (f == 'PL')}\tN;{f}\n" for w in words for f in ("SG", "PL")), encoding="utf-8")
    done = jumok.train(pairs, out=tmp_path / "m", features_column=3, steps=300, evaluate_every=100, learning_rate=1e-2, **TINY)
    model = jumok.load(done.folder)
    assert model.translate("ak", features=["N", "PL"]).text == "aks"
    assert model.translate("ak", features=["N", "SG"]).text == "ak"
    assert model.translate("ak", features=["N", "SG"]).source_tokens[:2] == ("‹N›", "‹SG›")


def test_loss_that_is_not_finite_ends_the_run_and_is_never_kept(data, tmp_path, monkeypatch):
    real = loops.Loop.update

    def update(self, batch, rate, *gold):
        if rate and self.position.step == 30:
            with torch.no_grad():
                self.model.bias.fill_(torch.nan)
        return real(self, batch, rate, *gold)

    monkeypatch.setattr(loops.Loop, "update", update)
    with pytest.raises(TrainingError, match=r"step 40: .*10th in a row"):
        jumok.train(data, out=tmp_path / "m", steps=200, evaluate_every=20, **TINY)
    if (tmp_path / "m").exists():
        assert np.isfinite(load_file(tmp_path / "m" / "model.safetensors")["readout.bias"]).all()


def test_places_that_cannot_be_written_are_refused_at_once(trained, data, tmp_path):
    with pytest.raises(FolderError, match="--overwrite"):
        jumok.train(data, out=trained.folder, **TINY)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(FolderError, match="not a model folder"):
        jumok.train(data, out=tmp_path / "mine", overwrite=True, **TINY)
    assert (tmp_path / "mine" / "thesis.tex").exists()
    with pytest.raises(TrainingError, match="no checkpoint"):
        jumok.train(out=tmp_path / "nowhere", resume=True, quiet=True)


def test_a_damaged_checkpoint_is_named(data, tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(TrainingError, match="damaged"):
        jumok.train(data, out=tmp_path, resume=True, quiet=True)


def test_overwrite_replaces_a_model(data, tmp_path):
    for seed in (1, 2):
        jumok.train(data, out=tmp_path / "m", steps=2, seed=seed, overwrite=True, **TINY)
    assert json.loads((tmp_path / "m" / "config.json").read_text())["training"]["learn"]["seed"] == 2


def test_missing_names(data, tmp_path):
    with pytest.raises(ConfigError, match="out is missing"):
        jumok.train(data)
    with pytest.raises(ConfigError, match="pairs are missing"):
        jumok.train(out=tmp_path / "m")
    with pytest.raises(ConfigError, match="did you mean 'attention'"):
        jumok.train(data, out=tmp_path / "m", atention="dot")


def test_dev_equal_to_train_and_too_little_data(data, tmp_path):
    with pytest.raises(DataError):
        jumok.train(data, dev=data, out=tmp_path / "m", **TINY)
    one = tmp_path / "one.tsv"
    one.write_text("a\tb\n")
    with pytest.raises(DataError):
        jumok.train(one, out=tmp_path / "m", **TINY)


def test_recipe_by_size_of_data():
    chosen = recipe.resolve(TrainConfig(), 40, 50, 3_600)
    assert (chosen.model.size, chosen.learn.batch_size, chosen.model.tie) == ("small", 64, "none")
    assert chosen.learn.metric == "accuracy" and chosen.learn.dropout is None
    epochs = (0.5, 4, 9.9, 10, 30, 1000)

    def dropout(size, layers, pairs):
        model = build(TrainConfig, {"layers": layers, **({"size": size} if size else {})}, "test").model
        return [recipe.default_dropout(n, model, pairs) for n in epochs]

    for size, pairs, most in (("small", 7_999, 0.3), ("medium", 50_000, 0.2), ("large", 49_999, 0.3), (None, 50_000, 0.2)):
        assert dropout(size, 1, pairs) == [0, 0.1, 0.1, 0.2, most, most]
        assert size == "small" or dropout(size, 3, pairs) == dropout(size, 1, pairs)
    assert dropout("small", 2, 7_999) == dropout("small", 1, 7_999)
    for layers, pairs in ((3, 100), (3, 49_999), (1, 8_000), (2, 8_000), (1, 49_999)):
        assert dropout("small", layers, pairs) == [0, 0.1, 0.1, 0.1, 0.2, 0.2]
    assert dropout("small", 1, 50_000) == dropout("small", 3, 50_000) == [0, 0, 0, 0.1, 0.1, 0.1]
    bpe = build(TrainConfig, {"source_tokenizer": "bpe", "target_tokenizer": "bpe"}, "test")
    chosen = recipe.resolve(bpe, 7_700, 7_700, 29_000)
    assert (chosen.model.size, chosen.model.tie, chosen.learn.metric) == ("medium", "all", "bleu")
    assert chosen.model.readout_size == chosen.model.embedding == 256
    assert recipe.total_steps(chosen, 29_000, 454) == 4540
    with pytest.raises(ConfigError, match="tied embeddings need them equal"):
        recipe.resolve(build(TrainConfig, {"tie": "target", "readout_size": 100}, "test"), 9, 9, 100)
    with pytest.raises(ConfigError, match="vocabularies are separate"):
        recipe.resolve(build(TrainConfig, {"tie": "all"}, "test"), 9, 9, 100)


@pytest.mark.parametrize(
    ("size", "layers", "pairs", "fine", "least"),
    [
        ("medium", 3, 50_000, True, 10),
        ("small", 3, 50_000, True, 10),
        (None, 3, 50_000, True, 10),
        ("large", 3, 50_000, True, None),
        ("medium", 3, 49_999, True, None),
        ("medium", 2, 50_000, True, None),
        ("medium", 1, 10_000, False, 5),
        ("medium", 1, 9_999, False, None),
        ("small", 1, 10_000, False, 5),
        ("small", 3, 49_999, True, None),
        ("small", 1, 50_000, True, None),
        ("large", 1, 50_000, False, None),
    ],
)
def test_weight_decay_by_network_and_passes(size, layers, pairs, fine, least):
    model = build(TrainConfig, {"layers": layers, **({"size": size} if size else {})}, "test").model
    for passes in (0.5, 4.9, 5, 9.9, 10, 1000):
        expected = 0.1 if least and passes >= least else 0
        assert recipe.default_weight_decay(passes, model, pairs, fine) == expected


def test_weight_decay_is_settled_and_told(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(recipe, "default_weight_decay", lambda *_: 0.3)
    options = {name: value for name, value in TINY.items() if name != "quiet"}
    for more, decay in ({}, 0.3), ({"weight_decay": 0.0}, 0.0), ({"weight_decay": 0.7}, 0.7):
        done = jumok.train(data, out=tmp_path / str(decay), steps=2, evaluate_every=2, **options, **more)
        assert done.config.learn.weight_decay == decay
        assert (f", weight decay {decay:g}, dev every 2" if decay else "dropout 0, dev every 2") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pairs", "length", "layers"),
    [
        (8_000, {"minutes": 6}, 3),
        (8_000, {"minutes": 5.98}, 3),  # a member's share
        (8_000, {"minutes": 5.6}, 1),
        (7_999, {"minutes": 60}, 1),
        (8_000, {"steps": 4_688}, 3),
        (8_000, {"steps": 4_687}, 1),
        (8_000, {"steps": 2_344, "batch_size": 128}, 3),
        (8_000, {"epochs": 38}, 3),
        (8_000, {"epochs": 37}, 1),
        (160_000, {"minutes": 10}, 3),
        (160_000, {"minutes": 9.4}, 1),
        (80_000, {"steps": 3_125}, 3),
        (80_000, {"steps": 3_124}, 1),
        (80_000, {"steps": 6_249, "batch_size": 64}, 1),
        (80_000, {"epochs": 5}, 3),
        (80_000, {"epochs": 4}, 1),
        (30_000, {}, 3),  # 10 epochs
        (29_000, {}, 1),
        (20_000, {"minutes": 60, "layers": 1}, 1),
        (100, {"layers": 3}, 3),
    ],
)
def test_layers_by_pairs_and_length(pairs, length, layers):
    asked = build(TrainConfig, length, "test")
    assert asked.model.depth == length.get("layers", 1)
    assert recipe.resolve(asked, 40, 50, pairs).model.layers == layers
    assert recipe.resolve(asked, 40, 5_000, pairs).model.layers == length.get("layers", 1)  # words


@pytest.mark.parametrize(
    ("pairs", "asked", "size"),
    [
        (70_000, {"minutes": 20}, "medium"),
        (70_000, {"minutes": 18.9}, "small"),
        (70_000, {"epochs": 12}, "medium"),
        (70_000, {"epochs": 11}, "small"),
        (70_000, {}, "small"),  # 10 epochs
        (70_000, {"minutes": 20, "layers": 1}, "small"),
        (70_000, {"minutes": 20, "size": "small"}, "small"),
        (49_999, {"minutes": 60}, "small"),
    ],
)
def test_long_trainings_of_many_pairs_of_letters_have_wider_layers(pairs, asked, size):
    assert recipe.resolve(build(TrainConfig, asked, "test"), 40, 50, pairs).model.size == size


@pytest.mark.parametrize(
    ("sizes", "pairs", "size"),
    [((40, 50), 49_999, 64), ((40, 50), 50_000, 128), ((40, 5_000), 9_999, 64), ((40, 5_000), 10_000, 128)],
)
def test_batches_of_many_pairs_are_larger(sizes, pairs, size):
    """Of letters only in layers that are deep; of words not in a small model."""
    assert recipe.resolve(TrainConfig(), *sizes, pairs).learn.batch_size == size
    length = {"epochs": 650 * 128 / pairs + 0.01, "layers": 3}
    cases = [({"batch_size": 32}, 32), ({"minutes": 1}, 64 if sizes == (40, 50) else size), (length, size)]
    cases += [(length | {"epochs": 650 * 128 / pairs - 0.01}, 64)]  # too few steps
    cases += [({"size": "small", "layers": 3}, size if sizes == (40, 50) else 64), ({"size": "large", "layers": 3}, size)]
    for more, wanted in cases:
        assert recipe.resolve(build(TrainConfig, more, "test"), *sizes, pairs).learn.batch_size == wanted


@pytest.mark.parametrize("length", [{}, {"minutes": 60}, {"epochs": 50}])
@pytest.mark.parametrize("pairs", [100, 49_999])
def test_letters_get_a_small_model_and_words_a_medium_one(pairs, length):
    asked = build(TrainConfig, length, "test")
    for sizes, size, hidden, rate in (((40, 50), "small", 256, 6e-3), ((40, 5_000), "medium", 512, 4e-3)):
        chosen = recipe.resolve(asked, *sizes, pairs)
        assert (chosen.model.size, chosen.model.hidden, chosen.learn.learning_rate) == (size, hidden, rate)
    medium = recipe.resolve(build(TrainConfig, {"size": "medium"}, "test"), 40, 50, pairs)
    assert (medium.model.hidden, medium.learn.learning_rate) == (512, 4e-3)
    small = recipe.resolve(build(TrainConfig, {"size": "small"}, "test"), 40, 5_000, pairs)
    assert (small.model.hidden, small.learn.learning_rate) == (256, 6e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "small, attention dot"),
        ({"layers": 3, "hidden": 256}, "small, 3 layers, attention dot"),
        ({"hidden": 16, "attention": "none"}, "hidden 16, attention none"),
    ],
)
def test_a_network_in_words(options, words):
    assert recipe.in_words(recipe.resolve(build(TrainConfig, options, "test"), 40, 50, 3_600).model) == words


def test_a_time_in_words():
    assert [lasting(seconds) for seconds in (0.2, 7, 99, 100, 983)] == ["0 s", "7 s", "99 s", "1.7 minutes", "16.4 minutes"]


def test_location_refuses_sources_it_cannot_see_all_of(data, tmp_path):
    recipe.check_lengths(ModelConfig(attention="location", location_length=9), 9)
    recipe.check_lengths(ModelConfig(location_length=9), 1000)
    with pytest.raises(ConfigError, match=r"location_length is 5, but a training source has 6 tokens.*--location-length 6"):
        jumok.train(data, out=tmp_path / "m", steps=2, attention="location", location_length=5, **TINY)
    assert not (tmp_path / "m").exists()


MODELS = {
    "GRU encoder-decoder": {"cell": "gru"},
    "RNN encoder-decoder": {"cell": "rnn", "layers": 2},
    "the source read backwards": {"reverse_source": True, "bidirectional": False},
    "attention `location`": {"attention": "location", "location_length": 6},
    "attention `dot` in a window `local-m` of 2": {"window": "local-m", "window_size": 2},
    "in a window `local-p` of 10": {"window": "local-p"},
    ", input feeding.": {"input_feeding": True, "layers": 2, "teacher_forcing": "never"},
}


@pytest.mark.parametrize(("card", "options"), MODELS.items())
def test_every_model_option_is_trained_kept_and_used(data, tmp_path, card, options):
    out = tmp_path / "m"
    done = jumok.train(data, out=out, steps=3, **TINY, **options)
    assert np.isfinite(done.history[0]["loss"])
    assert card in (out / "README.md").read_text()
    model = jumok.load(out)
    kept = {**to_dict(model.config.model), **model.config.training["learn"]}
    assert {name: kept[name] for name in options} == options
    t = model.translate("abcdefgh")  # longer than any training source
    assert t.source_tokens == (*"abcdefgh", "</s>") and t.weights.shape == (len(t.tokens), 9)
    np.testing.assert_allclose(t.weights.sum(1), 1, atol=1e-5)


def test_length_limit_lets_every_training_target_through():
    sources, targets = [[1] * 4, [1] * 10, [1] * 3], [[1] * 5, [1] * 8, [1] * 40]
    ratio, constant = material.length_limit(sources, targets)
    assert all(len(t) <= ratio * len(s) + constant for s, t in zip(sources, targets, strict=True))


def test_measuring_leaves_no_trace(data, tmp_path, monkeypatch):
    """The loop that is measured on is gone before the run's own is made, which begins with the weights and chances of its seed."""
    trials, options = [], {**TINY, "dropout": 0.3, "steps": 20, "evaluate_every": 10, "matmul": "auto"}
    plain = jumok.train(data, out=tmp_path / "plain", **{**options, "matmul": "default"})
    real_loop, real_new = calibrate.Loop, run.new_model

    def watched(*arguments):
        loop = real_loop(*arguments)
        trials.append(weakref.ref(loop))
        return loop

    def new_model(*arguments):
        assert trials and trials[0]() is None
        return real_new(*arguments)

    monkeypatch.setattr(calibrate, "Loop", watched)
    monkeypatch.setattr(run, "new_model", new_model)
    monkeypatch.setattr(machines, "_timed", lambda step, machine: step(machine) or (machine.matmul != "default"))
    measured = jumok.train(data, out=tmp_path / "measured", **{**options, "quiet": False})
    assert len(trials) == 1 and measured.config.learn.matmul == "default"
    assert same_weights(plain.folder, measured.folder)


def test_a_recipe_is_settled_before_there_is_a_loop(data):
    """By the pace of a machine alone: steps that fit into the time, evaluations at their share of it, the dropout of that length."""
    asked = build(TrainConfig, {"minutes": 1.0, "threads": 1}, "test")
    asked = recipe.resolve(asked, 40, 50, 1_000)
    codec = SimpleNamespace(source=SimpleNamespace(vocabulary=range(40)), target=SimpleNamespace(vocabulary=range(50)))
    material = SimpleNamespace(batches=range(20), pairs=1_000, codec=codec)
    machine = Machine("float32", "default", 1)
    settled = recipe.settle(asked, material, calibrate.Pace(machine, step=0.1, evaluation=1.0, spent=10.0, left=47.6))
    assert settled.evaluate_every == 200 and settled.steps == int(46.6 / 0.105) and settled.dropout == 0.2
    assert settled.weight_decay == 0
    assert settled.learn.minutes is None and settled.learn.precision == "float32" and settled.machine is machine
    with pytest.raises(dataclasses.FrozenInstanceError):
        settled.machine = None
    with pytest.raises(ConfigError, match="nothing is left for training"):
        recipe.settle(asked, material, calibrate.Pace(machine, step=0.1, evaluation=1.0, spent=60.0, left=1.0))
    with pytest.raises(AssertionError, match="dropout"):
        recipe.Recipe(asked, machine)


def test_average_by_hand():
    model = torch.nn.Linear(1, 1, bias=False)
    average = Average(model, 0.5)
    with torch.no_grad():
        model.weight.fill_(1.0)
        average.weights[0].fill_(0.0)
        average.update(100)  # decay min(0.5, 101/110)
    assert average.weights[0].item() == pytest.approx(0.5)
    with average.in_place():
        assert model.weight.item() == pytest.approx(0.5) and not model.training
    assert model.weight.item() == 1.0 and model.training


@pytest.mark.parametrize("rate", [0.5, 0.99, 0.998])
def test_an_average_that_looks_at_every_eighth_step_is_near_one_that_looks_at_each(rate):
    """Over weights that wander: the distance between the two is small beside that between average and weights."""
    model = torch.nn.Linear(50, 1, bias=False)
    average, exact, g = Average(model, rate), model.weight.detach().clone(), torch.Generator().manual_seed(0)
    looks, apart, lag = 0, [], []
    for step in range(3000):
        with torch.no_grad():
            model.weight += torch.randn(1, 50, generator=g)
        exact = exact.lerp(model.weight.detach(), 1 - min(rate, (1 + step) / (10 + step)))
        before = average.weights[0].clone()
        average.update(step)
        looks += not torch.equal(before, average.weights[0])
        apart.append((average.weights[0] - exact).norm())
        lag.append((model.weight.detach() - exact).norm())
    assert looks == (3000 if rate == 0.5 else 890 + 263)  # 896, 904, … 2992
    assert sum(apart) < (1e-3 if rate == 0.5 else 0.35 if rate == 0.99 else 0.2) * sum(lag)


def test_machine_takes_the_fastest_that_works():
    learn = build(TrainConfig, {"threads": 1}, "test").learn

    def step(machine):
        if machine.precision == "bfloat16":
            raise RuntimeError("this CPU has no such LSTM")
        time.sleep(0.001 if machine.matmul == "default" else 0.01)

    assert choose(learn, step) == Machine("float32", "default", 1)

    def faster(machine):
        time.sleep(0.002 if machine.precision == "bfloat16" else 0.02)

    assert choose(learn, faster).precision == "bfloat16"
