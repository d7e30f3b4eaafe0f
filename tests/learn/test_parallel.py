"""A batch in parts, in one process after the other or in many at once: the same step; and a run of two processes."""

import dataclasses
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import one_of_many
import pytest
import torch
from one_of_many import LEARN, MODEL, STEPS, batches, losses, new_loop, train, write_pairs
from safetensors.numpy import load_file

import jumok
from jumok.config import LearnConfig, check
from jumok.errors import ConfigError
from jumok.learn.parallel import ALONE, Team, _greeted

SCRIPT = Path(one_of_many.__file__)


@pytest.fixture(autouse=True)
def one_thread():
    """Products of 8 by 8 numbers are not made faster by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_parts_are_a_batch_dealt_out():
    (batch,) = batches(10, 10).epoch(0)
    for size, accumulate in ((1, 1), (1, 3), (3, 1), (2, 4), (4, 4)):
        shares = [list(Team(rank, size).parts(batch, accumulate)) for rank in range(size)]
        assert max(map(len, shares)) <= accumulate
        parts = [part for share in shares for part in share]
        assert sorted(row for part in parts for row in part.rows) == sorted(batch.rows)
        counts = [len(part.rows) for part in parts]
        assert max(counts) - min(counts) <= 1 and min(counts) > 0
        for part in parts:
            for i, row in enumerate(part.rows):
                place = batch.rows.tolist().index(row)
                n, m = part.source_lengths[i], part.target_lengths[i]
                assert (n, m) == (batch.source_lengths[place], batch.target_lengths[place])
                assert (part.source[i, :n] == batch.source[place, :n]).all() and not part.source[i, n:].any()
                assert (part.target[i, :m] == batch.target[place, :m]).all() and not part.target[i, m:].any()
            assert part.source.shape[1] == part.source_lengths.max() and part.target.shape[1] == part.target_lengths.max()
    assert next(ALONE.parts(batch, 1)) is batch


@functools.cache
def whole_batches(options):
    return losses(new_loop(model=options))


@pytest.mark.parametrize("accumulate", [2, 3, 6])  # of batches of 7 and 5 pairs
@pytest.mark.parametrize("model", [{}, {"input_feeding": True, "layers": 2}], ids=["fused", "input feeding"])
def test_accumulation_is_the_step_of_the_whole_batch(accumulate, model):
    options = dataclasses.replace(MODEL, **model)
    whole = whole_batches(options)
    parts = losses(new_loop(dataclasses.replace(LEARN, accumulate=accumulate), options))
    assert whole[-1] < 0.9 * whole[0]  # it learns, so that equal is not equal for want of movement
    np.testing.assert_allclose(parts, whole, rtol=1e-10)


def test_accumulate_must_be_a_number_of_parts():
    with pytest.raises(ConfigError, match="accumulate is 0; it must be 1 or more"):
        check(LearnConfig(accumulate=0))


def test_a_new_attempt_does_not_read_the_notes_of_the_one_before():
    store = torch.distributed.HashStore()
    for attempt, late in enumerate((0, 1, 2, 0)):

        def greet(rank, attempt=attempt, late=late):
            time.sleep(0.1 * (rank == late))
            mine = _greeted(store, rank, 3)
            if rank == 0:
                mine.set("said", f"in attempt {attempt}")
            return mine.get("said").decode()

        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(greet, range(3))) == [f"in attempt {attempt}"] * 3
        store.set("word of 1", "of one who came and died before it was answered")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    lines = write_pairs(folder / "pairs.tsv").read_text().splitlines(keepends=True)
    (folder / "pairs.dev.tsv").write_text("".join(lines[::2]))
    (folder / "pairs.tsv").write_text("".join(lines[1::2]))
    return folder


@pytest.fixture(scope="module")
def seen(folder):
    """What two processes have seen, of each scene of `one_of_many.py`: [the first's, the second's]."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    where = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = [
        subprocess.Popen([sys.executable, SCRIPT, folder], env=os.environ | where | {"RANK": str(rank)}, stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=300)[1].decode() for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, -signal.SIGKILL], said  # as the last scene has it
    found = [json.loads((folder / f"seen by {rank}.json").read_text()) for rank in range(2)]
    return {scene: [one[scene] for one in found if scene in one] for scene in found[0]}


def same_weights(a, b):
    a, b = (load_file(folder / "model.safetensors") for folder in (a, b))
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(("scene", "count"), [("float64", 61), ("float64 in parts", 61), ("float64, one pair left over", 15)])
def test_two_processes_make_the_step_of_one(seen, scene, count):
    alone = losses(new_loop(count=count))
    assert len(alone) == STEPS and alone[-1] < 0.9 * alone[0]
    for found in seen[scene]:
        np.testing.assert_allclose(found, alone, rtol=1e-10)
    assert seen[scene][0] == seen[scene][1]


def test_a_run_of_two_processes_is_that_of_one_with_two_parts(seen, folder):
    alone = train(folder, "alone", dropout=0.0, accumulate=2)
    for found in seen["plain"]:
        assert [e["step"] for e in found["history"]] == [10, 20, 30]
        for theirs, ours in zip(found["history"], alone["history"], strict=True):
            for name in ("train_loss", "loss", "accuracy", "token-error-rate", "gap"):
                assert theirs[name] == pytest.approx(ours[name], rel=1e-3, abs=1e-3), name
    assert jumok.load(folder / "plain").config.training["learn"]["steps"] == 30


def test_only_the_first_process_writes(seen, folder):
    assert not list(folder.glob("own *"))
    assert sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name != "alone") == [
        *("killed", "measured", "plain", "resumed", "whole")
    ]


def test_one_is_told_to_stop_and_all_stop_at_the_same_step(seen):
    assert [one["interrupted"] for one in seen["stopped"]] == [signal.SIGTERM] * 2
    assert [[e["step"] for e in one["history"]] for one in seen["stopped"]] == [[10]] * 2


def test_restarted_by_torchrun_it_goes_on_exactly(seen, folder):
    for whole, resumed in zip(seen["whole"], seen["resumed"], strict=True):
        assert [e["loss"] for e in resumed["history"]] == [e["loss"] for e in whole["history"]]
    assert same_weights(folder / "whole", folder / "resumed")
    assert not same_weights(folder / "whole", folder / "plain")  # dropout does something


def test_all_settle_what_the_first_has_measured(seen):
    first, second = (one["settled"] for one in seen["measured"])
    assert first == second and first["steps"] > 10
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert first["threads"] <= max(1, cores // 2)


def test_an_error_of_one_is_the_error_of_all_and_told_once(seen):
    for scene, message in (
        ("missing", "process 1 of 2 .*missing.tsv"),
        ("other data", "process 1 of 2 has other training pairs"),
    ):
        first, second = seen[scene]
        assert {first["told"], second["told"]} == {True, False}
        assert all(part in first["error"] for part in message.split(" .*"))
    assert "missing.tsv" in seen["missing"][1]["error"]


def test_when_one_is_killed_the_other_ends_and_says_so(seen):
    (left,) = seen["killed"]
    assert "the connection to another process broke" in left["error"] and "--resume" in left["error"] and not left["told"]
