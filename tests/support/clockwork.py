"""Training as tests set it: steps and evaluations that take as long as a test says, and no time at all; a dev that gets worse."""

import itertools

import torch
from faulty_disk import Death

from jumok.learn import loop as loops
from jumok.learn import plan as plans
from jumok.learn import run as runs
from jumok.learn.calibrate import Pace
from jumok.learn.evaluation import Development
from jumok.learn.machine import Machine

MINUTE = 60.0


def dev_gets_worse(monkeypatch):
    """From the first evaluation of the next training on, whatever it learns."""
    calls = itertools.count()

    def evaluate(dev, model, machine):
        n = next(calls)
        return {"loss": 1.0 + n, "accuracy": 50.0 - n, "token-error-rate": 10.0 + n, "gap": 0.0}

    monkeypatch.setattr(Development, "evaluate", evaluate)


class Machines:
    """A machine whose clock goes only when it works; `step` and `evaluation` say how long that takes at a given time."""

    def __init__(self, monkeypatch, step=lambda now: 0.1, evaluation=lambda now: 0.8, measured=0.1):
        self.now, self.rates, self.start = 0.0, [], None
        self.die_at = None
        pace = Pace(Machine("float32", "default", 1), measured, 0.8, 0.0, 0.96 * MINUTE)

        def update(loop, batch, rate, gold_share=1.0):
            if len(self.rates) == self.die_at:
                raise Death
            self.now += step(self.now)
            self.rates.append(rate)
            return torch.tensor(1.0), 10

        def evaluate(dev, model, machine):
            self.now += evaluation(self.now)
            return {"loss": 1.0, "accuracy": 50.0, "token-error-rate": 10.0, "gap": 0.0}

        monkeypatch.setattr(runs, "measure", lambda *_: pace)
        monkeypatch.setattr(loops.Loop, "update", update)
        monkeypatch.setattr(Development, "evaluate", evaluate)
        monkeypatch.setattr(plans, "clock", lambda: self.now)
        monkeypatch.setattr(loops.Average, "update", lambda *_: None)
        real_ready = runs._Run._ready

        def ready(run, recipe, material):
            loop = real_ready(run, recipe, material)
            loop.plan.start = self.now
            return loop

        monkeypatch.setattr(runs._Run, "_ready", ready)
