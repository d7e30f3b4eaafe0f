"""The loop: batches in, better weights out, until the schedule ends, patience does, or a person says stop."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from jumok import schedules
from jumok.config import LearnConfig
from jumok.errors import TrainingError
from jumok.learn.adam import Adam
from jumok.learn.average import Average
from jumok.learn.choice import Choice
from jumok.learn.evaluation import Development, tensors
from jumok.learn.guard import Guard
from jumok.learn.machine import Machine
from jumok.learn.parallel import ALONE
from jumok.learn.progress import Display
from jumok.net import kernels
from jumok.net.model import Losses, Seq2Seq, shifted
from jumok.net.sampling import own_inputs, toss
from jumok.net.sections import (
    AVERAGE,
    CLIP,
    DEV,
    GATHER,
    KEEP,
    MOVE,
    OUTPUT,
    OWN,
    REST,
    SAVE,
    STEP,
    WAIT,
    backward,
    section,
)
from jumok.text import Batch, Batches

LOOK = 20  # steps between two looks at loss and rate


@dataclass
class Position:
    """Where a run is: what a checkpoint holds beside tensors.

    Attributes:
        step: updates done; with the seed it settles epoch and batch.
        seconds: training time so far, earlier sittings included.
        best: value of the dev metric at the best evaluation (`jumok.learn.choice`), which was at `best_step`.
        stale: evaluations that have passed without a better one, but for those at which nothing could be told.
        switched: the step at which patience sent a two-phase run into its second phase.
        bad_in_a_row: batches up to here, one after the other, whose gradient was not finite.
        history: one entry an evaluation.
    """

    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    switched: int | None = None
    bad_in_a_row: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    def kept(self) -> dict[str, Any] | None:
        """The evaluation whose model is kept, from the history: so a checkpoint needs to hold nothing more of it."""
        return next((entry for entry in reversed(self.history) if entry["best"] and entry["step"] == self.best_step), None)


@dataclass
class Sums:
    """Running sums since the last evaluation; loss stays a tensor, so that no step waits to read it."""

    loss: Tensor | float = 0.0
    tokens: int = 0
    skipped: int = 0
    seconds: float = 0.0


class Loop:
    """One model in training.

    Args:
        model, batches, dev, learn: what is trained, on what, judged by what, how (all of `learn` settled, `steps` too).
        keep: called with the position when a new best model is in place (average swapped in).
        save: called with the position after each evaluation and, by --save-minutes and --save-every, between them, to write
            a checkpoint.
        evaluated: called with the position after an evaluation, when all is saved.
        describe: says in words which batch one is, for what is told of a bad one.
    """

    def __init__(
        self,
        model: Seq2Seq,
        batches: Batches,
        dev: Development,
        learn: LearnConfig,
        machine: Machine,
        display: Display,
        keep: Callable[[Position], None],
        save: Callable[[Position], None],
        evaluated: Callable[[Position], None],
        describe: Callable[[Batch], str],
    ) -> None:
        self.model, self.batches, self.dev, self.learn, self.machine, self.display = (
            model,
            batches,
            dev,
            learn,
            machine,
            display,
        )
        self.keep, self.save, self.evaluated = keep, save, evaluated
        self.team, self.guard = ALONE, Guard(learn, describe, display.note)
        self.parameters: list[Tensor] = list(model.parameters())
        self.optimizer = Adam(self.parameters, learn.weight_decay)
        self.average = Average(model, learn.average)
        self.position, self.sums = Position(), Sums()
        self.interrupted = self.stopped = False  # told to stop; has stopped, because a process of the team was told to

    def update(self, batch: Batch, rate: float, gold_share: float = 1.0) -> tuple[Tensor, int]:
        """One step: loss, gradient, clipping, Adam. Returns the summed plain loss (a tensor) and the number of tokens.

        Where the gradient is not finite, nothing changes and the loss returned is 0.
        """
        tokens, nll = int(batch.target_lengths.sum()), self.model.bias.new_zeros(())
        self.team.seed(self.learn.seed, self.position.step)
        self.optimizer.zero_grad()
        for part in self.team.parts(batch, self.learn.accumulate):
            losses = self.losses(part, gold_share)
            with section(backward(OUTPUT)):  # and of what comes before it, see `Section.gave`
                (losses.loss / tokens).backward()  # of the whole batch, so that its parts add up to its gradient
            nll = nll + losses.nll.detach()
        with section(GATHER if self.team.size > 1 else REST):
            nll = self.team.sum_up(self.parameters, nll)
        with section(CLIP):
            self._descend(rate)
        return self.guard.only_good(nll), tokens

    def losses(self, batch: Batch, gold_share: float) -> Losses:
        """The forward pass, on inputs of which about `gold_share` are gold."""
        with self.machine.autocast():
            with section(MOVE if gold_share == 1 else OWN, batch):
                source, lengths, target, real = tensors(batch, self.machine.device)
                inputs = shifted(target)
                if gold_share < 1:
                    gold = toss(target, gold_share, self.learn.coin)
                    inputs = own_inputs(self.model, source, lengths, target, gold, self.learn.own_token)
            return self.model.loss(source, lengths, inputs, target, real, self.learn.label_smoothing)

    def _descend(self, rate: float) -> None:
        """Clipping and Adam, whose kernel divides by what the norm is too large by: one way through memory less."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients, foreach=True)
        excess = (norm / self.learn.clip).clamp(min=1)
        divisor = excess if excess.dtype == torch.float32 else None
        if divisor is None:  # the kernel knows one in float32 only
            kernels.divide_(gradients, excess)
        self.guard.step(norm, lambda skip: self.optimizer.step(rate, skip, divisor))

    def run(self) -> None:
        """Trains to the end of the schedule from wherever the position is; leaves when `interrupted` is set."""
        steps, every = self.learn.steps, self.learn.evaluate_every
        assert steps is not None and every is not None
        at, stream = self.position, self._batches_from(self.position.step)
        start, before = time.perf_counter(), at.seconds
        look, saved = (start, self.sums.tokens, float(self.sums.loss)), start
        read_every = 1 if self.machine.device == "cpu" else LOOK  # reading from a GPU makes it wait
        self.model.train()
        while at.step < steps and not self._out_of_patience() and not self._told_to_stop():
            tick, sums = time.perf_counter(), self.sums
            rate = schedules.learning_rate(at.step, steps, self._highest, self.learn.warmup, self.learn.decay)
            with section(WAIT):
                batch = next(stream)
            with section(STEP, batch):
                loss, tokens = self.update(batch, rate, self._gold_share(at.step))
                with section(AVERAGE):
                    self.average.update(at.step)
            at.step += 1
            self.guard.saw(at.step, batch, tokens)
            sums.loss, sums.tokens = sums.loss + loss, sums.tokens + tokens
            sums.seconds += time.perf_counter() - tick
            at.seconds = before + time.perf_counter() - start
            evaluate = at.step % every == 0 or at.step == steps
            save = evaluate or self._save_is_due(saved)
            if save or at.step % read_every == 0:
                self._settle()
            if at.step % LOOK == 0:
                now, total = time.perf_counter(), float(sums.loss)
                seconds, tokens, loss_since = now - look[0], sums.tokens - look[1], total - look[2]
                share = self._gold_share(at.step - 1)
                self.display.advance(at.step, tokens / seconds, loss_since / max(1, tokens), rate, share)
                look = now, sums.tokens, total
            if evaluate:
                self._evaluate(sums, rate)
                at.seconds = before + time.perf_counter() - start
                self.sums, look = Sums(), (time.perf_counter(), 0, 0.0)
            if save:
                with section(SAVE):
                    self.save(at)
                saved = time.perf_counter()
            if evaluate:
                self.evaluated(at)
        self._settle()
        if self._out_of_patience():
            self.display.note(f"no better dev {self.dev.metric} for {at.stale} evaluations: stopping early")

    @property
    def choice(self) -> Choice:
        """How evaluations are compared."""
        return Choice(self.dev.metric)

    def _told_to_stop(self) -> bool:
        self.stopped = self.team.any(self.interrupted)
        return self.stopped

    def _out_of_patience(self) -> bool:
        return 0 < self.learn.patience <= self.position.stale

    def _save_is_due(self, saved: float) -> bool:
        """Whether a checkpoint is to be written between two evaluations; `saved` is when the last one was."""
        by_steps = self.learn.save_every and self.position.step % self.learn.save_every == 0
        by_time = self.learn.save_minutes and time.perf_counter() - saved >= 60 * self.learn.save_minutes
        return bool(by_steps or by_time)

    def _settle(self) -> None:
        """Finds out which batches since the last time were bad, takes them out of the sums, and stops a run that has too many."""
        skipped, tokens = self.guard.settle(self.position)
        self.sums.skipped, self.sums.tokens = self.sums.skipped + skipped, self.sums.tokens - tokens

    def _gold_share(self, step: int) -> float:
        learn = self.learn
        assert learn.steps is not None
        switched = min(
            round(learn.switch * learn.steps), learn.steps if self.position.switched is None else self.position.switched
        )
        return schedules.gold_share(learn.teacher_forcing, step, learn.steps, learn.gold_at_end, switched)

    @property
    def _highest(self) -> float:
        assert self.learn.learning_rate is not None
        return self.learn.learning_rate

    def _evaluate(self, sums: Sums, rate: float) -> None:
        at = self.position
        train_loss = float(sums.loss) / max(1, sums.tokens)
        with self.average.in_place():
            with section(DEV):
                metrics = self.dev.evaluate(self.model, self.machine)
            judged = self.choice.judge(metrics, at.kept(), at.history, at.stale)
            entry = {
                "step": at.step,
                "epoch": at.step / len(self.batches),
                "seconds": at.seconds,
                "learning_rate": rate,
                "gold_share": self._gold_share(at.step - 1),
                "tokens_per_second": sums.tokens / max(sums.seconds, 1e-9),
                "train_loss": train_loss,
                "skipped": sums.skipped,
                "metrics": list(metrics),
                **metrics,
                "best": judged.best,
            }
            at.history.append(entry)
            at.stale = judged.stale
            waited = self.learn.switch_patience and at.stale >= self.learn.switch_patience
            if schedules.TEACHER_FORCING[self.learn.teacher_forcing].switches and waited and at.switched is None:
                at.switched = at.step
            self.display.row(entry, judged.best)
            if judged.best:
                at.best, at.best_step = metrics[self.dev.metric], at.step
                with section(KEEP):
                    self.keep(at)

    def _batches_from(self, step: int) -> Iterator[Batch]:
        epoch = 0
        while step >= self.batches.length(epoch):  # epochs of --batch-tokens differ in length
            step -= self.batches.length(epoch)
            epoch += 1
        while True:
            yield from self.batches.epoch(epoch, step)
            epoch, step = epoch + 1, 0

    # -- what a checkpoint holds ------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and facts from which `restore` goes on as if nothing had happened."""
        tensors_ = {f"model.{name}": p.detach() for name, p in self.model.named_parameters()}
        tensors_ |= {f"average.{name}": a for name, a in self.average.state().items()}
        for i, p in enumerate(self.parameters):
            tensors_ |= {f"adam.{i}.{name}": value for name, value in self.optimizer.state[p].items()}
        sums = {name: value for name, value in vars(self.sums).items() if name != "loss"}
        if isinstance(self.sums.loss, Tensor):  # else nothing was summed up yet
            tensors_["sums.loss"] = self.sums.loss
        return tensors_ | random_states(), {"position": dataclasses.asdict(self.position), "sums": sums}

    def restore(self, tensors_: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Raises TrainingError where the checkpoint is of another model."""
        try:
            with torch.no_grad():
                for name, p in self.model.named_parameters():
                    p.copy_(tensors_[f"model.{name}"])
            self.average.restore({k.removeprefix("average."): t for k, t in tensors_.items() if k.startswith("average.")})
            for i, w in enumerate(self.parameters):
                prefix = f"adam.{i}."
                state = {k.removeprefix(prefix): t for k, t in tensors_.items() if k.startswith(prefix)}
                self.optimizer.state[w] = {k: t.to(w.device, copy=True) for k, t in state.items()}
            put_random_states(tensors_)
            self.position, self.sums = Position(**facts["position"]), Sums(**facts["sums"])
            if "sums.loss" in tensors_:
                self.sums.loss = tensors_["sums.loss"].to(self.machine.device, copy=True)
        except (KeyError, RuntimeError, TypeError) as e:
            raise TrainingError(f"the checkpoint does not fit this run ({e}); train anew with --overwrite") from None


def random_states() -> dict[str, Tensor]:
    """The states of torch's random number generators, the GPU's too where there is one."""
    found = {"random": torch.get_rng_state()}
    if torch.cuda.is_available():
        found["random.cuda"] = torch.cuda.get_rng_state()
    return found


def put_random_states(tensors_: dict[str, Tensor]) -> None:
    """The way back."""
    torch.set_rng_state(tensors_["random"])
    if torch.cuda.is_available() and "random.cuda" in tensors_:
        torch.cuda.set_rng_state(tensors_["random.cuda"])


def rehearsal(loop: Loop) -> Callable[[], None]:
    """Before the first updates, which must not count, all at a rate of 0, so that weights and their average stay; the function
    returned has the optimizer and the random numbers forget them.

    The optimizer's memory is kept where it is: freed and taken anew, it would lie scattered over the room that steps need.
    """
    random = random_states()

    def over() -> None:
        for state in loop.optimizer.state.values():
            for value in state.values():
                value.zero_()
        put_random_states(random)

    return over
