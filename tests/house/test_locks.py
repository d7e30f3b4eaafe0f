"""A folder in use is its run's alone: on one host by a lock that dies with its process, elsewhere by the record of the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from toy_run import SHORT, listen, remains, write_pairs

import jumok
from jumok import locks, quickstart
from jumok.errors import ConfigError, FolderError, JumokError, TrainingError


def busy(who: str) -> TrainingError:
    return TrainingError(f"busy ({who})")


def test_held_once_and_gone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / ".x.lock"
    with locks.held(path, busy) as got:
        assert got and path.exists()
        with (
            pytest.raises(TrainingError, match=rf"busy \(process {os.getpid()} on .*, since \d\d\d\d-"),
            locks.held(path, busy),
        ):
            raise AssertionError
        assert path.exists()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="mine"), locks.held(path, busy):
        raise ValueError("mine")
    assert list(tmp_path.iterdir()) == []


HOLD = """
import sys, time
from pathlib import Path
from jumok import locks
with locks.held(Path(sys.argv[1]), ValueError):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_holder_s_lock_is_free_and_taken_over(tmp_path: Path) -> None:
    path = tmp_path / ".x.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with pytest.raises(TrainingError, match=f"process {holder.pid} on"), locks.held(path, busy):
        raise AssertionError
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert path.exists()
    with locks.held(path, busy) as got:
        assert got
    assert not path.exists()


def test_many_take_turns_and_never_two_at_once(tmp_path: Path) -> None:
    """The file is deleted and made anew all the time: whoever locks the old one must see that."""
    path, inside, most, turns = tmp_path / ".x.lock", [0], [0], [0]
    guard = threading.Lock()

    def work() -> None:
        for _ in range(8):
            with locks.held(path, busy, waiting=lambda _: None):
                with guard:
                    inside[0] += 1
                    most[0], turns[0] = max(most[0], inside[0]), turns[0] + 1
                time.sleep(0.0005)
                with guard:
                    inside[0] -= 1

    with pytest.MonkeyPatch.context() as m:
        m.setattr(locks, "POLL", 0.0005)
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (most[0], turns[0]) == (1, 48) and not path.exists()


def test_a_forked_child_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".x.lock"
    with locks.held(path, busy):
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    try:
        with locks.held(path, busy) as got:
            assert got
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_stranger_s_file_of_that_name_stays(tmp_path: Path) -> None:
    path = tmp_path / ".x.lock"
    path.write_text("precious")
    with pytest.raises(FolderError, match=r"no lock of Jumok's, and stays"), locks.held(path, busy):
        raise AssertionError
    assert path.read_text() == "precious"
    path.unlink()
    path.mkdir()
    with locks.held(path, busy) as got:  # no lock can be, so what is written is checked in another way
        assert not got
    assert path.is_dir()


def test_where_there_are_no_locks_no_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_lock", lambda handle: None)
    with locks.held(tmp_path / ".x.lock", busy) as got:
        assert not got
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [{}, {"overwrite": True}, {"resume": True}])
def test_a_second_run_ends_before_it_reads_data(tmp_path: Path, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    with locks.held(locks.beside(tmp_path / "m"), busy):
        for name in ("m", "./m/", "link", tmp_path / "x" / ".." / "m"):
            with pytest.raises(TrainingError, match=r"another run is training there \(process \d+ on .*\); wait") as caught:
                jumok.train("no such file", out=name, **SHORT | more)
            assert "\n" not in str(caught.value)


def test_studies_and_the_quickstart_are_locked_too(tmp_path: Path) -> None:
    for call in (
        lambda: jumok.study("gradients", out=tmp_path / "s", quiet=True),
        lambda: quickstart.run(str(tmp_path / "s"), 1),
    ):
        with locks.held(locks.beside(tmp_path / "s"), busy), pytest.raises(ConfigError, match=r"under way"):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", [4, 8])
def test_without_locks_the_run_whose_folder_was_taken_ends_and_nothing_is_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Another run with --overwrite comes between two writes: after the first model, and before the record says finished."""
    pairs = write_pairs(tmp_path / "pairs.tsv")
    jumok.train(pairs, out=tmp_path / "whole" / "m", **SHORT | {"seed": 2})
    listen(monkeypatch)
    monkeypatch.setattr(locks, "_lock", lambda handle: None)
    out = tmp_path / "place" / "m"

    def second(at: int, _: Any) -> None:
        if at == step:
            jumok.train(pairs, out=out, overwrite=True, **SHORT | {"seed": 2})

    with pytest.raises(TrainingError, match=r"the folder is another run's now .*so this one ends") as caught:
        jumok.train(pairs, out=out, observe=second, **SHORT)
    assert "\n" not in str(caught.value) and remains(out) == remains(tmp_path / "whole" / "m")


def test_without_locks_who_comes_second_to_a_new_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, out = write_pairs(tmp_path / "pairs.tsv"), tmp_path / "place" / "m"
    monkeypatch.setattr(locks, "_lock", lambda handle: None)
    seen: list[str] = []

    def second(at: int, _: Any) -> None:
        try:
            jumok.train(pairs, out=out, **SHORT | {"seed": 2})
        except JumokError as e:
            seen.append(str(e))

    jumok.train(pairs, out=out, observe=second, **SHORT)
    assert len(seen) == 3 and "an unfinished training is there" in seen[0] and "there already" in seen[1]
