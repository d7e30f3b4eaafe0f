"""Many processes, one run: every process takes its share of a batch, and the gradients are added up before a step.

torchrun starts the processes and gives them their numbers; nothing here starts any. All processes read the same data and go
through the same steps with the same weights; only the first, the lead, writes files and speaks. The number of
processes changes a run in two ways only: in the last digits (a sum in another order), and in its dropout masks.

DistributedDataParallel does the same sum, and is not used, for three reasons. It sorts gradients into buckets anew after the
first step, so three or more processes that resume a run would add in another order, and resuming would not be exact. It needs
a part of every batch in every process, and the last batch of an epoch may have one pair. It needs the loss to be the model's
forward. Its advantage, to send some gradients while others are computed, is worth little here: nearly all belong to recurrent
layers, and come at the end of the backward pass.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import itertools
import json
import os
import platform
import re
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from jumok.config import LearnConfig
from jumok.errors import ConfigError, DataError, JumokError, TrainingError
from jumok.learn import machine as machines
from jumok.learn.data import Data
from jumok.text import Batch

PATIENCE = datetime.timedelta(minutes=10)  # how long a silent process is waited for; one that has died is noticed at once
READING = datetime.timedelta(hours=12)  # one host may have its corpus tokenised already, and another has to do it

Item = TypeVar("Item")
_meetings = (
    itertools.count()
)  # of this process: a script may train several times, and no training may read the notes of another


class Lost(TrainingError):
    """Another process of the run is gone; it may have left the reason (see `Team.blame`)."""


class Team:
    """The processes of a run, seen from one of them. Without `store` nothing is exchanged; then every method is the identity.

    Attributes:
        rank: this process's number, from 0; size: how many there are; lead: this is number 0.
        local: how many of them are on this host.
        restarted: torchrun has ended all processes and started them anew, at least once.
    """

    def __init__(self, rank: int = 0, size: int = 1, local: int = 1, store: dist.Store | None = None) -> None:
        self.rank, self.size, self.local, self.lead = rank, size, local, rank == 0
        self.restarted = False
        self.gradients: dist.ProcessGroup | None = None  # None: torch's default group, which is on CPUs
        self.readers: dist.ProcessGroup | None = None  # who wait longer for each other
        self._store = store
        self._asked: tuple[Tensor, dist.Work] | None = None
        self._torchrun = os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else None

    def apart(self) -> Team:
        """The same share of the work, but nothing is exchanged: for trials of which processes may make different numbers."""
        return Team(self.rank, self.size, self.local)

    # -- shares of the work -----------------------------------------------------------------------------------------

    def parts(self, batch: Batch, accumulate: int) -> Iterator[Batch]:
        """This process's share of a batch, in `accumulate` parts; fewer, or none, where the batch has fewer pairs than that.

        P processes with A parts each deal a batch out like one process with P · A parts.
        """
        count = self.size * accumulate
        for number in range(self.rank, min(count, len(batch.rows)), self.size):
            yield batch if count == 1 else batch.part(number, count)

    def mine(self, items: Iterable[Item]) -> Iterator[Item]:
        """This process's share of what is dealt out one by one."""
        return itertools.islice(items, self.rank, None, self.size)

    def seed(self, seed: int, step: int) -> None:
        """Sets torch's random generator for this process's share of a step, where there are many processes.

        It follows from seed, step and rank, so no process has a random state that a checkpoint would have to hold.
        """
        if self.size > 1:
            torch.manual_seed(int(np.random.SeedSequence([seed, step, self.rank]).generate_state(1)[0]))

    # -- numbers ----------------------------------------------------------------------------------------------------

    def sum_up(self, parameters: Sequence[Tensor], loss: Tensor) -> Tensor:
        """Makes every parameter's gradient the sum of all processes', and returns the sum of their `loss`, a number.

        All in one message, laid out alike at every step, so that it is added in the same order at every step.
        """
        if self._store is None:
            return loss
        pieces = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters] + [loss]
        flat = torch.cat([piece.flatten() for piece in pieces])
        _exchange(dist.all_reduce, flat, group=self.gradients)
        *sums, total = flat.split([piece.numel() for piece in pieces])
        for p, gradient in zip(parameters, sums, strict=True):
            p.grad = gradient.view_as(p)
        return total[0]

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Makes these tensors the lead's, in all processes: two kinds of CPU may draw first weights that differ a little."""
        if self._store is not None:
            for tensor in tensors:
                _exchange(dist.broadcast, tensor.detach(), 0, group=self.gradients)

    def any(self, yes: bool) -> bool:
        """Whether any process said yes the last time it was asked: the answer travels while a step is computed.

        A process whose torchrun has died says yes, too: nobody would end it any more.
        """
        yes = yes or self._torchrun not in (None, os.getppid())
        if self._store is None:
            return yes
        answer = self._answer()
        flag = torch.tensor(float(yes))
        self._asked = flag, _exchange(dist.all_reduce, flag, dist.ReduceOp.MAX, async_op=True)
        return answer

    def _answer(self) -> bool:
        if self._asked is None:
            return False
        (flag, work), self._asked = self._asked, None
        _exchange(work.wait)
        return bool(flag)

    # -- words ------------------------------------------------------------------------------------------------------

    def gather(self, value: Any) -> list[Any]:
        """What all processes have, in the order of their ranks. JSON values."""
        if self._store is None:
            return [value]
        mine = _letter(value)
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        _exchange(dist.all_gather, sizes, torch.tensor([len(mine)]))
        longest = max(int(n) for n in sizes)
        pieces = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.size)]
        _exchange(dist.all_gather, pieces, torch.nn.functional.pad(mine, (0, longest - len(mine))))
        return [json.loads(piece[:n].numpy().tobytes()) for n, piece in zip(map(int, sizes), pieces, strict=True)]

    def agree(self, value: Any) -> Any:
        """What the lead has, in all processes. A JSON value; the others' is not looked at."""
        if self._store is None:
            return value
        return json.loads(self._from_lead(_letter(value) if self.lead else None).numpy().tobytes())

    def ship(
        self, checkpoint: tuple[dict[str, Tensor], dict[str, Any]] | None
    ) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The lead's checkpoint, in all processes: tensors and facts; so only the lead's disk needs to have it."""
        from safetensors.torch import load, save

        if self._store is None:
            return checkpoint
        facts = self.agree(None if checkpoint is None else checkpoint[1])
        if facts is None:
            return None
        data = torch.frombuffer(bytearray(save(checkpoint[0])), dtype=torch.uint8) if checkpoint else None
        return load(self._from_lead(data).numpy().tobytes()), facts

    def _from_lead(self, data: Tensor | None) -> Tensor:
        size = torch.tensor([0 if data is None else len(data)])
        _exchange(dist.broadcast, size, 0)
        data = torch.zeros(int(size), dtype=torch.uint8) if data is None else data
        _exchange(dist.broadcast, data, 0)
        return data

    # -- the end ----------------------------------------------------------------------------------------------------

    def blame(self, error: BaseException) -> BaseException:
        """The error that this process ends with: its own, which it leaves for the others to read, or one that another has left.

        `error.reported` is set where another process of this host shows the error already, so that a person reads it once a host.
        """
        assert self._store is not None
        who = f"process {self.rank} of {self.size} on {platform.node()}"
        try:
            if not isinstance(error, Lost):
                if self._store.add("failures", 1) == 1:
                    words = str(error) if isinstance(error, JumokError) else f"{type(error).__name__}: {error}"
                    self._store.set("cause", f"{who}: {words}")
            elif self._store.check(["cause"]):
                error = TrainingError(self._store.get("cause").decode())
            else:
                error = TrainingError(
                    f"{who}: the connection to another process broke, which was killed or cut off ({error}); "
                    "when that is mended, --resume goes on from the last checkpoint"
                )
            if self._store.add(f"told on host {os.environ.get('GROUP_RANK', 0)}", 1) > 1 and isinstance(error, JumokError):
                error.reported = True
        except RuntimeError:  # the notes were kept by a process that is gone
            pass
        return error

    def close(self, failed: bool) -> None:
        """Ends the connections, so that others who wait for this process do not wait in vain."""
        if failed and self.gradients is not None:
            return  # NCCL would wait for the others; the end of this process ends its connections
        with contextlib.suppress(Lost):
            self._answer()
        dist.destroy_process_group()


ALONE = Team()


@contextlib.contextmanager
def joined(learn: LearnConfig) -> Iterator[Team]:
    """The team that torchrun has started this process for; else `ALONE`.

    Raises:
        TrainingError: another process is gone or failed; with its reason, if it could leave one.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        team = Team()
        team.restarted = _restarts() > 0
        yield team
        return
    team = _meet()
    try:
        team.readers = _exchange(dist.new_group, backend="gloo", timeout=READING)
        if machines.device(learn) == "cuda":
            _take_gpu(team)
        team.restarted = max(team.gather(_restarts())) > 0  # hosts may count differently
        yield team
    except BaseException as e:
        blamed = team.blame(e)
        team.close(failed=True)
        if blamed is e:
            raise
        raise blamed from None
    team.close(failed=False)


def check_data(team: Team, data: Data) -> None:
    """DataError if not all processes have read the same: then their shares would not be those of one batch."""
    if team.size == 1:
        return
    _exchange(dist.barrier, group=team.readers)
    known = {
        "training pairs": data.targets.checksum(data.sources.checksum()),
        "dev pairs": _checksum((p.source, p.target, p.features) for p in data.dev),
        "vocabularies": _checksum([data.codec.to_dict()]),
    }
    every = team.gather(known)
    for rank, theirs in enumerate(every):
        for name, checksum in theirs.items():
            if checksum != every[0][name]:
                raise DataError(
                    f"process {rank} of {team.size} has other {name} than process 0; all must read the same: "
                    "copy the first host's files to the other hosts"
                )


def _checksum(items: Iterable[Any]) -> int:
    checksum = 0
    for item in items:
        checksum = zlib.crc32(json.dumps(item).encode(), checksum)
    return checksum


def _meet() -> Team:
    rank, size, local = (int(os.environ.get(name, 0)) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    try:
        store = dist.PrefixStore(f"jumok {next(_meetings)}", _notes())
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=PATIENCE)
    except (RuntimeError, ValueError) as e:
        raise TrainingError(
            f"process {rank} of {size} on {platform.node()} did not find the others "
            f"({os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}): {_first_sentence(e)}"
        ) from None
    return Team(rank, size, local or 1, store)


@functools.cache
def _notes() -> dist.Store:
    """Where the processes leave notes for each other; kept to the end, for without torchrun it lives in process 0."""
    return _greeted(*next(dist.rendezvous("env://", timeout=PATIENCE)))  # type: ignore[attr-defined]


def _greeted(store: dist.Store, rank: int, size: int) -> dist.Store:
    """A part of the store that belongs to these processes alone.

    torchrun keeps its notes when it starts the processes anew, and its hosts do not count their attempts alike
    (pytorch/pytorch#135712). So a process may read what a dead one wrote. Hence a greeting: every process leaves a word that it
    has made up; the lead answers with that word and the name of this attempt, until all have used the name. Everything else
    is kept under that name.
    """
    end, made_up = time.monotonic() + PATIENCE.total_seconds(), uuid.uuid4().hex
    if rank == 0:
        waiting = set(range(1, size))
        while waiting:
            for other in list(waiting):
                if _note(store, f"name heard by {other}") == made_up:
                    waiting.remove(other)
                elif word := _note(store, f"word of {other}"):
                    store.set(f"answer to {other}", f"{word} {made_up}")
            _pause(end, f"process {min(waiting, default=0)} is not there")
        return dist.PrefixStore(made_up, store)
    store.set(f"word of {rank}", made_up)
    while True:
        word, _, name = _note(store, f"answer to {rank}").partition(" ")
        if word == made_up:
            store.set(f"name heard by {rank}", name)
            return dist.PrefixStore(name, store)
        _pause(end, "process 0 does not answer")


def _note(store: dist.Store, name: str) -> str:
    return store.get(name).decode() if store.check([name]) else ""


def _pause(end: float, problem: str) -> None:
    if time.monotonic() > end:
        raise RuntimeError(problem)
    time.sleep(0.02)


def _take_gpu(team: Team) -> None:
    """Gradients go from GPU to GPU; words stay on the CPUs."""
    gpus = torch.cuda.device_count()
    if team.local > gpus:
        raise ConfigError(f"{team.local} processes on {platform.node()}, which has {gpus} GPUs; give --nproc-per-node {gpus}")
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    team.gradients = dist.new_group(backend="nccl", timeout=PATIENCE)


def _restarts() -> int:
    """How often torchrun has started these processes anew."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def _letter(value: Any) -> Tensor:
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def _exchange(call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """What `call` gives, where all processes are there to answer; else Lost."""
    try:
        return call(*arguments, **more)
    except RuntimeError as e:
        raise Lost(_first_sentence(e)) from None


def _first_sentence(e: Exception) -> str:
    """Of gloo's message, without its place in the code and its advice to programmers."""
    return re.sub(r"\[/[^]]*\] ", "", str(e)).split(". ")[0].split("\n")[0]
