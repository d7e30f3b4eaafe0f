"""The loop: batches in, better weights out, until the schedule ends, patience does, or a person says stop.

`Loop.run` is the course of a training, `Loop.update` is one step of it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from jumok import schedules
from jumok.errors import TrainingError
from jumok.learn.choice import Choice
from jumok.learn.display import Display
from jumok.learn.evaluation import tensors
from jumok.learn.folder import Folder
from jumok.learn.guard import Guard
from jumok.learn.history import Evaluation, Position
from jumok.learn.material import Material
from jumok.learn.optimizer import Adam, Average
from jumok.learn.parallel import ALONE, Team
from jumok.learn.plan import Plan
from jumok.learn.recipe import Recipe
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
from jumok.text import Batch, Codec

LOOK = 20  # steps between two looks at loss and rate


@dataclass
class Sums:
    """Running sums since the last evaluation; loss stays a tensor, so that no step waits to read it."""

    loss: Tensor | float = 0.0
    tokens: int = 0
    skipped: int = 0
    seconds: float = 0.0


def new_model(recipe: Recipe, codec: Codec) -> Seq2Seq:
    """The model as it is before its first step, and torch's random numbers with it: they follow from the seed alone."""
    torch.manual_seed(recipe.learn.seed)
    sizes = len(codec.source.vocabulary), len(codec.target.vocabulary)
    copies = torch.from_numpy(codec.copies()) if recipe.model.copy else None
    return Seq2Seq(recipe.model, *sizes, recipe.dropout, copies).to(recipe.machine.device)


class Loop:
    """One model in training.

    Args:
        model: what is trained.
        data: what it learns from, and what it is judged by.
        recipe: how.
        team: the processes that share the work.
        display: what a person sees; None for a loop that is not run to its end, but whose steps are used.
        folder: where the model and checkpoints are written; None = nowhere.

    Attributes:
        plan: how many steps there are; one of --minutes is put here before `run`.
        frozen: tables with ids and rows that stay as they are for a share `freeze` of the steps.
        interrupted: `stop` was called; stopped: the loop has stopped, since that was so in a process of the team.
    """

    def __init__(
        self,
        model: Seq2Seq,
        data: Material,
        recipe: Recipe,
        team: Team = ALONE,
        display: Display | None = None,
        folder: Folder | None = None,
    ) -> None:
        self.model, self.data, self.recipe, self.team, self.folder = model, data, recipe, team, folder
        self.display = display or Display(quiet=True)
        self.learn, self.machine = recipe.learn, recipe.machine
        self.batches, self.dev = data.batches, data.dev
        self.guard = Guard(self.learn, data.describe, self.display.note)
        self.parameters: list[Tensor] = list(model.parameters())
        self.optimizer = Adam(self.parameters, recipe.weight_decay)
        self.average = Average(model, self.learn.average)
        self.position, self.sums, self.plan = Position(), Sums(), Plan(recipe.steps)
        self.interrupted = self.stopped = False
        self.frozen: list[tuple[Tensor, Tensor, Tensor]] = []

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
        with section(CLIP), self._holding():
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

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        """Keeps known rows as they are, through a step of the share `freeze` at the beginning."""
        held = self.frozen if self.frozen and self.plan.place(self.position.step) < self.learn.freeze * self.plan.steps else []
        for table, ids, _ in held:
            if table.grad is not None:
                table.grad[ids] = 0
        yield
        with torch.no_grad():
            for table, ids, rows in held:  # weight decay moves them, too
                table[ids] = rows

    def _descend(self, rate: float) -> None:
        """Clipping and Adam, whose kernel divides by what the norm is too large by: one way through memory less."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients, foreach=True)
        excess = (norm / self.learn.clip).clamp(min=1)
        divisor = excess if excess.dtype == torch.float32 else None
        if divisor is None:  # the kernel knows one in float32 only
            kernels.divide_(gradients, excess)
        self.guard.step(norm, lambda skip: self.optimizer.step(rate, skip, divisor))

    def run(self, observe: Callable[[int, Seq2Seq], None] | None = None) -> None:
        """Trains to the end of the schedule from wherever the position is; leaves early after `stop`.

        Args:
            observe: given the step and the model after each evaluation, when all is written.
        """
        at, plan, every = self.position, self.plan, self.recipe.evaluate_every
        stream = self._batches_from(at.step)
        start, before = time.perf_counter(), at.seconds
        look, saved = (start, self.sums.tokens, float(self.sums.loss)), start
        read_every = 1 if self.machine.device == "cpu" else LOOK  # reading from a GPU makes it wait
        self.model.train()
        plan.fit(at.step, every)  # what came before has taken its time
        plan.begins(at.step)
        while at.step < plan.steps and not self._out_of_patience() and not self._must_stop():
            tick, sums = time.perf_counter(), self.sums
            rate = schedules.learning_rate(
                plan.place(at.step), plan.steps, self.recipe.learning_rate, self.learn.warmup, self.learn.decay
            )
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
            plan.saw(at.step, every)
            evaluate = at.step % every == 0 or at.step >= plan.steps
            save = evaluate or self._save_is_due(saved)
            if save or at.step % read_every == 0:
                self._read_guard()
            if at.step % LOOK == 0:
                now, total = time.perf_counter(), float(sums.loss)
                seconds, tokens, loss_since = now - look[0], sums.tokens - look[1], total - look[2]
                share = self._gold_share(at.step - 1)
                self.display.advance((at.step, plan.steps), tokens / seconds, loss_since / max(1, tokens), rate, share)
                look = now, sums.tokens, total
            if evaluate:
                plan.evaluates()
                self._evaluate(sums, rate)
                at.seconds = before + time.perf_counter() - start
                self.sums, look = Sums(), (time.perf_counter(), 0, 0.0)
            if save:
                self.save()
                saved = time.perf_counter()
            if evaluate and observe is not None:
                observe(at.step, self.model)
            if evaluate:
                plan.evaluated()
            if evaluate and at.step < plan.steps:
                plan.fit(at.step, every)
            if save:
                plan.begins(at.step)
        self._read_guard()
        if self._out_of_patience():
            self.display.note(f"no better dev {self.dev.metric} for {at.stale} evaluations: stopping early")

    def stop(self) -> None:
        """Ends the loop after the step that is under way."""
        self.interrupted = True

    @property
    def choice(self) -> Choice:
        """How evaluations are compared."""
        return Choice(self.dev.metric)

    def keep(self) -> None:
        """Writes the model, as it is in place now, as the folder's."""
        if self.folder is not None:
            with section(KEEP):
                self.folder.planned(self.plan.steps)
                self.folder.keep(self.model, self.position.step, self.position.history)

    def save(self) -> None:
        """Writes a checkpoint."""
        if self.folder is not None:
            with section(SAVE):
                self.folder.planned(self.plan.steps)
                self.folder.save(*self.state(), self.position.step)

    def _must_stop(self) -> bool:
        self.stopped = self.team.any(self.interrupted)
        return self.stopped

    def _out_of_patience(self) -> bool:
        return 0 < self.learn.patience <= self.position.stale

    def _save_is_due(self, saved: float) -> bool:
        """Whether a checkpoint is to be written between two evaluations; `saved` is when the last one was."""
        by_steps = self.learn.save_every and self.position.step % self.learn.save_every == 0
        by_time = self.learn.save_minutes and time.perf_counter() - saved >= 60 * self.learn.save_minutes
        return bool(by_steps or by_time)

    def _read_guard(self) -> None:
        """Takes batches that turned out to be bad out of the sums. TrainingError where the guard ends the run."""
        skipped, tokens = self.guard.read(self.position)
        self.sums.skipped, self.sums.tokens = self.sums.skipped + skipped, self.sums.tokens - tokens

    def _gold_share(self, step: int) -> float:
        learn, plan, early = self.learn, self.plan, self.position.switched
        switched = 0 if early is not None and step >= early else round(learn.switch * plan.steps)
        return schedules.gold_share(learn.teacher_forcing, plan.place(step), plan.steps, learn.gold_at_end, switched)

    def _evaluate(self, sums: Sums, rate: float) -> None:
        at = self.position
        with self.average.in_place():
            with section(DEV):
                metrics = self.dev.evaluate(self.model, self.machine)
            kept = at.kept()
            judged = self.choice.judge(metrics, kept.metrics if kept else None, [e.metrics for e in at.history], at.stale)
            evaluation = Evaluation(
                step=at.step,
                epoch=at.step / len(self.batches),
                seconds=at.seconds,
                learning_rate=rate,
                gold_share=self._gold_share(at.step - 1),
                tokens_per_second=sums.tokens / max(sums.seconds, 1e-9),
                train_loss=float(sums.loss) / max(1, sums.tokens),
                skipped=sums.skipped,
                metrics=metrics,
                best=judged.best,
            )
            at.history.append(evaluation)
            at.stale = judged.stale
            waited = self.learn.switch_patience and at.stale >= self.learn.switch_patience
            if schedules.TEACHER_FORCING[self.learn.teacher_forcing].switches and waited and at.switched is None:
                at.switched = at.step
            self.display.row(evaluation)
            if judged.best:
                at.best, at.best_step = metrics[self.dev.metric], at.step
                self.keep()

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
        return tensors_ | random_states(), {"position": self.position.to_dict(), "sums": sums, "plan": self.plan.to_dict()}

    def restore(self, tensors_: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Raises TrainingError where the checkpoint is of another model."""
        tensors_ = _with_even_inputs(tensors_, self.model)
        try:
            with torch.no_grad():
                for name, p in self.model.named_parameters():
                    p.copy_(tensors_[f"model.{name}"])
            self.average.restore({k.removeprefix("average."): t for k, t in tensors_.items() if k.startswith("average.")})
            for i, w in enumerate(self.parameters):
                for name, value in self.optimizer.state[w].items():
                    if (stored := tensors_.get(f"adam.{i}.{name}")) is not None:  # else it had not been updated yet
                        value.copy_(stored)
            put_random_states(tensors_)
            self.position, self.sums = Position.from_dict(facts["position"]), Sums(**facts["sums"])
            self.plan = self.plan.restored(facts.get("plan", {}))  # older checkpoints have none: the steps are the recipe's
            if "sums.loss" in tensors_:
                self.sums.loss = tensors_["sums.loss"].to(self.machine.device, copy=True)
        except (KeyError, RuntimeError, TypeError) as e:
            raise TrainingError(f"the checkpoint does not fit this run ({e}); train anew with --overwrite") from None


def _with_even_inputs(tensors_: dict[str, Tensor], model: Seq2Seq) -> dict[str, Tensor]:
    """A checkpoint's tensors. Layers of older ones could have an odd number of inputs: they get the weights of one more, all 0."""
    found = dict(tensors_)
    for i, (name, p) in enumerate(model.named_parameters()):
        if name.endswith("weight_ih_l0"):
            stored = {
                k: t for k, t in tensors_.items() if k in (f"model.{name}", f"average.{name}") or k.startswith(f"adam.{i}.")
            }
            found |= {k: F.pad(t, (0, 1)) for k, t in stored.items() if t.dim() == 2 and t.shape[1] + 1 == p.shape[1]}
    return found


def random_states() -> dict[str, Tensor]:
    """The states of torch's random number generators, the GPU's too where there is one."""
    states = {"random": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["random.cuda"] = torch.cuda.get_rng_state()
    return states


def put_random_states(tensors_: dict[str, Tensor]) -> None:
    """The way back."""
    torch.set_rng_state(tensors_["random"])
    if torch.cuda.is_available() and "random.cuda" in tensors_:
        torch.cuda.set_rng_state(tensors_["random.cuda"])
