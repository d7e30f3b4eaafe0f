"""Evaluations: what is written is what is read, they read like the dicts they are in `history.json`, and older entries load."""

import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumok.learn.history import Evaluation, Position, best_of, read_history
from jumok.measure import METRICS

GOLDEN = Path(__file__).parents[1] / "golden" / "2026-11"
numbers = st.floats(allow_nan=False)
evaluations = st.builds(
    Evaluation,
    **{name: numbers for name in ("epoch", "seconds", "learning_rate", "gold_share", "tokens_per_second", "train_loss")},
    step=st.integers(1),
    skipped=st.integers(0),
    metrics=st.dictionaries(st.sampled_from(["loss", "gap", *METRICS]), numbers),
    best=st.booleans(),
)
positions = st.builds(
    Position,
    step=st.integers(0),
    best=st.none() | numbers,
    switched=st.none() | st.integers(0),
    history=st.lists(evaluations, max_size=4),
)


@given(positions)
def test_a_position_comes_back_from_json(at: Position) -> None:
    again = Position.from_dict(json.loads(json.dumps(at.to_dict())))
    assert again == at and again.kept() == at.kept()
    assert all(type(evaluation) is Evaluation for evaluation in again.history)


@given(evaluations)
def test_an_evaluation_reads_like_its_dict(evaluation: Evaluation) -> None:
    written = evaluation.to_dict()
    assert evaluation == written and dict(evaluation) == {**evaluation} == written
    assert list(evaluation) == list(written) and "step" in evaluation and "no such" not in evaluation
    assert evaluation["step"] == evaluation.step and evaluation.get("no such") is None
    assert evaluation["metrics"] == list(evaluation.metrics)
    assert all(evaluation[name] == value for name, value in evaluation.metrics.items())
    assert pickle.loads(pickle.dumps(evaluation)) == evaluation
    with pytest.raises(dataclasses.FrozenInstanceError):
        evaluation.step = 0  # type: ignore[misc]


def test_a_golden_history_is_read_and_written_unchanged() -> None:
    written = json.loads((GOLDEN / "whole" / "history.json").read_text(encoding="utf-8"))
    history = read_history(GOLDEN / "whole")
    assert [evaluation.to_dict() for evaluation in history] == written and len(written) > 1
    assert list(history[0].to_dict()) == list(written[0])
    kept = best_of(history)
    assert kept is not None and kept == next(entry for entry in reversed(written) if entry["best"])


@pytest.mark.parametrize(
    ("entry", "metrics"),
    [
        ({"step": 3, "best": True}, {}),
        ({"step": 3, "best": True, "loss": 1.5, "accuracy": 20}, {"loss": 1.5, "accuracy": 20}),  # no list of names
        ({"step": 3, "best": True, "loss": 1.5, "remark": "x", "metrics": ["loss"], "later": 7}, {"loss": 1.5}),
    ],
)
def test_entries_of_other_versions_are_read(entry: dict[str, Any], metrics: dict[str, float], tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text(json.dumps([entry]), encoding="utf-8")
    (evaluation,) = read_history(tmp_path)
    assert (evaluation.step, evaluation.best, evaluation.metrics) == (3, True, metrics)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"step": 1}]', '[{"step": 1, "best": true, "metrics": ["bleu"]}]'])
def test_a_damaged_history_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text(text, encoding="utf-8")
    assert read_history(tmp_path) == read_history(tmp_path / "missing") == []
