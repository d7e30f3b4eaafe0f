"""Members trained side by side are those that are trained one after another; what stops one of the processes loses nothing."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_run import TINY, same_weights, write_pairs

import jumok
from jumok.config import TrainConfig, build
from jumok.errors import ConfigError, DataError, TrainingError
from jumok.learn import beginning, members, side_by_side, worker
from jumok.learn.checkpoint import read_checkpoint
from jumok.learn.display import Display
from jumok.learn.side_by_side import Order, train_members
from jumok.learn.start import SITTING
from jumok.processes import worker_environment

QUICK = TINY | {"steps": 30, "evaluate_every": 15, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv", 200)


@pytest.fixture(scope="module")
def one_by_one(data, tmp_path_factory) -> Path:
    return jumok.train(data, out=tmp_path_factory.mktemp("one") / "m", members=3, seed=5, **QUICK).folder


def test_they_are_the_models_that_one_after_another_would_be(one_by_one, data, tmp_path, capfd):
    done = jumok.train(data, out=tmp_path / "m", members=3, jobs=2, seed=5, **QUICK)
    said = capfd.readouterr()
    assert not said.out and not said.err
    assert all(same_weights(done.folder / n, one_by_one / n) for n in "123")
    assert done.folder == tmp_path / "m" and not done.interrupted and done.history[-1].step == 30 and done.best is not None
    assert done.config.learn.steps == 30 and len(jumok.load(done.folder).folders) == 3


def test_what_each_says_has_its_number(data, tmp_path, capfd):
    jumok.train(data, out=tmp_path / "m", members=2, jobs=2, **(QUICK | {"quiet": False}))
    lines = capfd.readouterr().err.splitlines()
    for number, seed in (1, 1), (2, 2):
        own = [line.removeprefix(f"[{number}] ") for line in lines if line.startswith(f"[{number}] ")]
        assert own[0] == f"model {number} of 2, seed {seed}"
        assert any(line.split()[0] == "15" for line in own) and any(line.startswith("best dev") for line in own)
    assert all(line.startswith(("[1] ", "[2] ")) for line in lines if "jobs is 2" not in line)


@pytest.mark.parametrize(
    ("count", "options", "named"), [(4, {}, 3), (2, {}, 2), (1, {}, 0), (4, {"threads": 1}, 0), (4, {"jobs": 1}, 0)]
)
def test_where_it_takes_less_time_a_line_says_so(data, tmp_path, capfd, monkeypatch, count, options, named):
    monkeypatch.setattr(members, "cores", lambda: count)
    few = QUICK | {"steps": 1, "evaluate_every": 1, "quiet": False, "threads": 0} | options
    jumok.train(data, out=tmp_path / "m", members=3, **few)
    said = capfd.readouterr().err
    assert f"3 models, one after the other on all cores; with --jobs {named} " in said if named else "--jobs" not in said


def test_resume_trains_only_what_is_missing(one_by_one, data, tmp_path, capfd):
    out = tmp_path / "m"
    jumok.train(data, out=out, members=3, member=2, seed=5, **QUICK)
    before = (out / "2" / "model.safetensors").stat().st_mtime_ns
    jumok.train(data, out=out, members=3, jobs=4, seed=5, resume=True, **(QUICK | {"quiet": False}))
    said = capfd.readouterr().err
    assert "1 of 3 models are trained already" in said and "not used" not in said
    assert (out / "2" / "model.safetensors").stat().st_mtime_ns == before
    assert all(same_weights(out / n, one_by_one / n) for n in "123")


def test_more_members_with_a_teacher_whose_writing_is_gone(one_by_one, data, tmp_path, capfd):
    options = QUICK | {"quiet": False, "teacher": str(one_by_one), "teacher_beam": 2, "steps": 2, "evaluate_every": 2}
    jumok.train(data, out=tmp_path / "m", members=2, **options)
    capfd.readouterr()
    out = jumok.train(data, out=tmp_path / "m", members=5, jobs=3, resume=True, **options).folder
    assert capfd.readouterr().err.count("writes for") == 1
    assert sorted(p.name for p in out.iterdir()) == ["1", "2", "3", "4", "5", "ensemble.json"]


def test_a_teacher_writes_once_for_all(one_by_one, data, tmp_path, capfd):
    options = QUICK | {"quiet": False, "teacher": str(one_by_one), "teacher_beam": 2}
    out = jumok.train(data, out=tmp_path / "m", members=3, jobs=3, **options).folder
    assert capfd.readouterr().err.count("writes for") == 1
    assert sorted(p.name for p in out.iterdir()) == ["1", "2", "3", "ensemble.json"]


def test_what_python_prints_before_it_begins_is_shown_too(data, tmp_path, capfd, monkeypatch):
    place = tmp_path / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text("print('hello from the site')\n", encoding="utf-8")
    real = side_by_side.worker_environment
    monkeypatch.setattr(
        side_by_side,
        "worker_environment",
        lambda threads: (env := real(threads)) | {"PYTHONPATH": os.pathsep.join((env["PYTHONPATH"], str(place)))},
    )
    jumok.train(data, out=tmp_path / "m", members=2, jobs=2, **(QUICK | {"steps": 1, "quiet": False}))
    assert capfd.readouterr().err.count("hello from the site") == 2


def test_an_error_is_that_of_the_member(data, tmp_path, capfd):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("a 1 2 3\nb 1 2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"^model 1: .*vectors\.txt:2"):
        jumok.train(data, out=tmp_path / "m", members=2, jobs=2, source_embeddings=vectors, **QUICK)
    assert "Traceback" not in capfd.readouterr().err


def _worker(data: Path, out: Path, said: int, **options) -> subprocess.Popen[bytes]:
    asked = {name: value for name, value in QUICK.items() if name != "quiet"}
    asked |= {"pairs": str(data), "out": str(out), "members": 2, "member": 1} | options
    sitting = {name: value for name, value in SITTING.items() if name != "observe"}
    process = subprocess.Popen(
        [sys.executable, "-m", "jumok.learn.worker"],
        stdin=subprocess.PIPE,
        stdout=said,
        stderr=subprocess.PIPE,
        env=worker_environment(1),
        start_new_session=True,
    )
    process.stdin.write(Order(build(TrainConfig, asked, "test"), sitting, [], None, 1).in_a_line())
    process.stdin.flush()
    return process


def _ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    process.stdin.close()
    process.stdin = None
    _, said = process.communicate(timeout=60)
    return process.returncode, said.decode()


@pytest.mark.skipif(os.name == "nt", reason="a full pipe of POSIX")
def test_one_that_is_stopped_while_it_tells_its_error_ends_quietly(data, tmp_path):
    """Nobody reads what it says, so that it is stopped in the middle of it for certain."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n" * 4096)
    os.set_blocking(writing, True)
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb"):
        process = _worker(data, tmp_path / "m", writing, source_embeddings=str(tmp_path / "missing.txt"))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=4)
        assert _ended(process) == (130, "")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("wrong", [False, True])
def test_one_that_is_stopped_at_any_moment_ends_quietly(data, tmp_path, wrong):
    options = {"steps": 3, "evaluate_every": 2} | ({"source_embeddings": str(tmp_path / "missing.txt")} if wrong else {})
    begun = time.monotonic()
    _worker(data, tmp_path / "whole", subprocess.DEVNULL, **options).wait(timeout=60)
    whole, statuses = time.monotonic() - begun, set()
    for i in range(20):
        process = _worker(data, tmp_path / str(i), subprocess.DEVNULL, **options)
        time.sleep(whole * i / 18)
        status, said = _ended(process)
        statuses.add(status)
        assert "Traceback" not in said and status in (0, 1, 2, 130), said
    assert len(statuses) > 1


def test_options_that_do_not_go_together(data, tmp_path, capfd):
    with pytest.raises(ConfigError, match="leave one of them out"):
        jumok.train(data, out=tmp_path / "m", members=2, jobs=2, observe=lambda step, model: None, **QUICK)
    with pytest.raises(ConfigError, match="jobs is 0; it must be 1 or more"):
        jumok.train(data, out=tmp_path / "m", members=2, jobs=0, **QUICK)
    assert not (tmp_path / "m").exists()
    for name, several in ("one", {}), ("third", {"members": 3, "member": 3}):
        jumok.train(data, out=tmp_path / name, jobs=2, **several, **(QUICK | {"steps": 1, "quiet": False}))
        assert "--jobs has no effect here" in capfd.readouterr().err


# -- stopped by a person, or by force ------------------------------------------------------------------------------------

LONG = TINY | {"evaluate_every": 200, "save_every": 50, "learning_rate": 1e-2}
LONG.pop("quiet")


def _start(data: Path, out: Path, steps: int, *more: str) -> subprocess.Popen[str]:
    """Three members, two at a time; returns when both have a checkpoint."""
    command = [sys.executable, "-m", "jumok", "train", str(data), "--out", str(out), "--members", "3", "--jobs", "2", *more]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in {"steps": steps, **LONG}.items()]
    place = {"PYTHONPATH": str(Path(jumok.__file__).parent.parent), "COLUMNS": "200"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | place)
    deadline = time.monotonic() + 90
    while not all((out / n / "checkpoint.safetensors").exists() for n in "12"):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    return process


def _step(folder: Path) -> int:
    found = read_checkpoint(folder, pytest.fail)
    assert found is not None
    return found[1]["position"]["step"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_stops_all_and_resume_ends_as_if_nothing_had_been(data, tmp_path):
    out, options = tmp_path / "m", LONG | {"members": 3, "steps": 800, "quiet": True}
    jumok.train(data, out=out, member=3, **options)  # so that the first need not be waited for: both begin at once
    process = _start(data, out, 800, "--resume")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in said
    for number in "12":
        assert f"[{number}] stopped at step {_step(out / number):,};" in said
    jumok.train(data, out=out, jobs=2, resume=True, **options)
    whole = jumok.train(data, out=tmp_path / "whole", **options).folder
    assert all(same_weights(out / n, whole / n) for n in "123")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_their_checkpoints_are_written_however_the_command_ends(data, tmp_path, number):
    out = tmp_path / "m"
    process = _start(data, out, 200_000)
    before = [_step(out / n) for n in "12"]
    process.send_signal(number)
    process.wait(timeout=60)
    assert process.returncode == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    assert process.stderr is not None
    process.stderr.close()
    deadline = time.monotonic() + 60
    for folder, step in zip((out / "1", out / "2"), before, strict=True):
        while True:  # the lock is free when the process has ended
            try:
                with beginning.alone(str(folder)):
                    break
            except TrainingError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert _step(folder) >= step
    assert not (out / "3").exists()


# -- the order of things, with processes that are only played ------------------------------------------------------------


class Play:
    """Members that do what a script says: for each number what it says, in order, and the status it ends with."""

    def __init__(self, monkeypatch, script):
        self.script, self.log, self.running = script, [], set()
        monkeypatch.setattr(side_by_side, "_Member", self.member)

    def member(self, number, order, said):
        self.log.append((number, order))
        self.running.add(number)
        says, status = self.script[number]

        def wait():
            self.running.discard(number)
            return status or 0

        for what in says:
            said.put((number, what))
        if status is not None:
            said.put((number, None))

        def stop():
            if status is None and number in self.running:
                self.running.discard(number)
                said.put((number, None))

        return SimpleNamespace(process=SimpleNamespace(wait=wait, kill=lambda: None), stop=stop)


def _settled(size: str) -> dict:
    return {"settled": {"model": {"size": size}}}


def _played(numbers, jobs, alike=None, first_alone=None):
    orders = []

    def order_of(number, after, alike):
        orders.append((number, after, alike and alike.model.size))
        return Order(TrainConfig(), {}, [], alike, 1)

    first_alone = alike is None if first_alone is None else first_alone
    return train_members(numbers, jobs, alike, order_of, Display(quiet=True), first_alone), orders


def test_the_first_settles_what_the_others_are_like(monkeypatch):
    play = Play(monkeypatch, {n: ([{"note": "reading"}, _settled("small" if n == 1 else "large")], 0) for n in range(1, 6)})
    stopped, orders = _played([1, 2, 3, 4, 5], 2)
    assert stopped == 0 and not play.running
    assert [size for _, _, size in orders] == [None, "small", "small", "small", "small"]
    assert [after for _, after, _ in orders] == [3, 2, 2, 1, 1]  # a third of the time, then a half of what is left, and so on


@pytest.mark.parametrize("first_alone", [True, False])
def test_the_others_wait_for_the_first_where_they_must(monkeypatch, first_alone):
    """Where a teacher writes, say: the first one's note comes before any other is begun."""
    events = []
    play = Play(monkeypatch, {n: ([{"note": "written"}, _settled("small")], 0) for n in (1, 2, 3)})
    member, note = play.member, Display.note
    monkeypatch.setattr(side_by_side, "_Member", lambda *told: events.append(told[0]) or member(*told))
    monkeypatch.setattr(Display, "note", lambda self, text: events.append(text) or note(self, text))
    _played([1, 2, 3], 3, build(TrainConfig, {"size": "small"}, "test"), first_alone)
    assert events[:2] == ([1, "[1] written"] if first_alone else [1, 2])


def test_no_more_at_a_time_than_asked_for(monkeypatch):
    most = []
    play = Play(monkeypatch, {n: ([_settled("small")], 0) for n in range(1, 8)})
    member = play.member

    def counting(*told):
        made = member(*told)
        most.append(len(play.running))
        return made

    monkeypatch.setattr(side_by_side, "_Member", counting)
    _played([1, 2, 3, 4, 5, 6, 7], 3, build(TrainConfig, {"size": "medium"}, "test"))
    assert max(most) == 3 and [number for number, _ in play.log] == [1, 2, 3, 4, 5, 6, 7]


def test_an_error_stops_the_others_and_begins_none(monkeypatch):
    play = Play(monkeypatch, {1: ([_settled("small")], None), 2: ([{"error": ["ConfigError", "x is wrong"]}], 2), 3: ([], 0)})
    with pytest.raises(ConfigError, match=r"^model 2: x is wrong$"):
        _played([1, 2, 3], 2)
    assert [number for number, _ in play.log] == [1, 2] and not play.running


@pytest.mark.parametrize(("status", "how"), [(-9, "was ended by signal 9"), (1, "ended with status 1")])
def test_a_process_that_is_gone_is_named(monkeypatch, status, how):
    play = Play(monkeypatch, {1: ([_settled("small")], None), 2: ([], status)})
    with pytest.raises(TrainingError, match=f"model 2: its process {how}.*--resume goes on"):
        _played([1, 2], 2)
    assert not play.running


@pytest.mark.parametrize(("status", "number"), [(130, 2), (143, 15), (-2, 2), (-15, 15)])
def test_one_that_was_stopped_stops_all(monkeypatch, status, number):
    play = Play(monkeypatch, {1: ([_settled("small")], None), 2: ([], status), 3: ([], 0)})
    stopped, _ = _played([1, 2, 3], 2)
    assert stopped == number and [number for number, _ in play.log] == [1, 2] and not play.running


def test_bars_are_shown_for_each_and_taken_away():
    display = Display(quiet=True)
    with side_by_side._bars(display) as bar:
        bar(1, [0, 10, "steps · …"])
        bar(2, [5, 20, "the teacher writes"])
        bar(1, None)
        bar(1, None)
        bar(2, [6, 20, "the teacher writes"])


def test_a_display_that_tells_says_what_another_would_show():
    said = []
    display = worker.Telling(said.append, quiet=False, board=None)
    display.warn("look")
    with display.counting("the teacher writes", 8, 2) as advance:
        advance(3)
    display.start(100, 10)
    display.advance((20, 100), 1234.5, 0.25, 0.1, 1.0)
    display.stop()
    assert said == [
        {"note": "warning: look"},
        *({"bar": [n, 8, "the teacher writes"]} for n in (2, 5)),
        {"bar": None},
        {"bar": [10, 100, "steps · … target tokens/s · loss …"]},
        {"bar": [20, 100, "steps · 1,234 target tokens/s · loss 0.250"]},
        {"bar": None},
    ]
    quiet = worker.Telling(said.append, quiet=True, board=None)
    before = len(said)
    quiet.note("nothing")
    quiet.start(3)
    assert len(said) == before
