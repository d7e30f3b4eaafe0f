"""Options that work only beside another: alone they are named in a warning, and change nothing; beside it they do."""

from pathlib import Path
from typing import Any

import pytest
from small_run import TINY, same_weights, write_pairs

import jumok
from jumok.config import TrainConfig, build
from jumok.learn.given import _BESIDE, idle

SHORT = TINY | {"steps": 4, "evaluate_every": 2, "learning_rate": 1e-2}
# option -> a value that is not its default; what it works beside
OPTIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "gold_at_end": (0.9, {"teacher_forcing": "two-phase", "switch": 0.25}),
    "switch": (0.25, {"teacher_forcing": "two-phase"}),
    "switch_patience": (1, {"teacher_forcing": "two-phase"}),
    "coin": ("batch", {"teacher_forcing": "linear"}),
    "own_token": ("sample", {"teacher_forcing": "never"}),
    "bpe_size": (20, {"target_tokenizer": "bpe"}),
    "window_size": (1, {"window": "local-m"}),
    "location_length": (9, {"attention": "location"}),
    "score_size": (5, {"attention": "concat"}),
    "readout_size": (5, {"readout": "tanh"}),
    "jobs": (2, {"members": 2}),
}
# does something only where an evaluation is no better, which is for tests of the loop; trains the same models, only sooner
RARE = {"switch_patience", "jobs"}
WITHOUT = {"readout_size": {"readout": "linear"}}  # where it works by default


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv", 60)


def test_every_option_of_the_table_is_tested():
    assert {name for names, _, _ in _BESIDE for name in names.split()} == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_alone_it_changes_nothing_and_a_line_says_so(data, tmp_path, capfd, name):
    value, _ = OPTIONS[name]
    base = SHORT | WITHOUT.get(name, {})
    base.pop(name, None)
    jumok.train(data, out=tmp_path / "without", **base)
    capfd.readouterr()
    jumok.train(data, out=tmp_path / "with", **base | {name: value, "quiet": False})
    said = capfd.readouterr().err
    assert f"warning: --{name.replace('_', '-')} has no effect here: it works with" in said
    assert same_weights(tmp_path / "without", tmp_path / "with")


@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in RARE])
def test_beside_the_other_it_does_something(data, tmp_path, name):
    value, beside = OPTIONS[name]
    run = build(TrainConfig, {"pairs": "p", "out": "m"} | beside | {name: value}, "test")
    assert idle(run, {name, *beside}) == []
    folders = []
    for i, more in enumerate(({}, {name: value})):
        folders.append(jumok.train(data, out=tmp_path / str(i), **SHORT | beside | more).folder)
    assert not same_weights(*folders)


def test_a_default_that_is_given_is_named_too():
    run = build(TrainConfig, {"pairs": "p", "out": "m"}, "test")
    assert idle(run, {"switch"}) == ["--switch has no effect here: it works with --teacher-forcing two-phase"]
    two_phases = build(TrainConfig, {"pairs": "p", "out": "m", "teacher_forcing": "two-phase"}, "test")
    assert idle(two_phases, {"switch", "switch_patience", "coin", "own_token", "gold_at_end"}) == []
    assert idle(run, set()) == [] and idle(run, {"attention", "teacher_forcing"}) == []
