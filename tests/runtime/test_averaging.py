"""The mean of several models' weights: copies give the model, two the mean; what cannot be averaged is told, and left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_folders import WORDS, random_folder

import jumok
from jumok.cli import main
from jumok.errors import ConfigError, FolderError, JumokError, OutputError
from jumok.runtime.folder import read_folder, write_folder
from jumok.runtime.members import write_ensemble
from jumok.runtime.record import Record, write_record


def nudged(folder: Path, to: Path, by: float = 0.01, seed: int = 0) -> Path:
    """A model whose weights are a little beside those of another."""
    read, generator = read_folder(folder), np.random.default_rng(seed)
    arrays = {n: (a + by * generator.normal(size=a.shape)).astype(np.float32) for n, a in read.parameters.items()}
    write_folder(to, read.config, arrays, read.codec, "card", [])
    return to


def average(*models: Path, out: Path, **options: Any) -> list[str]:
    """The warnings."""
    said: list[str] = []
    assert jumok.average(models, out=out, warn=said.append, **options) == out
    return said


@pytest.mark.parametrize("model", [{}, {"tie": "all", "readout_size": 8}, {"alignment": "monotonic", "copy": True}], ids=str)
def test_of_copies_is_the_model(tmp_path: Path, model: dict) -> None:
    joint = {"joint_vocabulary": True, "target_tokenizer": "char"} if "tie" in model else {}
    a = random_folder(tmp_path / "a", text=joint, **model)
    (tmp_path / "b").symlink_to(a)
    assert average(a, tmp_path / "b", a, out=tmp_path / "m") == [f"{a} is given 3 times, and counts so often"]
    for name, array in read_folder(a).parameters.items():
        assert np.array_equal(read_folder(tmp_path / "m").parameters[name], array), name
    assert jumok.load(tmp_path / "m").translate("cat").tokens == jumok.load(a).translate("cat").tokens


def test_a_folder_of_members_is_all_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = random_folder(tmp_path / "all" / "1")
    second = nudged(first, tmp_path / "all" / "2")
    write_ensemble(tmp_path / "all", 2)
    assert main(["average", str(tmp_path / "all"), "--out", str(tmp_path / "m")]) == 0
    assert capsys.readouterr() == (f"written to {tmp_path / 'm'}: the mean of 2 models\n", "")
    average(first, second, out=tmp_path / "same")
    assert average(tmp_path / "all", out=tmp_path / "python") == []
    for name, array in read_folder(tmp_path / "m").parameters.items():
        assert np.array_equal(array, read_folder(tmp_path / "same").parameters[name])
        assert np.array_equal(array, read_folder(tmp_path / "python").parameters[name])


def test_of_several_is_the_mean_and_says_where_it_comes_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = random_folder(tmp_path / "a", limit=(1.0, 4.0))
    b, c = nudged(a, tmp_path / "b", seed=1), nudged(a, tmp_path / "c", seed=2)
    write_record(b, Record("run7", "s", "running", 30, 90))
    assert main(["average", str(a), f"{b},{c}", "--out", str(tmp_path / "m")]) == 0
    assert capsys.readouterr() == (f"written to {tmp_path / 'm'}: the mean of 3 models\n", "")
    found, parts = read_folder(tmp_path / "m"), [read_folder(f).parameters for f in (a, b, c)]
    for name, array in found.parameters.items():
        np.testing.assert_allclose(array, np.mean([p[name] for p in parts], axis=0), atol=1e-6)
    assert found.config.training["averaged"] == [
        {"folder": str(a)},
        {"folder": str(b), "run": "run7", "step": 30},
        {"folder": str(c)},
    ]
    assert "step 30 of run run7" in (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "m" / "history.json").read_text()) == [] and jumok.load(tmp_path / "m").info().run is None
    assert not list(tmp_path.glob(".*"))


def test_vocabularies_in_another_order_are_put_in_one(tmp_path: Path) -> None:
    a = random_folder(tmp_path / "a")
    b = random_folder(tmp_path / "b", words=("naive", "naive", *reversed(WORDS)))  # the same tokens, by other counts
    codec_a, codec_b = read_folder(a).codec, read_folder(b).codec
    orders = [codec.source.vocabulary.tokens(range(len(codec.source))) for codec in (codec_a, codec_b)]
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])
    average(a, b, out=tmp_path / "m")
    found, one, other = (read_folder(f) for f in (tmp_path / "m", a, b))
    for token in "catnv":
        ((i,), (j,)) = (codec.source.vocabulary.ids([token]) for codec in (codec_a, codec_b))
        mean = (one.parameters["source.embedding"][i] + other.parameters["source.embedding"][j]) / 2
        np.testing.assert_allclose(found.parameters["source.embedding"][i], mean, atol=1e-6)


def test_weights_that_have_nothing_in_common_are_told_of(tmp_path: Path) -> None:
    a, b = random_folder(tmp_path / "a", 1), random_folder(tmp_path / "b", 2)
    (said,) = average(a, b, out=tmp_path / "m")
    assert "b: its weights have little in common with those of" in said and "their ensemble (A,B) is" in said
    assert average(a, nudged(a, tmp_path / "c"), out=tmp_path / "n") == []
    with pytest.warns(UserWarning, match="little in common"):
        jumok.average([a, b], out=tmp_path / "o")


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"hidden": 14}, "its hidden is 14, that of .*a is 12; only models with the same options can be averaged"),
        ({"attention": "dot"}, "its attention is 'dot', that of .*a is 'general'"),
        ({"layers": 2}, "its layers is 2"),
        ({"reverse_source": True}, "its reverse_source is True"),
        ({"words": WORDS[:4]}, "its source vocabulary lacks"),
        ({"text": {"target_form": "NFD"}}, "its target_form is 'NFD', not 'none'"),
    ],
    ids=str,
)
def test_models_that_do_not_fit_are_told_and_nothing_is_written(tmp_path: Path, other: dict, says: str) -> None:
    a, b = random_folder(tmp_path / "a"), random_folder(tmp_path / "b", **other)
    with pytest.raises(FolderError, match=f"b: .*{says}") as caught:
        average(a, b, out=tmp_path / "m")
    assert "\n" not in str(caught.value) and sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_what_is_at_out_stays_unless_it_may_be_replaced(tmp_path: Path) -> None:
    a = random_folder(tmp_path / "a")
    b, m = nudged(a, tmp_path / "b"), nudged(a, tmp_path / "m", 0.5)
    (m / "notes.txt").write_text("mine")
    before = (m / "model.safetensors").read_bytes()
    with pytest.raises(FolderError, match="a model folder is there already"):
        average(a, b, out=m)
    assert (m / "model.safetensors").read_bytes() == before
    average(a, b, out=m, overwrite=True)
    assert (m / "model.safetensors").read_bytes() != before and (m / "notes.txt").read_text() == "mine"
    with pytest.raises(ConfigError, match="--out is one of the models"):
        average(a, b, out=tmp_path / "." / "b", overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        average(a, b, out=tmp_path / "file" / "m")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a", "--out", "m"], "two model folders or more were wanted"),
        (["--out", "m"], "MODELS not given; wanted jumok average MODELS"),
        (["a", "a"], "out is not given"),
        (["a", "nothing", "--out", "m"], "nothing: there is no such folder"),
    ],
)
def test_wrong_use_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    random_folder(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    assert main(["average", *arguments]) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "m").exists()
    with pytest.raises(JumokError, match="two model folders or more"):
        jumok.average("a,a", out="m")
