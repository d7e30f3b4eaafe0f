"""A disk that fails at any call, once or from then on, while a checkpoint or a model folder is written: nothing is lost."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faulty_disk import Death, Faulty, faulty
from safetensors.numpy import load_file

from jumok import disk
from jumok.config import ModelConfig, TextConfig
from jumok.errors import FolderError, TrainingError
from jumok.learn.checkpoint import read_checkpoint, write_checkpoint
from jumok.runtime.folder import CHECKPOINTS, OWN, FolderConfig, read_folder, update_folder, write_folder
from jumok.runtime.parameters import random_parameters
from jumok.text import Pair, build_codec

ERRORS = [errno.ENOSPC, errno.EROFS, errno.ENOENT, errno.EIO]
TEXT = TextConfig(joint_vocabulary=False)
MODEL = ModelConfig(size="small", embedding=4, hidden=6, score_size=6, readout_size=5, tie="none")
CODEC = build_codec([Pair("cat", "tac", (), "w:1")], TEXT)

every_way = pytest.mark.parametrize(
    ("code", "lasting"), [pytest.param(c, l, id=f"{errno.errorcode[c]}-{l}") for c in ERRORS for l in (False, True)]
)


def parameters(seed: int) -> dict[str, np.ndarray]:
    return random_parameters(MODEL, len(CODEC.source), len(CODEC.target), seed)


def at_every_call(
    error: Callable[[], BaseException], lasting: bool, work: Callable[[], None], **options: Any
) -> Iterator[Faulty]:
    """Does the work with its 1st, 2nd, … call of the disk failing, until it needs no more of them; yields after each failure."""
    n = 0
    while True:
        n += 1
        with faulty(n, error, lasting, **options) as system:
            try:
                work()
            except (OSError, TrainingError, FolderError, Death):
                system.raised = True
        if not system.failed:
            assert n > 5
            return
        # a failure is only not told where nothing hangs on it: clearing up, a folder that is there, a copy instead of a link
        harmless = ("mkdir", "unlink", "rmdir", "open", "link", "swap")
        assert system.raised or system.names[system.at - 1] in harmless, system.names
        yield system


def facts(step: int) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    return {"w": torch.full((50,), float(step)), "scalar": torch.tensor(step)}, {"position": {"step": step}, "written": False}


def step_of(folder: Path) -> int:
    """The newest good checkpoint's step; all of it must be of that step."""
    found = read_checkpoint(folder, lambda _: None)
    assert found is not None
    tensors, values = found
    step = values["position"]["step"]
    assert tensors["w"].tolist() == [float(step)] * 50 and tensors["scalar"].item() == step
    return step


@every_way
def test_a_checkpoint_that_cannot_be_written_leaves_the_old_ones(tmp_path: Path, code: int, lasting: bool) -> None:
    write_checkpoint(tmp_path, *facts(1))
    write_checkpoint(tmp_path, *facts(2))

    def fail() -> OSError:
        return OSError(code, os.strerror(code))

    def work() -> None:
        try:
            write_checkpoint(tmp_path, *facts(3))
        except TrainingError as e:
            assert os.strerror(code) in str(e) and "--resume" in str(e) and "\n" not in str(e)
            raise

    for system in at_every_call(fail, lasting, work):
        done = system.names[: system.at - 1].count("replace") == 2
        assert (tmp_path / CHECKPOINTS[0]).exists() or lasting  # renamed back, if it could be
        assert step_of(tmp_path) == (3 if done else 2) and (done or system.raised)
        for name in (*CHECKPOINTS, *(f".{name}.new" for name in OWN)):
            (tmp_path / name).unlink(missing_ok=True)
        write_checkpoint(tmp_path, *facts(1))
        write_checkpoint(tmp_path, *facts(2))
    assert step_of(tmp_path) == 3
    (tmp_path / CHECKPOINTS[0]).unlink()
    assert step_of(tmp_path) == 2


def test_all_is_on_the_disk_before_its_name_is(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with faulty() as system:
        write_checkpoint(path, *facts(1), make=True)
    assert system.names[:3] == ["mkdir", "open", "fsync"]  # the new folder's name
    once = [name for name, _ in itertools.groupby(system.names[3:])]  # one write for each array
    assert once[:7] == ["create", "write", "flush", "fsync", "replace", "open", "fsync"]
    with faulty() as system:
        write(path, 1, overwrite=True, carry=CHECKPOINTS)
    before = system.names[: system.names.index("swap")]
    files = len(list(path.iterdir())) - 1
    assert before.count("create") == files and before.count("fsync") == files + 1  # and the folder they are in
    assert system.names[len(before) :][:3] == ["swap", "open", "fsync"]
    with faulty() as system:
        update_folder(path, parameters(2), "", [])
    written, renamed = system.names[: system.names.index("replace")], system.names[system.names.index("replace") :]
    assert written == ["create", "write", "flush", "fsync"] * 3
    assert renamed[:5] == ["replace"] * 3 + ["open", "fsync"]


def test_death_at_any_call_leaves_a_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, *facts(1))
    step, steps = 1, set()
    for _ in at_every_call(Death, True, lambda: write_checkpoint(tmp_path, *facts(2))):
        step = step_of(tmp_path)
        steps.add(step)
        for name in CHECKPOINTS:
            (tmp_path / name).unlink(missing_ok=True)
        write_checkpoint(tmp_path, *facts(1))
    assert steps == {1, 2}


def seed_of(path: Path) -> int:
    """Which of the two models is in the folder; all of it must be readable."""
    found = read_folder(path)
    [seed] = [s for s in (1, 2) if all(np.array_equal(found.parameters[k], a) for k, a in parameters(s).items())]
    return seed


def write(path: Path, seed: int, **options: Any) -> None:
    config = FolderConfig(TEXT, MODEL, (1.0, 5.0), {"seed": seed})
    write_folder(path, config, parameters(seed), CODEC, f"# Card {seed}\n", [{"seed": seed}], **options)


@every_way
@pytest.mark.parametrize("swaps", [True, False])
def test_a_model_that_cannot_be_replaced_stays(tmp_path: Path, code: int, lasting: bool, swaps: bool) -> None:
    path = tmp_path / "model"
    write(path, 1)
    write_checkpoint(path, *facts(7))

    def work() -> None:
        write(path, 2, overwrite=True, carry=CHECKPOINTS)

    for system in at_every_call(lambda: OSError(code, os.strerror(code)), lasting, work, swaps=swaps):
        if not swaps and lasting:  # the old one could not be renamed back either: the next run does
            assert path.exists() or disk.left_behind(path)
            disk.bring_back(path)
        assert step_of(path) == 7
        seed, before = seed_of(path), system.names[: system.at - 1]
        done = not system.raised or "swap" in before or before.count("rename") == 2
        assert seed == (2 if done else 1)
        assert read_folder(path).config.training == {"seed": seed}
        assert (path / "README.md").read_text() == f"# Card {seed}\n"
        disk.sweep(path, OWN)
        assert [p.name for p in tmp_path.iterdir()] == ["model"]
        if seed == 2:
            write(path, 1, overwrite=True, carry=CHECKPOINTS)
    assert seed_of(path) == 2 and step_of(path) == 7


@every_way
def test_a_better_model_that_cannot_be_written_leaves_the_old_files(tmp_path: Path, code: int, lasting: bool) -> None:
    path = tmp_path / "model"
    write(path, 1)
    old = {p.name: p.read_bytes() for p in path.iterdir()}

    def work() -> None:
        update_folder(path, parameters(2), "# Card 2\n", [{"seed": 2}])

    for system in at_every_call(lambda: OSError(code, os.strerror(code)), lasting, work):
        renamed = system.names[: system.at - 1].count("replace") if system.raised else 3
        assert seed_of(path) == (2 if renamed else 1)
        now = {p.name: p.read_bytes() for p in path.iterdir() if not p.name.startswith(".")}
        assert now.keys() == old.keys() and sum(now[name] != old[name] for name in old) == renamed
        disk.sweep(path, OWN)
        update_folder(path, parameters(1), "# Card 1\n", [{"seed": 1}])
    assert seed_of(path) == 2 and (path / "README.md").read_text() == "# Card 2\n"


def test_a_first_model_that_cannot_be_written_leaves_nothing_but_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model"

    def work() -> None:
        write_checkpoint(path, *facts(7), make=True)
        write(path, 1, overwrite=True, carry=CHECKPOINTS)

    for _ in at_every_call(lambda: OSError(errno.ENOSPC, "full"), False, work):
        if not (path / "config.json").exists():
            with pytest.raises(FolderError, match=r"no config|no such folder|no model yet"):
                read_folder(path)
        else:
            assert seed_of(path) == 1 and step_of(path) == 7
        assert set(p.name for p in tmp_path.iterdir()) <= {"model"}
        shutil.rmtree(path, ignore_errors=True)
    assert load_file(path / "model.safetensors").keys() == parameters(1).keys()
