"""The checkpoint's file: read as it was written, two generations, and every damage seen."""

from __future__ import annotations

import errno
import json
import os
import random
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from jumok.errors import TrainingError
from jumok.learn import checkpoint
from jumok.learn.checkpoint import BEFORE, NEWEST, has_checkpoint, read_checkpoint, remove_checkpoint, write_checkpoint

TENSORS = {
    "model.w": torch.arange(6.0).reshape(2, 3).t(),
    "adam.0.step": torch.tensor(3.0),
    "random": torch.arange(9, dtype=torch.uint8),
    "half": torch.ones(3, dtype=torch.bfloat16),
}
FACTS = {"position": {"step": 3, "best": 0.1 + 0.2, "history": [{"loss": float("inf"), "name": '"sha256":"x" 주목'}]}}


def read(folder: Path) -> tuple[dict[str, torch.Tensor], dict, list[str]]:
    said: list[str] = []
    found = read_checkpoint(folder, said.append)
    assert found is not None
    return *found, said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With checkpoints of step 1 and 2."""
    for step in (1, 2):
        write_checkpoint(tmp_path, {"w": torch.full((300,), float(step))}, {"step": step})
    return tmp_path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, TENSORS, FACTS)
    tensors, facts, said = read(tmp_path)
    assert tensors.keys() == TENSORS.keys() and said == []
    for name, t in TENSORS.items():
        assert tensors[name].dtype == t.dtype and torch.equal(tensors[name], t)
    assert facts == {"format": checkpoint.FORMAT, **FACTS}
    assert [p.name for p in tmp_path.iterdir()] == [NEWEST]
    with safe_open(tmp_path / NEWEST, "pt") as f:  # a safetensors file like any other
        assert json.loads(f.metadata()["jumok"])["position"]["step"] == 3 and len(f.metadata()["sha256"]) == 64


def test_the_one_before_is_kept(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == [BEFORE, NEWEST]
    assert read(folder)[1]["step"] == 2
    write_checkpoint(folder, {"w": torch.zeros(1)}, {"step": 3})
    (folder / NEWEST).unlink()
    _, facts, said = read(folder)
    assert facts["step"] == 2 and f"{NEWEST} is missing" in said[0] and BEFORE in said[1]


def test_none_at_all(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path, print) is None and not has_checkpoint(tmp_path)
    assert read_checkpoint(tmp_path / "nowhere", print) is None


def test_a_folder_is_made_only_when_said(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"No such file.*moved or deleted while training"):
        write_checkpoint(tmp_path / "a" / "b", TENSORS, FACTS)
    assert not (tmp_path / "a").exists()
    write_checkpoint(tmp_path / "a" / "b", TENSORS, FACTS, make=True)
    assert has_checkpoint(tmp_path / "a" / "b")


def test_remove_takes_both(folder: Path) -> None:
    remove_checkpoint(folder)
    remove_checkpoint(folder)
    assert list(folder.iterdir()) == []


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_flipped_bit_is_seen(folder: Path) -> None:
    """Bits of the header's length, of the header and of the numbers; the one before is taken, and said to be."""
    path, good = folder / NEWEST, (folder / NEWEST).read_bytes()
    bits = random.Random(0).sample(range(len(good) * 8), 300) + list(range(64)) + [len(good) * 8 - 1]
    for bit in bits:
        path.write_bytes(flip(good, bit))
        _, facts, said = read(folder)
        assert facts["step"] == 1 and "damaged" in said[0] and NEWEST in said[0], bit
    path.write_bytes(good)
    assert read(folder)[1]["step"] == 2


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 100, 400, -1])
def test_every_cut_is_seen(folder: Path, keep: int) -> None:
    (folder / NEWEST).write_bytes((folder / NEWEST).read_bytes()[:keep])
    assert read(folder)[1]["step"] == 1


def test_more_at_the_end_is_seen(folder: Path) -> None:
    (folder / NEWEST).write_bytes((folder / NEWEST).read_bytes() + b"\0")
    assert read(folder)[1]["step"] == 1


def test_a_damaged_one_never_pushes_the_good_one_out(folder: Path) -> None:
    (folder / NEWEST).write_bytes(b"")
    assert read(folder)[1]["step"] == 1
    write_checkpoint(folder, {"w": torch.zeros(1)}, {"step": 9})
    (folder / NEWEST).write_bytes(b"")
    assert read(folder)[1]["step"] == 1


def test_both_damaged_is_one_clear_error(folder: Path) -> None:
    for name in (NEWEST, BEFORE):
        (folder / name).write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(TrainingError, match=rf"{NEWEST}.*damaged.*{BEFORE}.*damaged.*--overwrite") as caught:
        read_checkpoint(folder, print)
    assert "\n" not in str(caught.value)


def test_a_stranger_s_safetensors_file_is_no_checkpoint(folder: Path) -> None:
    save_file({"w": torch.zeros(1)}, folder / NEWEST)
    _, facts, said = read(folder)
    assert facts["step"] == 1 and "no checksum" in said[0]


@pytest.mark.parametrize(("code", "passes"), [(errno.EACCES, True), (errno.ESTALE, True), (errno.EIO, False)])
def test_what_may_be_read_later_is_not_thrown_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, passes: bool
) -> None:
    """A disk that has lost the file's content is another thing than one that does not answer."""

    def unreadable(path: Path, mode: str) -> object:
        if path.name == NEWEST:
            raise OSError(code, os.strerror(code))
        return open(path, mode)

    with monkeypatch.context() as m:
        m.setattr(checkpoint, "open", unreadable, raising=False)
        if passes:
            with pytest.raises(
                TrainingError, match=rf"{NEWEST}: the checkpoint cannot be read \({os.strerror(code)}\).*--resume"
            ):
                read(folder)
        else:
            assert read(folder)[1]["step"] == 1
    assert (folder / NEWEST).exists() == passes and read(folder)[1]["step"] == (2 if passes else 1)


def test_another_format_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 3)
    with pytest.raises(TrainingError, match=r"checkpoint format 2; this jumok reads 3; train anew with --overwrite"):
        read(folder)


def test_a_checkpoint_replaced_while_it_is_read_is_no_mixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no lock holds the other run up: safetensors opens the file anew, and could meet another one."""
    import safetensors

    write_checkpoint(tmp_path, TENSORS, FACTS)
    really = safetensors.safe_open

    def late(*given: object) -> object:
        write_checkpoint(tmp_path, {"w": torch.zeros(7)}, {"step": 9})
        return really(*given)

    monkeypatch.setattr(safetensors, "safe_open", late)
    with pytest.raises(TrainingError, match="another run replaced the checkpoint"):
        read_checkpoint(tmp_path, print)
