"""Where a training's time went: one clock around the loop's chapters, and in every k-th step one around the model's parts.

Nothing of it is in the loop or the model. While a `Profiler` watches, it stands between the loop and what the loop calls, and
during the steps it looks into also between the model and its parts; a run that nobody watches has no clock in it at all.

A part's backward pass begins when the gradient of what the part gave is known: that is where its hook stops the clock of the
part after it. It is exact because autograd goes back in the order in which things were made.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from jumok.config import ModelConfig
from jumok.learn.evaluation import tensors
from jumok.learn.floor import PASSES, Rates, Tokens, best, multiply_adds, rates, tokens_of
from jumok.learn.loop import Loop, put_random_states, random_states
from jumok.learn.model import Encoded, shifted
from jumok.text import Batch

EVERY = 10  # steps from one that is looked into to the next, in a run that is long enough for it

SETUP, STEPS, DEV, KEEP, SAVE = "before the first step", "training steps", "dev evaluation", "writing the model", "checkpoints"
WAIT, MOVE, OWN = "waiting for batches", "batches to tensors", "own words, step by step"
ENCODER, DECODER, ATTENTION, OUTPUT = "encoder and keys", "decoder", "attention and readout", "output layer and loss"
FED = "decoder and attention, step by step"  # with input feeding they are one
GATHER = "adding up all processes' gradients"
CLIP, AVERAGE, REST = "clipping and Adam", "moving average", "rest of the steps"
AFTER_STEPS = (DEV, KEEP, SAVE)


def backward(part: str) -> str:
    """The section of a part's backward pass."""
    return f"{part}, backward"


class Clock:
    """Time by section; each moment belongs to one, so that the sections add up to the whole.

    Args:
        name: the first section; since: when it began (`time.perf_counter`), now if left out.
        wait: called before the clock is read, until a GPU has done what was counted.
    """

    def __init__(self, name: str, wait: Callable[[], None] = lambda: None, since: float | None = None) -> None:
        self.name, self.wait = name, wait
        self.seconds: dict[str, float] = {}
        self.since = time.perf_counter() if since is None else since

    def to(self, name: str) -> str:
        """What comes now belongs to `name`; returns what came until now."""
        self.wait()
        now = time.perf_counter()
        self.seconds[self.name] = self.seconds.get(self.name, 0.0) + now - self.since
        before, self.name, self.since = self.name, name, now
        return before

    @contextlib.contextmanager
    def within(self, name: str) -> Iterator[None]:
        """A section inside another one."""
        before = self.to(name)
        yield
        self.to(before)


@dataclass(frozen=True)
class Profile:
    """What was found out about one sitting of a training.

    Attributes:
        machine: what it computed on, in words; threads: CPU threads.
        model: its configuration; parameters: numbers in it.
        seconds: by section; they add up to the time from the start of the run to the end of its last step.
        limits: seconds that the sections with products or Adam in them take at least (see `jumok.learn.floor`).
        steps: of this sitting; sampled: those that were looked into, from which the parts of a step are known.
        evaluations: on dev.
        tokens: what this process computed on; target_tokens: real ones, of all processes of a run.
        multiply_adds: of all steps of this process, forward and backward.
        rates: what the machine reaches at best; one_thread: with a single thread, where there are more.
        alone: forward and backward pass of one pair, as a share of those of a whole batch; None if batches have only one.
    """

    machine: str
    threads: int
    model: ModelConfig
    parameters: int
    seconds: dict[str, float]
    limits: dict[str, float]
    steps: int
    sampled: int
    evaluations: int
    tokens: Tokens
    target_tokens: int
    multiply_adds: float
    rates: Rates
    one_thread: Rates | None
    alone: float | None

    @property
    def total(self) -> float:
        """Seconds of the run."""
        return sum(self.seconds.values())

    @property
    def training(self) -> float:
        """Seconds of it that went into steps, waiting for batches included."""
        return sum(s for name, s in self.seconds.items() if name not in (SETUP, *AFTER_STEPS))

    @property
    def reached(self) -> float:
        """Share of the machine's limit that training reached."""
        return sum(self.limits.values()) / max(self.training, 1e-9)


class Profiler:
    """Watches a loop while it is entered; afterwards `profile` says what it saw.

    Args:
        begun: when the run began (`time.perf_counter`).
    """

    def __init__(self, loop: Loop, begun: float) -> None:
        self.loop = loop
        assert loop.learn.steps is not None
        self.every = max(1, min(EVERY, (loop.learn.steps - loop.position.step) // (2 * EVERY)))
        self.run = Clock(SETUP, since=begun)
        self.step: Clock | None = None  # of a step that is looked into
        self.parts: dict[str, float] = {}
        self.steps = self.sampled = self.evaluations = self.target_tokens = 0
        self.tokens, self.own = Tokens(), Tokens()
        self.largest: Batch | None = None
        self.undo: list[Callable[[], None]] = []

    def __enter__(self) -> Profiler:
        loop = self.loop
        self._stand_before(loop, "_batches_from", self._waited)
        self._stand_before(loop, "update", self._updated)
        self._stand_before(loop, "_losses", self._counted)
        self._stand_before(loop.average, "update", self._averaged)
        for owner, call, name in ((loop.dev, "evaluate", DEV), (loop, "keep", KEEP), (loop, "save", SAVE)):
            self._stand_before(owner, call, self._chapter, name)
        self.run.to(STEPS)
        return self

    def __exit__(self, *_: object) -> None:
        self._end_step()
        self.loop.machine.wait()
        self.run.to("")
        self._step_aside(0)

    # -- between the loop and what it calls -------------------------------------------------------------------------

    def _stand_before(self, owner: Any, name: str, around: Callable[..., Callable[..., Any]], *more: Any) -> None:
        """Puts `around(method, *more)` in the place of the owner's method, on this one object."""
        real, own = getattr(owner, name), name in vars(owner)
        setattr(owner, name, around(real, *more))
        self.undo.append((lambda: setattr(owner, name, real)) if own else (lambda: delattr(owner, name)))

    def _step_aside(self, left: int) -> None:
        while len(self.undo) > left:
            self.undo.pop()()

    def _waited(self, real: Callable[..., Iterator[Batch]]) -> Callable[..., Iterator[Batch]]:
        def batches(*given: Any) -> Iterator[Batch]:
            stream = real(*given)
            while True:
                self._end_step()
                with self.run.within(WAIT):
                    batch = next(stream)
                yield batch

        return batches

    def _chapter(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def chapter(*given: Any) -> Any:
            self._end_step()
            self.loop.machine.wait()
            self.evaluations += name == DEV
            with self.run.within(name):
                return real(*given)

        return chapter

    def _averaged(self, real: Callable[..., None]) -> Callable[..., None]:
        def update(*given: Any) -> None:
            with contextlib.nullcontext() if self.step is None else self.step.within(AVERAGE):
                real(*given)

        return update

    def _updated(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def update(batch: Batch, rate: float, gold_share: float = 1.0) -> Any:
            self.steps += 1
            self.target_tokens += int(batch.target_lengths.sum())
            if self.steps % self.every:
                return real(batch, rate, gold_share)
            self.sampled += 1
            clock = self.step = Clock(MOVE, self.loop.machine.wait)
            left = len(self.undo)
            self._stand_before(self.loop, "_descend", _inside, clock, CLIP, REST)
            self._stand_before(self.loop.model, "loss", self._fused, clock)
            if self.loop.team.size > 1:
                self._stand_before(self.loop.team, "sum_up", _inside, clock, GATHER, REST)
            try:
                return real(batch, rate, gold_share)
            finally:
                self._step_aside(left)

        return update

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """This process's share of a batch, or one part of it after the other (--accumulate)."""

        def losses(batch: Batch, gold_share: float) -> Any:
            n = tokens_of(batch)
            self.tokens += n
            if gold_share < 1:
                self.own += n
            if self.largest is None or len(batch.rows) > len(self.largest.rows):
                self.largest = batch
            if self.step is not None:
                self.step.to(OWN if gold_share < 1 else MOVE)
            return real(batch, gold_share)

        return losses

    def _fused(self, real: Callable[..., Any], clock: Clock) -> Callable[..., Any]:
        """The parts are timed inside the one fused pass only: what free running did before it is another section."""

        def loss(*given: Any) -> Any:
            left = len(self.undo)
            for name, (part, outputs) in PARTS.items():
                self._stand_before(self.loop.model, name, _timed, clock, part, outputs)
            clock.to(OUTPUT)
            try:
                return real(*given)
            finally:
                self._step_aside(left)
                clock.to(backward(OUTPUT))

        return loss

    def _end_step(self) -> None:
        if self.step is not None:
            self.step.to("")
            for name, seconds in self.step.seconds.items():
                self.parts[name] = self.parts.get(name, 0.0) + seconds
            self.step = None

    # -- what was seen ----------------------------------------------------------------------------------------------

    def profile(self) -> Profile:
        """Measures the machine's limits (some seconds) and puts all together; leaves no trace, random states included."""
        loop, random = self.loop, random_states()
        assert loop.learn.threads is not None
        model, parameters = loop.model.config, sum(p.numel() for p in loop.parameters)
        measured = rates(loop.machine)
        one = None
        if loop.machine.device == "cpu" and loop.machine.threads > 1:
            single = replace(loop.machine, threads=1)
            single.apply()
            one = rates(single)
            loop.machine.apply()
        vocabulary = len(loop.model.bias)
        work, own = multiply_adds(model, vocabulary, self.tokens), multiply_adds(model, vocabulary, self.own)
        found = Profile(
            machine=str(loop.machine),
            threads=loop.machine.threads,
            model=model,
            parameters=parameters,
            seconds=self._sections(),
            limits=_limits(work, own, measured, parameters, self.steps, model.input_feeding),
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

    def _sections(self) -> dict[str, float]:
        """The run's chapters; the time of all steps is shared out as it was in those that were looked into."""
        found = {SETUP: self.run.seconds.get(SETUP, 0.0), WAIT: self.run.seconds.get(WAIT, 0.0)}
        steps, looked = self.run.seconds.get(STEPS, 0.0), sum(self.parts.values())
        if not looked:
            found[STEPS] = steps
        for name in ORDER:
            if name in self.parts:
                found[name] = steps * self.parts[name] / looked
        return found | {name: self.run.seconds.get(name, 0.0) for name in AFTER_STEPS}

    def _alone(self) -> float | None:
        batch = self.largest
        if batch is None or len(batch.rows) < 2:
            return None
        i = len(batch.rows) // 2
        S, T = batch.source_lengths[i], batch.target_lengths[i]
        one = slice(i, i + 1)
        pair = Batch(
            batch.source[one, :S], batch.source_lengths[one], batch.target[one, :T], batch.target_lengths[one], batch.rows[one]
        )
        alone, whole = (best(self._pass(b), self.loop.machine, 4) for b in (pair, batch))
        return alone / whole

    def _pass(self, batch: Batch) -> Callable[[], None]:
        """Forward and backward, nothing kept."""
        loop = self.loop
        source, lengths, target, real = tensors(batch, loop.machine.device)

        def run() -> None:
            with loop.machine.autocast():
                losses = loop.model.loss(source, lengths, shifted(target), target, real, loop.learn.label_smoothing)
            (losses.loss / losses.tokens).backward()
            loop.optimizer.zero_grad()

        return run


def _given(encoded: Encoded) -> list[Tensor | None]:
    return [encoded.memory, encoded.keys, *(part for layer in encoded.state for part in layer)]


def _first(found: Any) -> Sequence[Tensor | None]:
    return found[:1]


def _itself(found: Any) -> Sequence[Tensor | None]:
    return [found]


# a model's method -> its section, and the tensors it gives whose gradients begin its backward pass
PARTS: dict[str, tuple[str, Callable[[Any], Sequence[Tensor | None]]]] = {
    "encode": (ENCODER, _given),
    "decode": (DECODER, _first),
    "attend": (ATTENTION, _first),
    "read": (ATTENTION, _itself),
    "_fed": (FED, _itself),
}
_BOTH_WAYS = (ENCODER, DECODER, ATTENTION, FED, OUTPUT)
ORDER = (MOVE, OWN, *_BOTH_WAYS, *(backward(part) for part in reversed(_BOTH_WAYS)), GATHER, CLIP, AVERAGE, REST)


def _inside(real: Callable[..., Any], clock: Clock, name: str, after: str) -> Callable[..., Any]:
    def call(*given: Any) -> Any:
        clock.to(name)
        found = real(*given)
        clock.to(after)
        return found

    return call


def _timed(
    real: Callable[..., Any], clock: Clock, part: str, outputs: Callable[[Any], Sequence[Tensor | None]]
) -> Callable[..., Any]:
    def back(_: Tensor) -> None:
        clock.to(backward(part))

    def call(*given: Any) -> Any:
        with clock.within(part):
            found = real(*given)
        for tensor in outputs(found):
            if tensor is not None and tensor.requires_grad:
                tensor.register_hook(back)
        return found

    return call


def _limits(
    work: dict[str, int], own: dict[str, int], measured: Rates, parameters: int, steps: int, fed: bool
) -> dict[str, float]:
    """Seconds at least, by section; the output layer's gradients are formed in its forward pass (`jumok.learn.loss`)."""
    parts = {ENCODER: work["encoder"]}
    parts |= {FED: work["decoder"] + work["attention"]} if fed else {DECODER: work["decoder"], ATTENTION: work["attention"]}
    found = {OWN: measured.products(sum(own.values())), OUTPUT: measured.products(PASSES * work["output"])}
    found |= {part: measured.products(n) for part, n in parts.items()}
    found |= {backward(part): measured.products((PASSES - 1) * n) for part, n in parts.items()}
    found |= {CLIP: measured.updates(parameters, steps)}
    return {name: seconds for name, seconds in found.items() if seconds}


__all__ = ["Profile", "Profiler"]
