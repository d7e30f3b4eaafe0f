"""Named sections of a training: the code says which part of the work it is at, and whoever takes a profile listens.

    with section(DECODER) as part:
        queries, _ = self.decode(inputs, encoded.state)
        part.gave(queries)

Where no profile is taken, a section is one shared object that does nothing: some microseconds a step for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar

from torch import Tensor

from jumok.text import Batch

SETUP, STEPS, STEP = "before the first step", "training steps", "one of them"
WAIT, DEV, KEEP, SAVE = "waiting for batches", "dev evaluation", "writing the model", "checkpoints"  # between steps
MOVE, OWN = "batches to tensors", "own words, step by step"
ENCODER, DECODER, ATTENTION, OUTPUT = "encoder and keys", "decoder", "attention and readout", "output layer and loss"
FED = "decoder and attention, step by step"  # with input feeding they are one
GATHER = "adding up all processes' gradients"
CLIP, AVERAGE, REST = "clipping and Adam", "moving average", "rest of the steps"


def backward(part: str) -> str:
    """The section of a part's backward pass."""
    return f"{part}, backward"


_BOTH_WAYS = (ENCODER, DECODER, ATTENTION, FED, OUTPUT)
OF_A_STEP = (MOVE, OWN, *_BOTH_WAYS, *(backward(part) for part in reversed(_BOTH_WAYS)), GATHER, CLIP, AVERAGE, REST)


class Clock:
    """Time by section, from `since` on (now, if left out); each moment belongs to one. `wait` returns when a GPU is done."""

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


class Section:
    """What lasts as long as a `with` block; timed where there is a clock."""

    def __init__(self, name: str, clock: Clock | None = None) -> None:
        self.name, self.clock, self.before = name, clock, ""

    def __enter__(self) -> Section:
        if self.clock is not None:
            self.before = self.clock.to(self.name)
        return self

    def __exit__(self, *_: object) -> None:
        if self.clock is not None:
            self.clock.to(self.before)

    def gave(self, *tensors: Tensor | None) -> None:
        """What the part hands on: when the gradient of one of these is known, the part's backward pass begins, and that of the
        part after it is over. It is exact because autograd goes back in the order in which things were made."""
        if (clock := self.clock) is None:
            return

        def back(_: Tensor) -> None:
            clock.to(backward(self.name))

        for tensor in tensors:
            if tensor is not None and tensor.requires_grad:
                tensor.register_hook(back)


UNTIMED = Section("")
Recorder = Callable[[str, Batch | None], AbstractContextManager[Section]]
recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)  # who listens


def section(name: str, batch: Batch | None = None) -> AbstractContextManager[Section]:
    """For a `with` block: what it does is `name`, one of the names above; STEP, MOVE and OWN say with which batch, too."""
    listening = recorder.get()
    return UNTIMED if listening is None else listening(name, batch)
