"""The profiler: one clock around a run's chapters, and in every k-th step one around the sections of a step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from jumok.config import ModelConfig
from jumok.learn.evaluation import tensors
from jumok.learn.loop import Loop, put_random_states, random_states
from jumok.learn.model import shifted
from jumok.learn.profile import sections as s
from jumok.learn.profile.limit import PASSES, Rates, Tokens, best, multiply_adds, rates, tokens_of
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
        return sum(each for name, each in self.seconds.items() if name not in (s.SETUP, *AFTER_STEPS))

    def share(self, *names: str) -> float:
        """Of the time from the first step on."""
        after = self.training + sum(self.seconds[name] for name in AFTER_STEPS)
        return sum(self.seconds[name] for name in names) / max(after, 1e-9)

    @property
    def tokens_per_second(self) -> float:
        """Target tokens, of all processes."""
        return self.target_tokens / max(self.training, 1e-9)

    @property
    def reached(self) -> float:
        """Share of the machine's limit that training reached."""
        return sum(self.limits.values()) / max(self.training, 1e-9)


class Profiler:
    """Listens to a loop while it is entered; afterwards `profile` says what it heard. `begun`: when the run began (`time.perf_counter`)."""

    def __init__(self, loop: Loop, begun: float) -> None:
        self.loop = loop
        assert loop.learn.steps is not None
        self.every = max(1, min(EVERY, (loop.learn.steps - loop.position.step) // (2 * EVERY)))
        self.run = s.Clock(s.SETUP, since=begun)
        self.clock: s.Clock | None = None  # of a step that is looked into
        self.parts: dict[str, float] = {}
        self.steps = self.sampled = self.evaluations = self.target_tokens = 0
        self.tokens, self.own = Tokens(), Tokens()
        self.largest: Batch | None = None

    def __enter__(self) -> Profiler:
        self.before = s.RECORDER.set(self.section)
        self.run.to(s.STEPS)
        return self

    def __exit__(self, *_: object) -> None:
        s.RECORDER.reset(self.before)
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
            if self.largest is None or len(batch.rows) > len(self.largest.rows):
                self.largest = batch
        return s.UNTIMED if self.clock is None else s.Section(name, self.clock)

    @contextlib.contextmanager
    def _step(self, batch: Batch | None) -> Iterator[s.Section]:
        assert batch is not None
        self.steps += 1
        self.target_tokens += int(batch.target_lengths.sum())
        looked_into = self.steps % self.every == 0
        self.sampled += looked_into
        clock = self.clock = s.Clock(s.REST, self.loop.machine.wait) if looked_into else None
        yield s.UNTIMED
        self.clock = None
        if clock is not None:
            clock.to("")
            for name, seconds in clock.seconds.items():
                self.parts[name] = self.parts.get(name, 0.0) + seconds

    def profile(self) -> Profile:
        """Measures the machine's limits (some seconds) and puts all together; leaves no trace, random states included."""
        loop, random = self.loop, random_states()
        model, machine, parameters = loop.model.config, loop.machine, sum(p.numel() for p in loop.parameters)
        measured, one = rates(machine), None
        if machine.device == "cpu" and machine.threads > 1:
            single = replace(machine, threads=1)
            single.apply()
            one = rates(single)
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
        found = {name: run.get(name, 0.0) for name in ((s.SETUP, s.WAIT) if looked else (s.SETUP, s.WAIT, s.STEPS))}
        found |= {name: run.get(s.STEPS, 0.0) * self.parts[name] / looked for name in s.OF_A_STEP if name in self.parts}
        return found | {name: run.get(name, 0.0) for name in AFTER_STEPS}

    def _alone(self) -> float | None:
        batch = self.largest
        if batch is None or len(batch.rows) < 2:
            return None
        i = len(batch.rows) // 2
        S, T, one = batch.source_lengths[i], batch.target_lengths[i], slice(i, i + 1)
        pair = Batch(
            batch.source[one, :S], batch.source_lengths[one], batch.target[one, :T], batch.target_lengths[one], batch.rows[one]
        )
        alone, whole = (best(self._passes(b), self.loop.machine, 4) for b in (pair, batch))
        return alone / whole

    def _passes(self, batch: Batch) -> Callable[[], None]:
        """Forward and backward, nothing kept."""
        loop = self.loop
        source, lengths, target, real = tensors(batch, loop.machine.device)

        def run() -> None:
            with loop.machine.autocast():
                losses = loop.model.loss(source, lengths, shifted(target), target, real, loop.learn.label_smoothing)
            (losses.loss / losses.tokens).backward()
            loop.optimizer.zero_grad()

        return run
