"""Calibration by hand: bins, their means, the expected error; and where `evaluate` shows it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_folders import random_folder

import jumok
from jumok.cli import main
from jumok.errors import ConfigError, DataError
from jumok.measure import Fit, as_dict, calibration, table
from jumok.measure.reliability import fitted


def test_by_hand() -> None:
    p, right = [0.05, 0.61, 0.65, 0.69, 1.0, None], [True, True, True, False, True, False]
    found = calibration(p, ["x" if r else "y" for r in right], [["x"]] * 6)
    bins = [tuple(b.values()) for b in found.detail["bins"]]
    assert bins == [
        (0.0, 0.1, 1, 0.05, 1.0),
        (0.6, 0.7, 3, pytest.approx(0.65), pytest.approx(2 / 3)),
        (0.9, 1.0, 1, 1.0, 1.0),
    ]
    assert found.value == pytest.approx(100 * (0.95 + 3 * abs(2 / 3 - 0.65) + 0) / 5)
    assert found.detail["brier"] == pytest.approx((0.95**2 + 0.39**2 + 0.35**2 + 0.69**2 + 0) / 5)
    assert (found.detail["lines"], found.detail["left_out"]) == (5, 1)
    assert found.detail["probability"] == pytest.approx(3 / 5) and found.detail["right"] == 0.8
    assert table([found])[2:-1] == [
        "calibration: outputs by their probability, and how many are right",
        "  probability  outputs     mean    right",
        "     0 – 10 %        1    5.0 %  100.0 %",
        "    60 – 70 %        3   65.0 %   66.7 %",
        "   90 – 100 %        1  100.0 %  100.0 %",
        "          all        5   60.0 %   80.0 %",
    ]
    assert as_dict([found])["calibration"]["higher_is_better"] is False


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_outputs_that_are_right_as_often_as_they_say_have_little_error(seed: int) -> None:
    """4,000 outputs: a bin of 400 has a standard error of 2.5 % at most, so that the mean over ten is above 4 once in 10^6."""
    generator = np.random.default_rng(seed)
    p = generator.random(4000)
    hypotheses = ["x" if r else "y" for r in generator.random(4000) < p]
    assert calibration(p.tolist(), hypotheses, [["x"]] * 4000).value < 4
    assert calibration((p / 2).tolist(), hypotheses, [["x"]] * 4000).value == pytest.approx(25, abs=4)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([(0.0, 1.0), (3.0, 2.0), (1.0, 0.5)]))
def test_the_fit_that_was_planted_is_found(seed: int, planted: tuple[float, float]) -> None:
    """Of 4,000 outputs; the standard errors are below 0.13 and 0.1 (inverse Fisher information), so that five of them are no chance."""
    generator = np.random.default_rng(seed)
    logs = np.log(generator.uniform(0.02, 0.98, 4000))
    hypotheses = ["x" if r else "y" for r in generator.random(4000) < Fit(*planted)(logs)]
    detail = calibration(np.exp(logs).tolist(), hypotheses, [["x"]] * 4000).detail
    found = Fit(**detail["fit"])
    assert (found.constant, found.slope) == (pytest.approx(planted[0], abs=0.65), pytest.approx(planted[1], abs=0.5))
    assert detail["value_after"] < 4
    assert found(-1.0) == pytest.approx(1 / (1 + np.exp(found.slope - found.constant))) and found(-np.inf) < 0.1


def test_the_fit_is_the_likeliest() -> None:
    """With Platt's targets the gradient is 0 there."""
    logs, right = np.array([-3.0, -2.0, -1.0, -0.5, -0.1]), np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    fit = fitted(logs, right)
    assert fit is not None
    off = fit(logs) - np.where(right > 0, 4 / 5, 1 / 4)
    assert [off.sum(), (off * logs).sum()] == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize("hypothesis", ["x", "y"])
def test_nothing_is_fitted_where_all_are_right_or_all_are_wrong(hypothesis: str) -> None:
    found = calibration([0.5, 0.7], [hypothesis] * 2, [["x"]] * 2)
    assert found.detail["fit"] is found.detail["value_after"] is None and "fits" not in table([found])[-1]


@pytest.mark.parametrize("p", [[0.0, 1.0, 0.5, 1e-320], [1.0, 1.0, 1.0, 1.0], [0.1, 0.9, 0.1, 0.9]], ids=str)
def test_probabilities_of_any_size_are_fitted(p: list[float]) -> None:
    """All the same, 0 and 1, and such that they part right from wrong."""
    found = calibration(p, ["y", "x", "y", "x"], [["x"]] * 4).detail
    assert all(np.isfinite(list(found["fit"].values()))) and 0 <= found["value_after"] <= 100


def test_any_reference_makes_an_output_right() -> None:
    assert calibration([1.0, 1.0], ["a", "b"], [["x", "a"], ["b"]]).value == 0


@pytest.mark.parametrize(
    ("p", "says"),
    [([0.5], "1 probabilities for 2 outputs"), ([None, None], "no output has a probability"), ([0.5, 1.5], "not from 0 to 1")],
)
def test_what_has_none_is_one_line(p: list, says: str) -> None:
    with pytest.raises(DataError, match=says):
        calibration(p, ["a", "b"], [["a"], ["b"]])


def test_evaluate_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = random_folder(tmp_path / "m", text={"max_tokens": 2})
    (tmp_path / "t.tsv").write_text(f"cat\tC A T\nwhy\tW H Y\n{'a' * 30}\tA\n", encoding="utf-8")
    arguments = [str(folder), str(tmp_path / "t.tsv"), "--metrics", "accuracy", "calibration"]
    assert main(["evaluate", *arguments]) == 0
    out = capsys.readouterr().out
    assert "calibration: outputs by their probability, and how many are right" in out and "all        2" in out
    assert main(["evaluate", *arguments, "--json"]) == 0
    detail = json.loads(capsys.readouterr().out)["metrics"]["calibration"]["detail"]
    assert detail["left_out"] == 1 and sum(b["outputs"] for b in detail["bins"]) == 2
    outputs = jumok.load(folder).translate(["cat", "why"], beam=2)
    done = jumok.evaluate(folder, [("cat", "C A T"), ("why", "W H Y")], "calibration", beam=2)
    assert done.metrics["calibration"].detail["probability"] == pytest.approx(np.mean([t.probability for t in outputs]))
    with pytest.raises(ConfigError, match="accuracy, token-error-rate, bleu, chrf, calibration"):
        jumok.evaluate(folder, [("cat", "C A T")], "calibrated")
