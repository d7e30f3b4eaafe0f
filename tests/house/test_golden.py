"""Folders that an older version wrote: they load, translate as they did, and their interrupted training goes on to the same end."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import jumok

GOLDEN = Path(__file__).parents[1] / "golden" / "2026-11"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("engine, most", [("numpy", 1e-5), ("auto", 1e-3)])
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_model_folder_translates_as_it_did(name: str, engine: str, most: float) -> None:
    model, expected = jumok.load(GOLDEN / name, engine), EXPECTED[name]
    found = model.translate([line["source"] for line in expected], beam=3)
    assert [t.text for t in found] == [line["text"] for line in expected]
    for t, line in zip(found, expected, strict=True):
        assert t.score == pytest.approx(line["score"], abs=most)
        assert t.weights is not None
        np.testing.assert_allclose(t.weights[0], line["first_weights"], atol=most)


def test_a_checkpoint_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    out = tmp_path / "model"
    shutil.copytree(GOLDEN / "stopped", out)
    shutil.copy(GOLDEN / "pairs.tsv", tmp_path)
    done = jumok.train(tmp_path / "pairs.tsv", out=out, resume=True, quiet=True)
    wanted = json.loads((GOLDEN / "whole" / "history.json").read_text(encoding="utf-8"))
    assert [entry["step"] for entry in json.loads((out / "history.json").read_text(encoding="utf-8"))] == [4, 8, 12]
    assert done.best_step == next(entry["step"] for entry in reversed(wanted) if entry["best"])
    whole, resumed = load_file(GOLDEN / "whole" / "model.safetensors"), load_file(out / "model.safetensors")
    assert whole.keys() == resumed.keys()
    for key, array in whole.items():  # another CPU may round another way
        np.testing.assert_allclose(resumed[key], array, atol=1e-5, err_msg=key)
    assert not list(out.glob("checkpoint*"))
