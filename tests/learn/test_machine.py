"""Options that a machine cannot honour, and a --minutes that measuring would eat: one clear line, and soon."""

import itertools
import math
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jumok import cli
from jumok.config import LearnConfig, TextConfig, TrainConfig, build
from jumok.errors import ConfigError
from jumok.learn import calibrate, threads
from jumok.learn import display as displays
from jumok.learn import machine as machines
from jumok.learn.evaluation import BATCH, Development
from jumok.learn.machine import Machine, choose
from jumok.learn.parallel import ALONE
from jumok.text import Pair, build_codec

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.fixture(autouse=True)
def settings_of_torch_stay() -> Any:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(before[0])
    torch.set_float32_matmul_precision(before[1])


def learn(**options: Any) -> LearnConfig:
    return build(TrainConfig, {"threads": 1, **options}, "test").learn


def only_float32(machine: Machine) -> None:
    if machine.precision == "bfloat16":
        raise RuntimeError("mkldnn_bf16: this CPU has no such LSTM\nand more")


def nothing_works(machine: Machine) -> None:
    raise RuntimeError("a mistake of ours")


def test_a_precision_that_the_machine_lacks_is_said() -> None:
    with pytest.raises(
        ConfigError, match=r"precision is 'bfloat16', which this machine cannot train in \(mkldnn.* LSTM\); give"
    ):
        choose(learn(precision="bfloat16"), only_float32)
    with pytest.raises(ConfigError, match="bfloat16"):
        choose(learn(precision="bfloat16", matmul="default", threads=2), only_float32)
    assert choose(learn(precision="auto"), only_float32).precision == "float32"


def test_a_run_that_began_elsewhere_goes_on_in_what_there_is() -> None:
    assert choose(learn(precision="bfloat16", matmul="default"), only_float32, strict=False) == Machine("float32", "default", 1)


@pytest.mark.parametrize("options", [{}, {"precision": "bfloat16"}, {"precision": "bfloat16", "matmul": "default"}])
def test_a_step_that_never_works_is_not_blamed_on_the_settings(options: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        choose(learn(**options), nothing_works)


@pytest.mark.parametrize("why", ["missing", "rounding"])
def test_products_that_the_machine_lacks_are_said(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "missing":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    else:
        monkeypatch.setattr(machines, "_product_error", lambda: 2e-3)
    with pytest.raises(ConfigError, match=r"matmul is 'onednn', but .*(no oneDNN|fewer digits).*; give --matmul default"):
        choose(learn(matmul="onednn"), only_float32)
    assert choose(learn(matmul="onednn", precision="float32"), nothing_works, strict=False).matmul == "default"
    tried = []
    choose(learn(precision="float32"), tried.append)
    assert {machine.matmul for machine in tried} <= {"default"}


def test_nothing_more_is_tried_after_the_deadline() -> None:
    tried: list[Machine] = []
    choose(learn(matmul="default"), tried.append, deadline=time.perf_counter())
    assert len(tried) == 1
    choose(learn(matmul="default"), tried.append)
    assert len(tried) == 1 + 2 * 4


def test_far_more_threads_than_cores_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads.check(threads.MOST * CORES)
    for command in (["train", "p.tsv"], ["study", "scores"]):
        assert cli.main([*command, "--out", str(tmp_path / "m"), "--threads", "5000"]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and f"threads is 5000, but this process may use {CORES} core" in err
    assert not (tmp_path / "m").exists()


def test_threads_of_a_run_and_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 4)
    said: list[str] = []
    assert [threads.bounded(n, sharers, said.append) for n, sharers in ((0, 1), (4, 1), (2, 2))] == [0, 4, 2] and not said
    assert threads.bounded(5, 1, said.append) == 5 and "slower than --threads 4" in said.pop()
    assert threads.bounded(3, 2, said.append) == 3 and "2 cores" in said.pop()
    assert threads.bounded(500, 1, said.append) == 4 and "4 are used" in said.pop()
    monkeypatch.setenv("OMP_NUM_THREADS", "500")
    monkeypatch.setenv("MKL_NUM_THREADS", "16")
    threads.bound_environment(said.append)
    assert os.environ["OMP_NUM_THREADS"] == "4" and os.environ["MKL_NUM_THREADS"] == "16" and len(said) == 1


def test_minutes_that_are_gone_before_training_are_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["train", str(tmp_path / "not-read.tsv"), "--out", str(tmp_path / "m"), "--minutes", "0.0000001"]
    assert cli.main(line) == 2
    assert "took 0 s to start; nothing is left for training; give more" in capsys.readouterr().err


def test_measuring_takes_its_share_of_minutes_and_no_more() -> None:
    steps, seen = [], []
    average = SimpleNamespace(update=lambda _: None)
    loop = SimpleNamespace(
        learn=learn(),
        update=lambda *_: steps.append(1),
        average=average,
        machine=SimpleNamespace(wait=lambda: None),
        team=ALONE,
    )
    pairs = [Pair(f"{'ab'[i % 2]}{chr(99 + i % 7)}", "x" * (1 + i % 3)) for i in range(3 * calibrate.DEV_TRIED)]
    pairs += [Pair(chr(200 + i), "y") for i in range(2 * calibrate.DEV_TRIED)]
    dev = Development(pairs, build_codec(pairs, TextConfig()), (2.0, 5.0), learn(metric="accuracy"))
    calibrate.step_seconds(loop, iter([None] * 99), budget=0.0, most=0.0)  # type: ignore[arg-type, list-item]
    assert len(steps) == 1
    calibrate.step_seconds(loop, iter([None] * 99), budget=0.0, most=float("inf"))  # type: ignore[arg-type, list-item]
    assert len(steps) == 1 + 10
    calibrate.step_seconds(loop, iter([None] * 99), budget=60.0, most=float("inf"), enough=4)  # type: ignore[arg-type, list-item]
    assert len(steps) == 1 + 10 + 4

    def rehearse(self: Development, *_: Any) -> None:
        seen.append((len(self.rows), len(self.sources), len(self.targets)))

    dev.__class__ = type("Dev", (Development,), {"rehearse": rehearse})
    loop.dev, loop.model = dev, None
    whole = (len(dev.rows), len(pairs), len(pairs))
    for most in (float("inf"), -1.0, 1e9):
        calibrate.evaluation_seconds(loop, most)  # type: ignore[arg-type]
    part = (calibrate.DEV_TRIED, dev.rows[calibrate.DEV_TRIED], dev.rows[calibrate.DEV_TRIED])
    assert seen == [whole, part, part, whole]


def test_an_evaluation_is_reckoned_from_a_full_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a batch takes as long as a whole one here, so that it would make four batches look like eight."""
    now = 0.0

    def rehearse(self: Development, *_: Any) -> None:
        nonlocal now
        now += math.ceil(len(self.rows) / BATCH)

    pairs = [Pair(chr(200 + i), "y") for i in range(4 * BATCH)]
    dev = Development(pairs, build_codec(pairs, TextConfig()), (2.0, 5.0), learn(metric="accuracy"))
    dev.__class__ = type("Dev", (Development,), {"rehearse": rehearse})
    monkeypatch.setattr(calibrate, "time", SimpleNamespace(perf_counter=lambda: now))
    loop = SimpleNamespace(dev=dev, model=None, machine=None, team=ALONE)
    assert [calibrate.evaluation_seconds(loop, most) for most in (0.5, 1e9)] == [4, 4]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "enough"),
    [
        ({"steps": 1}, 3),
        ({"steps": 30}, 3),
        ({"steps": 301}, 31),
        ({"steps": 10**6}, calibrate.MOST_STEPS),
        ({"epochs": 2.0}, 10),
        ({"minutes": 0.1}, calibrate.MOST_STEPS),
    ],
    ids=str,
)
def test_a_tenth_of_the_steps_is_timed(given: dict[str, Any], enough: int) -> None:
    asked = SimpleNamespace(learn=learn(**given))
    trial = SimpleNamespace(asked=asked, data=SimpleNamespace(pairs=3200, batches=range(50)))
    assert calibrate.steps_to_time(trial) == enough  # type: ignore[arg-type]


def test_passes_are_reckoned_from_a_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two seconds each: in the 40 of 60 seconds that are left there is time for 20, which are four times five batches."""
    allowance = SimpleNamespace(left=lambda spent: 60.0 - spent, spent=lambda: 20.0)
    machine, warm, asked = Machine("float32", "default", 1), [], []
    loop = SimpleNamespace(team="apart", update=lambda batch, rate: warm.append((batch, rate, loop.team, loop.machine)))
    trial = SimpleNamespace(loop=loop, first=["a", "b"], data=SimpleNamespace(batches=range(5)), team=ALONE, batches=iter([]))

    def seconds(loop: Any, batches: Any, *most: float) -> float:
        asked.append((loop.team, loop.machine, *most))
        return 2.0

    monkeypatch.setattr(calibrate, "step_seconds", seconds)
    assert calibrate.passes(trial, machine, allowance) == 4.0  # type: ignore[arg-type]
    assert asked == [(ALONE, machine, 0.4, 4.0, 3)]  # a hundredth of what is left; a tenth, if three steps take longer
    # settings may be compared on it later, by each process for itself
    assert warm == [("a", 0.0, "apart", machine)] and loop.team == "apart"


def test_one_slow_step_does_not_say_that_the_machine_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 0.2 seconds, but for the first that is timed, of 1: in 700 seconds there is time for more than three passes."""
    clock = SimpleNamespace(now=0.0)
    took = itertools.chain([9.0, 1.0], itertools.repeat(0.2))

    def update(*_: Any) -> None:
        clock.now += next(took)

    monkeypatch.setattr(calibrate.time, "perf_counter", lambda: clock.now)
    allowance = SimpleNamespace(left=lambda spent: 700.0, spent=lambda: 0.0)
    loop = SimpleNamespace(
        team=ALONE,
        update=update,
        average=SimpleNamespace(update=lambda step: None),
        learn=learn(minutes=12.0),
        machine=Machine("float32", "default", 1),
    )
    trial = SimpleNamespace(
        loop=loop, first=["a"], data=SimpleNamespace(batches=range(850)), team=ALONE, batches=itertools.repeat("b")
    )
    found = calibrate.passes(trial, loop.machine, allowance)  # type: ignore[arg-type]
    assert 3.5 < found < 700 / 0.2 / 850
    assert 15 < clock.now < 20  # of which 9 were the very first step


def test_what_takes_long_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    display = displays.Display()
    with display.stage("reading p.tsv"):
        pass
    monkeypatch.setattr(displays, "PATIENCE", 0.0)
    told = SimpleNamespace(done=False)
    monkeypatch.setattr(display, "note", lambda text: setattr(told, "done", text))
    with display.stage("reading p.tsv"):
        while not told.done:
            time.sleep(0.001)
    assert told.done == "reading p.tsv …" and capsys.readouterr().err == ""
