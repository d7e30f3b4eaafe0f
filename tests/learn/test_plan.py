"""--minutes end when they should and the schedule with them, whatever the machine does meanwhile: by a clock that tests set."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from clockwork import MINUTE, Machines
from faulty_disk import Death
from hypothesis import given
from hypothesis import strategies as st
from small_run import TINY, write_pairs

import jumok
from jumok import schedules
from jumok.learn.plan import Plan, most_steps


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs.tsv", 200)


MACHINES = {
    "as measured": {},
    "half as fast from the middle on": {"step": lambda now: 0.1 if now < 30 else 0.2},
    "half as fast from near the end on": {"step": lambda now: 0.1 if now < 50 else 0.2},
    "twice as fast from the middle on": {"step": lambda now: 0.1 if now < 30 else 0.05},
    "measured while it was disturbed": {"measured": 0.3},
    "measured much too well": {"measured": 0.01},
    "a stall of 15 seconds": {"step": lambda now: 15.0 if 20 < now < 20.15 else 0.1},
    "a stall near the end": {"step": lambda now: 5.0 if 48 < now < 48.15 else 0.1},
    "evaluations that take long": {"evaluation": lambda now: 4.0},
    "evaluations that get longer": {"evaluation": lambda now: 0.5 + now / 20},
    "fast steps, in looks of 20": {"step": lambda now: 0.01 if now < 20 else 0.03, "measured": 0.01},
    "long and short batches": {"step": lambda now: 0.05 if int(now * 7) % 3 else 0.3},
}


@pytest.mark.parametrize("name", MACHINES)
def test_time_and_schedule_end_together(data, tmp_path, monkeypatch, name):
    machine = Machines(monkeypatch, **MACHINES[name])
    done = jumok.train(data, out=tmp_path / "m", minutes=1.0, evaluate_every=60, **TINY)
    assert 0.97 * MINUTE <= machine.now <= 1.03 * MINUTE, machine.now
    steps = len(machine.rates)
    assert done.history[-1].step == steps == done.config.learn.steps
    highest = max(machine.rates)
    assert machine.rates[-1] < 0.005 * highest and machine.rates[0] < 0.2 * highest
    turning = machine.rates.index(highest)
    rising, falling = machine.rates[: turning + 1], machine.rates[turning:]
    assert rising == sorted(rising) and falling == sorted(falling, reverse=True)
    assert max(a - b for a, b in pairwise(falling)) < 0.05 * highest  # no jumps
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert (record["state"], record["step"], record["steps"]) == ("finished", steps, steps)
    assert config["training"]["learn"]["steps"] == steps


def test_the_schedule_follows_the_time_that_is_used(data, tmp_path, monkeypatch):
    """Half as fast from the middle on: at half of the time the rate is what it is at half of the steps of an undisturbed run."""
    machine = Machines(monkeypatch, **MACHINES["half as fast from the middle on"])
    done = jumok.train(data, out=tmp_path / "m", minutes=1.0, evaluate_every=60, decay="linear", warmup=0.1, **TINY)
    highest = done.config.learn.learning_rate
    at_half = next(rate for rate, now in zip(machine.rates, _times(machine.rates), strict=True) if now >= 30)
    assert at_half == pytest.approx(highest * (1 - (0.5 - 0.1) / 0.9), rel=0.06)


def _times(rates):
    now, times = 0.0, []
    for step in range(len(rates)):
        now += 0.1 if now < 30 else 0.2
        times.append(now)
        now += 0.8 * ((step + 1) % 60 == 0)
    return times


def test_a_killed_run_has_the_minutes_that_are_left(data, tmp_path, monkeypatch):
    """Time between the last checkpoint and the kill is lost; the second sitting begins on a machine that is slower."""
    machine = Machines(monkeypatch, step=lambda now: 0.1 if now < 32 else 0.15)
    machine.die_at = 300
    options = TINY | {"minutes": 1.0, "evaluate_every": 60, "save_every": 10}
    with pytest.raises(Death):
        jumok.train(data, out=tmp_path / "m", **options)
    killed, machine.die_at = machine.now, None
    jumok.train(data, out=tmp_path / "m", resume=True, **options)
    assert 0.97 * MINUTE <= machine.now <= 1.03 * MINUTE and killed < 40
    assert machine.rates[-1] < 0.002 * max(machine.rates)
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert record["state"] == "finished" and record["step"] == record["steps"]


def test_a_number_of_steps_stays(data, tmp_path, monkeypatch):
    machine = Machines(monkeypatch, step=lambda now: 1.0)
    highest = jumok.train(data, out=tmp_path / "m", steps=90, evaluate_every=30, **TINY).config.learn.learning_rate
    expected = [schedules.learning_rate(step, 90, highest, 0.05, "cosine") for step in range(90)]
    assert machine.rates == expected


def test_a_line_says_where_the_plan_was_wrong(data, tmp_path, monkeypatch, capfd):
    Machines(monkeypatch, measured=0.3)
    jumok.train(data, out=tmp_path / "m", minutes=1.0, evaluate_every=60, **(TINY | {"quiet": False}))
    assert "steps fitted into the time, " in capfd.readouterr().err


def test_all_processes_have_the_plan_of_the_lead():
    told = []

    def agree(value):
        told.append(value)
        return [0.5, 2.0, 21.0]

    plan = Plan(1000, total=100.0, agree=agree)
    plan.fit(100, 50)
    assert told and (plan.step, plan.evaluation) == (0.5, 2.0)
    assert plan.steps == 100 + most_steps(100, 50, 0.5, 2.0, 21.0) == 138


@given(
    st.integers(0, 500),
    st.integers(1, 100),
    st.floats(0.001, 5),
    st.floats(0, 50),
    st.floats(-10, 500),
)
def test_as_many_steps_as_there_is_time_for(done, every, step, evaluation, left):
    """Against counting one by one."""

    def needed(more: int) -> float:
        marks = [n for n in range(done + 1, done + more + 1) if n % every == 0 or n == done + more]
        return more * step + evaluation * len(marks)

    more = most_steps(done, every, step, evaluation, left)
    if more > 2000:
        return
    assert more == 0 or needed(more) <= left + 1e-6
    assert needed(more + 1) > left - 1e-6 or needed(more + 2) > left - 1e-6


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 200)), min_size=1, max_size=6))
def test_places_never_go_back_and_end_at_the_end(changes):
    plan, step, last = Plan(100, total=1.0), 0, -1.0
    for forward, more in changes:
        for _ in range(min(forward, plan.steps - step)):
            share = plan.place(step) / plan.steps
            assert share >= last - 1e-12
            step, last = step + 1, share
        plan.agree = lambda _, more=more: [1.0, 0.0, float(more) + 0.5]
        plan.fit(step, 10**9)
    if plan.steps > plan.since:
        assert plan.place(plan.steps) == pytest.approx(plan.steps)
