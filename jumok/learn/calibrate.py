"""What this machine does best, and how fast: measured on a loop that is thrown away, before the run's own is made.

The steps are real ones at a rate of 0. Nothing of them is left: the run's model is made from the seed afterwards.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from jumok import schedules
from jumok.config import TrainConfig
from jumok.errors import ConfigError
from jumok.learn import machine as machines
from jumok.learn.display import Display, lasting
from jumok.learn.evaluation import BATCH
from jumok.learn.loop import Loop, new_model
from jumok.learn.machine import Machine
from jumok.learn.material import Material
from jumok.learn.parallel import Team
from jumok.learn.recipe import Recipe, total_steps
from jumok.text import Batch

USUAL_DROPOUT = 0.1  # while steps are timed: the dropout follows from the run's length, which is not known yet
STEPS_SHARE = 0.03  # of --minutes, for timing steps: a machine that others share is slow or fast for seconds at a time
MEASURING = 0.1  # of the time that is left of --minutes, at most, for each of three: to choose settings, to time steps, to time an evaluation
RESERVE = 0.96  # of --minutes is planned; the rest is for what cannot be foreseen
# dev sources that tell how long an evaluation takes, where all would take too long: a full batch, since half of one takes nearly as long
DEV_TRIED = BATCH
LEAST_STEPS, MOST_STEPS = 10, 1000  # timed
TIMED_SHARE = 0.1  # of the steps of a run that has a number of them, at most: a run of seconds is not kept waiting for seconds
# timed where it only matters whether there is time enough: so many at least, and for so much of --minutes, or so many seconds. Three steps
# alone promised less than 3 passes where there was time for 4 (CMUdict, three layers, 12 minutes), and a smaller network was taken
FEW_STEPS, FEW_SHARE, FEW_SECONDS = 3, 0.01, 10.0


@dataclass(frozen=True)
class Allowance:
    """The time of --minutes, which begins with the run and not with its first step.

    Attributes:
        start: when the run began, by `time.perf_counter`.
        minutes: None = without end.
    """

    start: float
    minutes: float | None

    def spent(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.start

    def left(self, spent: float) -> float:
        """Seconds that may be planned with."""
        return math.inf if self.minutes is None else RESERVE * 60 * self.minutes - spent

    def check(self, what: str) -> None:
        """ConfigError where all of it is gone before anything was trained; `what` has taken it, {} stands for the time."""
        spent = self.spent()
        if self.left(spent) < 0:
            raise ConfigError(
                f"minutes is {self.minutes:g}, but {what.replace('{}', lasting(spent))}; nothing is left for training; give more"
            )


@dataclass(frozen=True)
class Pace:
    """How a machine computes best, and how fast; all processes of a run agree on it.

    Attributes:
        machine: the settings.
        step, evaluation: seconds that one takes; 0 where nothing hangs on them and nobody wants to know.
        spent: seconds since the run began.
        left: seconds of --minutes that may be planned with.
    """

    machine: Machine
    step: float = 0.0
    evaluation: float = 0.0
    spent: float = 0.0
    left: float = math.inf


class Trial:
    """A loop to measure on. It is made when it is first needed, since often nothing has to be measured.

    Attributes:
        asked: the options, as `jumok.learn.recipe.resolve` leaves them.
        machine: the settings that were chosen on it; None until then.
        how: they were chosen, in words; "" if nothing was left to choose.
    """

    def __init__(self, asked: TrainConfig, data: Material, team: Team, display: Display) -> None:
        self.asked, self.data, self.team, self.display = asked, data, team, display
        self.machine: Machine | None = None
        self.how = ""
        learn = asked.learn
        learn = dataclasses.replace(
            learn,
            dropout=USUAL_DROPOUT if learn.dropout is None else learn.dropout,
            weight_decay=learn.weight_decay or 0.0,
            steps=learn.steps or 1,
            evaluate_every=learn.evaluate_every or 1,
        )
        self.recipe = Recipe(dataclasses.replace(asked, learn=learn), Machine("float32", "default", 1, machines.device(learn)))
        self.batches = _endless(data)

    @functools.cached_property
    def loop(self) -> Loop:
        """The loop, in no team: processes may try a different number of settings, so nothing may be exchanged."""
        model = new_model(self.recipe, self.data.codec).train()
        return Loop(model, self.data, self.recipe, self.team.apart(), self.display)

    @functools.cached_property
    def first(self) -> list[Batch]:
        """The batches that settings are compared on."""
        return [next(self.batches) for _ in range(3)]

    def tell(self) -> None:
        """A line that names the settings, once they are chosen."""
        self.display.note(f"computing in {self.machine}{self.how}")

    def under(self, machine: Machine) -> None:
        """A few steps under some settings; under bfloat16, which may be very slow, one."""
        self.loop.machine = machine
        for batch in self.first[: 1 if machine.precision == "bfloat16" else 3]:
            self.loop.update(batch, 0.0)


def choose(trial: Trial, allowance: Allowance, strict: bool) -> Machine:
    """The settings that all processes compute in; they are on afterwards.

    Args:
        strict: what was asked for and cannot be had is an error; else something else is taken.

    Raises:
        ConfigError: the machine cannot do what was asked for, or all of --minutes is gone.
    """
    team, display, learn = trial.team, trial.display, trial.asked.learn
    most = MEASURING * max(0.0, allowance.left(allowance.spent()))
    deadline = time.perf_counter() + most
    with display.stage("measuring what this machine does best"):
        chosen = machines.choose(learn, trial.under, sharers=team.local, deadline=deadline, strict=strict)
    allowance.check("reading and the first steps took {}")
    machine = Machine(**team.agree(dataclasses.asdict(chosen) | {"processes": team.size}))
    machine.apply()
    short = ", cut short for --minutes" * (time.perf_counter() > deadline)
    trial.machine, trial.how = machine, "" if learn.precision != "auto" else f" (chosen by a probe{short})"
    return machine


def passes(trial: Trial, machine: Machine, allowance: Allowance) -> float:
    """How often each pair can be shown in what is left of --minutes, under these settings, by steps that are timed for a hundredth of it."""
    loop, apart = trial.loop, trial.loop.team
    loop.machine = machine
    loop.update(trial.first[0], 0.0)  # the first step takes longer
    left, loop.team = allowance.left(allowance.spent()), trial.team
    budget = min(FEW_SECONDS, FEW_SHARE * max(0.0, left))
    step = step_seconds(loop, trial.batches, budget, MEASURING * max(0.0, left), FEW_STEPS)
    loop.team = apart
    return trial.team.agree(left / step / len(trial.data.batches))


def measure(trial: Trial, allowance: Allowance) -> Pace:
    """The best settings, which a line names, and, where somebody needs them, the seconds of a step and of an evaluation.

    Raises:
        ConfigError: the machine cannot do what was asked for, or all of --minutes is gone.
    """
    team, display, learn = trial.team, trial.display, trial.asked.learn
    most = MEASURING * max(0.0, allowance.left(allowance.spent()))
    machine = trial.machine or choose(trial, allowance, strict=True)
    trial.tell()
    step = evaluation = 0.0
    if team.agree(learn.minutes is not None or learn.evaluate_every is None or not display.quiet):
        loop = trial.loop
        loop.machine, loop.team = machine, team
        budget = min(20.0, max(2.0, STEPS_SHARE * 60 * (learn.minutes or 0)))
        with display.stage("measuring how long a step takes"):
            step = step_seconds(loop, trial.batches, budget, most, enough=steps_to_time(trial))
        allowance.check(f"reading and measuring took {{}}, and a step takes {step:.1f} s")
        if most < LEAST_STEPS * step:
            display.note(f"a step takes about {step:.1f} s: {learn.minutes:g} minutes are few for it")
        loop.model.eval()
        with display.stage("measuring how long an evaluation takes"):
            evaluation = evaluation_seconds(loop, most)
    step, evaluation, spent = team.agree([step, evaluation, allowance.spent()])
    return Pace(machine, step, evaluation, spent, allowance.left(spent))


def steps_to_time(trial: Trial) -> int:
    """The most steps to time before a run."""
    if trial.asked.learn.minutes is not None:
        return MOST_STEPS
    steps = total_steps(trial.asked, trial.data.pairs, len(trial.data.batches))
    return min(MOST_STEPS, max(FEW_STEPS, math.ceil(TIMED_SHARE * steps)))


def step_seconds(
    loop: Loop, batches: Iterator[Batch], budget: float, most: float, least: int = LEAST_STEPS, enough: int = MOST_STEPS
) -> float:
    """Mean time of a step over batches of all lengths, warmed up.

    Args:
        budget: seconds to measure for; at least `least` steps are timed, however long they take, and at most `enough`.
        most: seconds after which no further step is begun, not even one of these.
    """
    seconds, count, learn = 0.0, 0, loop.learn
    while loop.team.agree(not count or (seconds < most and count < enough and (count < least or seconds < budget))):
        batch = next(batches)
        progress = count * 0.618 % 1  # any number of them is spread evenly over the schedule
        share = schedules.gold_share(learn.teacher_forcing, progress, 1, learn.gold_at_end, learn.switch)
        tick = time.perf_counter()
        loop.update(batch, 0.0, share)
        loop.average.update(0)
        loop.machine.wait()
        seconds, count = seconds + time.perf_counter() - tick, count + 1
    return seconds / count


def evaluation_seconds(loop: Loop, most: float) -> float:
    """How long an evaluation takes; if it would take more than `most` seconds, a part of it is done and the rest reckoned."""
    for dev in (loop.dev.part(DEV_TRIED), loop.dev) if most < math.inf else (loop.dev,):
        tick = time.perf_counter()
        dev.rehearse(loop.model, loop.machine)
        seconds = (time.perf_counter() - tick) * len(loop.dev.rows) / len(dev.rows)
        if loop.team.agree(seconds > most):
            break
    return seconds


def _endless(data: Material) -> Iterator[Batch]:
    return itertools.chain.from_iterable(data.batches.epoch(0) for _ in itertools.count())
