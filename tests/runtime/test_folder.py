"""The model folder: read as it was written, there whole or not at all; and each way it can be wrong, with its message."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import jumok
from jumok import disk
from jumok.config import ModelConfig, TextConfig
from jumok.errors import FolderError
from jumok.runtime.folder import FolderConfig, read_folder, update_folder, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.runtime.record import RECORD, Record, read_record, write_record
from jumok.text import Codec, Pair, build_codec

TEXT = TextConfig(target_tokenizer="space", joint_vocabulary=False)
MODEL = ModelConfig(
    size="small",
    attention="dot",
    alignment="soft",
    copy=False,
    embedding=4,
    hidden=6,
    layers=1,
    score_size=6,
    readout_size=5,
    tie="none",
)
CONFIG = FolderConfig(TEXT, MODEL, (1.5, 5.0), {"learn": {"seed": 1}})
HISTORY = [{"step": 10, "loss": 1.25}]


def codec() -> Codec:
    words = ("cat", "tact", "주목")
    return build_codec([Pair(w, " ".join(w.upper()), (), f"w:{i}") for i, w in enumerate(words)], TEXT)


def parameters(seed: int = 1, model: ModelConfig = MODEL) -> dict[str, np.ndarray]:
    return random_parameters(model, len(codec().source), len(codec().target), seed)


def write(path: Path, seed: int = 1, **options: Any) -> Path:
    write_folder(path, CONFIG, parameters(seed), codec(), "# Card 주목\n", HISTORY, **options)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "model")


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


# --- written and read


def test_what_is_written_is_read_again(folder: Path) -> None:
    found = read_folder(str(folder))
    assert found.path == folder and found.config == CONFIG
    assert found.parameters.keys() == parameters().keys()
    for name, array in parameters().items():
        np.testing.assert_array_equal(found.parameters[name], array)
    assert found.codec.encode_source("tac") == codec().encode_source("tac")
    assert (folder / "README.md").read_text(encoding="utf-8") == "# Card 주목\n"
    assert json.loads((folder / "history.json").read_text()) == HISTORY
    assert names(folder) == ["README.md", "config.json", "history.json", "model.safetensors", "source.json", "target.json"]
    assert names(folder.parent) == ["model"]  # nothing temporary is left


def test_a_folder_from_before_an_option_was_there_has_its_default(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    for name in ("cell", "layers", "reverse_source", "location_length", "window", "window_size", "input_feeding", "copy"):
        del values["model"][name]
    (folder / "config.json").write_text(json.dumps(values))
    assert read_folder(folder).config == CONFIG


def test_what_a_newer_jumok_adds_below_the_same_format_number_is_ignored_and_kept(folder: Path) -> None:
    for name in ("config.json", "source.json", "target.json"):
        values = json.loads((folder / name).read_text())
        sections = [values, *(part for part in values.values() if isinstance(part, dict))]
        for section in sections:
            section["newer"] = {"deep": [1, None]}
        (folder / name).write_text(json.dumps(values))
    assert read_folder(folder).config == replace(CONFIG, training=CONFIG.training | {"newer": {"deep": [1, None]}})
    before = (folder / "config.json").read_bytes()
    update_folder(folder, parameters(2), "", [{"step": 1, "newer": 2}])
    assert (folder / "config.json").read_bytes() == before
    read_folder(folder)


@pytest.mark.parametrize("name", ["jumok", "training"])
def test_what_a_folder_can_do_without_may_be_missing(folder: Path, name: str) -> None:
    values = json.loads((folder / "config.json").read_text())
    del values[name]
    (folder / "config.json").write_text(json.dumps(values))
    assert read_folder(folder).config.model == MODEL


def test_the_record_keeps_what_a_newer_jumok_put_there(tmp_path: Path) -> None:
    write_record(tmp_path, Record("r", "s", "stopped", 3, 9, {"seed": 4}))
    values = json.loads((tmp_path / RECORD).read_text())
    (tmp_path / RECORD).write_text(json.dumps(values | {"newer": [1]}))
    found = read_record(tmp_path)
    assert found is not None
    write_record(tmp_path, found.at(5))
    again = json.loads((tmp_path / RECORD).read_text())
    assert again == values | {"newer": [1], "step": 5, "state": "running"}


@pytest.mark.parametrize("attention", ["none", "location"])
def test_a_window_around_no_content_score_is_refused(folder: Path, attention: str) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["model"] |= {"window": "local-m", "attention": attention}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(FolderError, match=f"window is 'local-m' with attention '{attention}'"):
        read_folder(folder)


def test_input_feeding_is_read_again_and_refused_where_nothing_can_be_fed(tmp_path: Path) -> None:
    model = replace(MODEL, input_feeding=True)
    write_folder(tmp_path / "m", replace(CONFIG, model=model), parameters(1, model), codec(), "", [])
    found = read_folder(tmp_path / "m")
    assert found.config.model.input_feeding and found.parameters["decoder.0.w_feed"].shape == (24, 5)
    values = json.loads((tmp_path / "m" / "config.json").read_text())
    values["model"]["readout"] = "linear"
    (tmp_path / "m" / "config.json").write_text(json.dumps(values))
    with pytest.raises(FolderError, match="input_feeding is on with attention 'dot' and readout 'linear'"):
        read_folder(tmp_path / "m")


def test_config_json_says_format_and_version(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    assert (values["format"], values["jumok"]) == (1, jumok.__version__)
    assert values["search"] == {"limit_ratio": 1.5, "limit_constant": 5.0}


def test_tied_parameters_are_read_again(tmp_path: Path) -> None:
    model = replace(MODEL, tie="target", readout_size=4)
    write_folder(tmp_path / "m", replace(CONFIG, model=model), parameters(1, model), codec(), "", [])
    assert "readout.output" not in read_folder(tmp_path / "m").parameters


def test_update_replaces_weights_card_and_history_only(folder: Path) -> None:
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    update_folder(folder, parameters(2), "# New\n", [*HISTORY, {"step": 20}])
    changed = [name for name in names(folder) if (folder / name).read_bytes() != before[name]]
    assert changed == ["README.md", "history.json", "model.safetensors"]
    np.testing.assert_array_equal(read_folder(folder).parameters["readout.bias"], parameters(2)["readout.bias"])
    assert names(folder) == sorted(before)


def test_update_needs_a_model_folder(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="there is no such folder"):
        update_folder(tmp_path / "none", parameters(), "", [])


# --- what is there already


def test_a_model_folder_is_overwritten_only_when_said(folder: Path) -> None:
    (folder / "checkpoint.safetensors").write_bytes(b"old")
    with pytest.raises(FolderError, match="a model folder is there already; name another one"):
        write(folder, 2)
    np.testing.assert_array_equal(read_folder(folder).parameters["readout.bias"], parameters(1)["readout.bias"])
    write(folder, 2, overwrite=True)
    np.testing.assert_array_equal(read_folder(folder).parameters["readout.bias"], parameters(2)["readout.bias"])
    assert "checkpoint.safetensors" not in names(folder) and names(folder.parent) == ["model"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_a_model_folder_is_never_overwritten(tmp_path: Path, overwrite: bool) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("five years")
    file = tmp_path / "file"
    file.write_text("x")
    for path in (thesis, file):
        with pytest.raises(FolderError, match="not a model folder is there, and stays"):
            write(path, overwrite=overwrite)
    (thesis / "config.json").write_text('{"editor": "vi"}')
    with pytest.raises(FolderError, match=r"stays|there already"):
        write(thesis, overwrite=overwrite)
    assert (thesis / "chapter.txt").read_text() == "five years" and file.read_text() == "x"
    assert names(tmp_path) == ["file", "thesis"]


def test_an_empty_folder_and_missing_parents_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    read_folder(write(tmp_path / "empty"))
    read_folder(write(tmp_path / "a" / "b" / "model"))


def test_a_link_is_followed(folder: Path) -> None:
    link = folder.parent / "latest"
    link.symlink_to(folder, target_is_directory=True)
    write(link, 2, overwrite=True)
    assert link.is_symlink()
    np.testing.assert_array_equal(read_folder(folder).parameters["readout.bias"], parameters(2)["readout.bias"])


def test_a_full_disk_leaves_the_old_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "flush", full)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(folder, 2, overwrite=True)
    with pytest.raises(OSError, match="No space left"):
        update_folder(folder, parameters(2), "", [])
    np.testing.assert_array_equal(read_folder(folder).parameters["readout.bias"], parameters(1)["readout.bias"])
    assert names(folder.parent) == ["model"] and len(names(folder)) == 6


def test_a_failed_rename_puts_the_old_folder_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def failing(source: Path, target: Path) -> None:
        if str(source).endswith(".new"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    monkeypatch.setattr(disk, "_swap", lambda a, b: False)
    with pytest.raises(OSError, match="Input/output"):
        write(folder, 2, overwrite=True)
    np.testing.assert_array_equal(read_folder(folder).parameters["readout.bias"], parameters(1)["readout.bias"])
    assert names(folder.parent) == ["model"]


def test_parameters_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    wrong = parameters()
    wrong["readout.bias"] = np.zeros(3, np.float32)
    with pytest.raises(FolderError, match=r"readout\.bias has shape \[3\]"):
        write_folder(tmp_path / "m", CONFIG, wrong, codec(), "", [])
    assert names(tmp_path) == []


# --- every way it can be wrong


def edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """A damage to config.json."""

    def damage(folder: Path) -> None:
        values = json.loads((folder / "config.json").read_text())
        change(values)
        (folder / "config.json").write_text(json.dumps(values))

    return damage


def rearray(change: Callable[[dict[str, np.ndarray]], Any]) -> Callable[[Path], None]:
    """A damage to the arrays."""

    def damage(folder: Path) -> None:
        arrays = load_file(folder / "model.safetensors")
        change(arrays)
        save_file(arrays, folder / "model.safetensors")

    return damage


def cut(name: str, keep: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:keep])


def bfloat16(folder: Path) -> None:
    header = json.dumps({"readout.bias": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))


def another_vocabulary(folder: Path) -> None:
    build_codec([Pair("abcdefghij", "A B", (), "w:1")], TEXT).save(folder)


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "too new": (
        edit(lambda v: v.update(format=2, jumok="9.1")),
        r"config\.json: made by jumok 9\.1, format 2; this jumok reads 1: upgrade",
    ),
    "too new, with what we do not know": (edit(lambda v: v.update(format=3, quantized=True)), r"format 3; this jumok reads 1"),
    "format 0": (edit(lambda v: v.update(format=0)), r"format is 0; this jumok reads 1"),
    "format is text": (edit(lambda v: v.update(format="1")), r"no format number"),
    "no format": (edit(lambda v: v.pop("format")), r"no format number"),
    "no config": (lambda f: (f / "config.json").unlink(), r"not a model folder: it has no config\.json"),
    "config cut": (cut("config.json", 40), r"config\.json: not JSON in UTF-8"),
    "config empty": (cut("config.json", 0), r"config\.json: not JSON"),
    "config not UTF-8": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe{}"), r"config\.json: not JSON in UTF-8"),
    "config nested too deep": (lambda f: (f / "config.json").write_text("[" * 10**5), r"config\.json: not JSON"),
    "config a list": (lambda f: (f / "config.json").write_text("[1]"), r"no format number"),
    "missing key": (edit(lambda v: v.pop("search")), r"'search' is missing"),
    "an option misspelt": (edit(lambda v: v["model"].update(hiden=v["model"].pop("hidden"))), r"model: hidden not given"),
    "impossible value": (edit(lambda v: v["model"].update(attention="dott")), r"attention is 'dott'; it can be none, dot"),
    "wrong type": (edit(lambda v: v["model"].update(hidden="6")), r"hidden is '6'; it must be a whole number"),
    "section not a section": (edit(lambda v: v.update(text=3)), r"text is 3; wanted a section"),
    "size open": (edit(lambda v: v["model"].update(hidden=None)), r"hidden not given"),
    "layers open": (edit(lambda v: v["model"].update(layers=None)), r"layers not given"),
    "odd hidden": (edit(lambda v: v["model"].update(hidden=7)), r"hidden is 7; with both directions it must be even"),
    "tied, sizes differ": (edit(lambda v: v["model"].update(tie="target")), r"tied embeddings need readout tanh"),
    "limit not finite": (edit(lambda v: v["search"].update(limit_ratio=float("nan"))), r"search is .*numbers from 0 on"),
    "limit missing": (edit(lambda v: v["search"].pop("limit_ratio")), r"search is .*wanted limit_ratio"),
    "training no section": (edit(lambda v: v.update(training=[])), r"training is \[\]"),
    "config of another model": (edit(lambda v: v["model"].update(hidden=8)), r"shape \[\d+, \d+\]; the model's config .* want"),
    "config enormous": (edit(lambda v: v["model"].update(hidden=10**12)), r"shape .* want"),
    "layers without end": (edit(lambda v: v["model"].update(layers=10**12)), r"layers is 1000000000000, but .* arrays"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors: there is no such file"),
    "weights cut": (cut("model.safetensors", 400), r"model\.safetensors: not weights that NumPy can read"),
    "weights a little cut": (lambda f: cut("model.safetensors", -1)(f), r"model\.safetensors: not weights"),
    "weights empty": (cut("model.safetensors", 0), r"model\.safetensors: not weights"),
    "weights bfloat16": (bfloat16, r"model\.safetensors: not weights"),
    "weights float64": (
        rearray(lambda a: a.update({"readout.bias": a["readout.bias"].astype(np.float64)})),
        r"readout\.bias is float64; wanted float32",
    ),
    "weights not finite": (
        rearray(lambda a: a["decoder.0.w_hh"].fill(np.inf)),
        r"decoder\.0\.w_hh holds numbers that are not finite",
    ),
    "wrong shape": (
        rearray(lambda a: a.update({"decoder.0.w_hh": np.zeros((24, 5), np.float32)})),
        r"decoder\.0\.w_hh has shape \[24, 5\]; .* want \[24, 6\]",
    ),
    "array missing": (rearray(lambda a: a.pop("readout.w_c")), r"readout\.w_c is missing"),
    "array too many": (rearray(lambda a: a.update(extra=np.zeros(1, np.float32))), r"the array extra is not part"),
    "embedding a number": (
        rearray(lambda a: a.update({"source.embedding": np.array(1, np.float32)})),
        r"source\.embedding has shape \[\]",
    ),
    "another vocabulary": (another_vocabulary, r"the source vocabulary has 14 entries, but the weights were made for"),
    "no vocabulary": (lambda f: (f / "target.json").unlink(), r"target\.json"),
    "vocabulary cut": (cut("source.json", 30), r"source\.json"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_damaged_folder_is_refused_with_one_line(folder: Path, wrong: str) -> None:
    damage, says = WRONG[wrong]
    damage(folder)
    with pytest.raises(FolderError, match=says) as caught:
        read_folder(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="there is no such folder; wanted a model folder"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FolderError, match="not a model folder"):
        read_folder(tmp_path / "file")
