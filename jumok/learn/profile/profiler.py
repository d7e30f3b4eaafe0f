"""The profiler: one clock around a run's chapters, and in every k-th step one around the sections of a step."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from jumok.config import ModelConfig
from jumok.learn.loop import Loop, put_random_states, random_states
from jumok.learn.profile.limit import PASSES, Rates, best, rates
from jumok.learn.work import Tokens, multiply_adds, tokens_of
from jumok.net import sections as s
from jumok.text import Batch

EVERY = 10  # steps from one that is looked into to the next, in a run that is long enough for it
AFTER_STEPS = (s.DEV, s.KEEP, s.SAVE)


@dataclass(frozen=True)
class Profile:
    """What was found out about one sitting of a training."""

    machine: str  # what it computed on, in words
    threads: int  # of the CPU
    model: ModelConfig
    parameters: int  # numbers in it
    seconds: dict[str, float]  # by section; they add up to the time from the start of the run to the end of its last step
    limits: dict[str, float]  # seconds that the sections with products or Adam in them take at least
    steps: int  # of this sitting
    sampled: int  # those that were looked into, from which the parts of a step are known
    evaluations: int  # on dev
    tokens: Tokens  # what this process computed on
    target_tokens: int  # real ones, of all processes of a run
    multiply_adds: float  # of all steps of this process, forward and backward
    rates: Rates  # what the machine reaches at best
    one_thread: Rates | None  # the same with a single thread, where there are more
    alone: float | None  # passes of one pair, as a share of those of a whole batch; None if batches have only one

    @property
    def total(self) -> float:
        """Seconds of the run."""
        return sum(self.seconds.values())

    @property
    def training(self) -> float:
        """Seconds of it that went into steps, waiting for batches included."""
        return self.total - sum(self.seconds.get(name, 0.0) for name in (s.SETUP, *AFTER_STEPS))

    def share(self, *names: str) -> float:
        """Of the time from the first step on."""
        return sum(self.seconds[name] for name in names) / max(self.total - self.seconds.get(s.SETUP, 0.0), 1e-9)

    def in_training(self, amount: float) -> float:
        """An amount for each second of training; seconds as a share of it."""
        return amount / max(self.training, 1e-9)

    @property
    def reached(self) -> float:
        """Share of the machine's limit that training reached."""
        return self.in_training(sum(self.limits.values()))


class Profiler:
    """Listens to a loop while it is entered; afterwards `profile` says what it heard. `begun`: when the run began (`time.perf_counter`)."""

    def __init__(self, loop: Loop, begun: float) -> None:
        self.loop = loop
        self.every = max(1, min(EVERY, ((loop.learn.steps or 0) - loop.position.step) // (2 * EVERY)))
        self.run = s.Clock(s.SETUP, since=begun)
        self.clock: s.Clock | None = None  # of a step that is looked into
        self.parts: Counter[str] = Counter()  # seconds in those
        self.steps = self.sampled = self.evaluations = self.target_tokens = 0
        self.tokens, self.own = Tokens(), Tokens()
        self.largest: Batch | None = None

    def __enter__(self) -> Profiler:
        self.before = s.recorder.set(self.section)
        self.run.to(s.STEPS)
        return self

    def __exit__(self, *_: object) -> None:
        s.recorder.reset(self.before)
        self.loop.machine.wait()
        self.run.to("")

    def section(self, name: str, batch: Batch | None = None) -> contextlib.AbstractContextManager[s.Section]:
        """As `Recorder` has it: a step, a chapter between steps, or a part of the step that is under way."""
        if name == s.STEP:
            return self._step(batch)
        if name in (s.WAIT, *AFTER_STEPS):
            if name != s.WAIT:  # a GPU may still be at work on the steps
                self.loop.machine.wait()
            self.evaluations += name == s.DEV
            return s.Section(name, self.run)
        if batch is not None:
            n = tokens_of(batch)
            self.tokens += n
            self.own += n if name == s.OWN else Tokens()
            self.largest = max(self.largest or batch, batch, key=lambda each: len(each.rows))
        return s.UNTIMED if self.clock is None else s.Section(name, self.clock)

    @contextlib.contextmanager
    def _step(self, batch: Batch | None) -> Iterator[s.Section]:
        assert batch is not None
        self.steps += 1
        self.target_tokens += int(batch.target_lengths.sum())
        clock = self.clock = None if self.steps % self.every else s.Clock(s.REST, self.loop.machine.wait)
        yield s.UNTIMED
        self.clock = None
        if clock is not None:
            self.sampled += 1
            clock.to("")
            self.parts.update(clock.seconds)

    def profile(self) -> Profile:
        """Measures the machine's limits (some seconds) and puts all together; leaves no trace, random states included."""
        loop, random = self.loop, random_states()
        model, machine, parameters = loop.model.config, loop.machine, sum(p.numel() for p in loop.parameters)
        measured, one = rates(machine), None
        if machine.device == "cpu" and machine.threads > 1:
            one = rates(replace(machine, threads=1))
            machine.apply()
        work, own = (multiply_adds(model, len(loop.model.bias), n) for n in (self.tokens, self.own))
        found = Profile(
            machine=str(machine),
            threads=machine.threads,
            model=model,
            parameters=parameters,
            seconds=self.seconds(),
            limits=measured.limits(work, own, parameters, self.steps),
            steps=self.steps,
            sampled=self.sampled,
            evaluations=self.evaluations,
            tokens=self.tokens,
            target_tokens=self.target_tokens,
            multiply_adds=PASSES * sum(work.values()) + sum(own.values()),
            rates=measured,
            one_thread=one,
            alone=self._alone(),
        )
        put_random_states(random)
        return found

    def seconds(self) -> dict[str, float]:
        """The run's chapters; the time of all steps is shared out as it was in those that were looked into."""
        run, looked = self.run.seconds, sum(self.parts.values())
        found = {name: run.get(name, 0.0) for name in (s.SETUP, s.WAIT, *(() if looked else (s.STEPS,)))}
        found |= {name: run.get(s.STEPS, 0.0) * self.parts[name] / looked for name in s.OF_A_STEP if name in self.parts}
        return found | {name: run.get(name, 0.0) for name in AFTER_STEPS}

    def _alone(self) -> float | None:
        """Seconds of one pair's passes over those of the largest batch."""
        loop, batch = self.loop, self.largest
        if batch is None or (n := len(batch.rows)) < 2:
            return None

        def passes(batch: Batch) -> None:
            losses = loop.losses(batch, 1.0)
            (losses.loss / losses.tokens).backward()
            loop.optimizer.zero_grad()

        alone, whole = (best(functools.partial(passes, b), loop.machine, 4) for b in (batch.part(n // 2, n), batch))
        return alone / whole
