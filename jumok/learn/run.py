"""Training from files to a model folder: read, settle the recipe, measure the machine, run the loop, write."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jumok import schedules
from jumok.config import TrainConfig, build, to_dict
from jumok.errors import ConfigError
from jumok.learn import machine as machines
from jumok.learn import recipe
from jumok.learn.beginning import Beginning, alone, begin, begun, bring_back, finished
from jumok.learn.board import Board
from jumok.learn.checkpoint import remove_checkpoint
from jumok.learn.data import Data, read
from jumok.learn.evaluation import Development
from jumok.learn.given import asked_for, differences, resumed
from jumok.learn.loop import Loop, Position, rehearsal
from jumok.learn.parallel import Team, check_data, joined
from jumok.learn.profile import verdict
from jumok.learn.profile.profiler import Profile, Profiler
from jumok.learn.progress import Display
from jumok.learn.start import Trained
from jumok.learn.store import Store, stored_codec, stored_run
from jumok.learn.threads import settled as settle_threads
from jumok.measure import MeasureOptions, measure
from jumok.net.model import Seq2Seq
from jumok.text import Batch, Batches, Rows
from jumok.text.batches import CHUNK

EVALUATION_SHARE = 0.05  # of the training time, at most
USUAL_DROPOUT = 0.1  # while the machine is measured and the length of the run, which dropout follows from, not yet known
CALIBRATION_SHARE = 0.03  # of the time of --minutes: a machine that others share is slow or fast for seconds at a time
MEASURING = 0.1  # of the time that is left of --minutes, at most: to choose settings, to time steps, and to time an evaluation
DEV_TRIED = 64  # dev sources that tell how long an evaluation takes, where all would take too long
RESERVE = 0.96  # of the time of --minutes is planned; the rest is for what cannot be foreseen


def run(
    asked: TrainConfig,
    start: float,
    *,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    profile: bool,
    tensorboard: str | Path,
    observe: Callable[[int, Seq2Seq], None] | None,
    given: Collection[str],
) -> Trained:
    """`jumok.train`, when its options are a configuration; `start` is the moment it began, by `time.perf_counter`."""
    with joined(asked.learn) as team:
        display = Display(quiet or not team.lead, Board(tensorboard) if str(tensorboard) and team.lead else None)
        # the lead's options hold for all; where the data is, each may say itself
        agreed = build(TrainConfig, team.agree(to_dict(asked)), "jumok.train")
        asked = dataclasses.replace(agreed, pairs=asked.pairs, dev=asked.dev)
        out = Path(asked.out)
        with alone(asked.out) if team.lead else contextlib.nullcontext(False) as held:
            if team.lead:
                bring_back(out)
            resume = team.agree(resume or (team.lead and team.restarted and begun(asked, display.note)))
            over = finished(out) if team.lead and resume and not overwrite else None
            if done := team.agree(over and [to_dict(over.config), over.history]):
                if over:
                    display.note(
                        f"{out}: training is finished, there is nothing to resume ({over.line}); --overwrite trains anew"
                    )
                    if others := differences(over.asked, over.config, asked, given):
                        display.warn(f"not used, the model was trained with other options: {others}")
                return _trained(out, build(TrainConfig, done[0], asked.out), done[1])
            begins = Beginning(None, "", False)
            if team.lead:
                begins = begin(asked, resume, overwrite, held, display.note, str(tensorboard))
            begins = dataclasses.replace(begins, checkpoint=team.ship(begins.checkpoint))
            training = _Training(asked, display, start, begins, profile, observe, team, given)
            with training.store.undone_if_it_fails() if team.lead else contextlib.nullcontext():
                return training.run()


def _trained(out: Path, config: TrainConfig, history: list[dict[str, Any]]) -> Trained:
    """What a training left behind that was over before."""
    best = next((entry for entry in reversed(history) if entry["best"]), None)
    value = best[config.learn.metric] if best and config.learn.metric else None
    return Trained(out, config, history, value, best["step"] if best else 0)


class _Training:
    """The run in its order; methods are its chapters."""

    def __init__(
        self,
        run: TrainConfig,
        display: Display,
        start: float,
        begins: Beginning,
        profile: bool,
        observe: Callable[[int, Seq2Seq], None] | None,
        team: Team,
        given: Collection[str],
    ) -> None:
        self.display, self.start, self.observe, self.team = display, start, observe, team
        self.profile = profile and team.lead
        self.out, asked = Path(run.out), run
        self.checkpoint = begins.checkpoint
        self.facts: dict[str, Any] = {} if self.checkpoint is None else self.checkpoint[1]
        if self.checkpoint is not None:
            stored = stored_run(self.facts["config"], self.out)
            run = resumed(stored, asked, given)
            known = self.facts.get("given")
            begun_with = asked_for(build(TrainConfig, self.facts["asked"], str(self.out))) if known is None else known
            if others := differences(begun_with, stored, asked, given):
                display.warn(f"not used, the checkpoint says otherwise: {others}")
        self._still_time(run, "Python and PyTorch took {} to start")
        if not run.pairs:
            raise ConfigError("pairs are missing; name a file of training pairs")
        if team.size > 1 and "-" in (run.pairs, run.dev):
            raise ConfigError("standard input cannot be read by several processes; write the pairs to a file")
        if run.learn.tokenize and self.checkpoint is None:  # whether it is known, before any work
            measure("bleu", ["a"], [["a"]], MeasureOptions(tokenize=run.learn.tokenize))
        self.run_config = run
        self.store = Store(self.out, begins, asked)

    def run(self) -> Trained:
        codec = None
        if self.checkpoint is not None:
            codec = stored_codec(self.checkpoint[0], self.run_config, self.out)
        data = read(self.run_config, codec, self.display)
        check_data(self.team, data)
        self._still_time(self.run_config, "reading took {}")
        loop = self._loop(data)
        self._settle_length(loop)
        return self._train(loop)

    def _still_time(self, run: TrainConfig, what: str) -> None:
        """ConfigError where all of --minutes is gone before anything was trained."""
        spent = time.perf_counter() - self.start
        if self.checkpoint is None and run.learn.minutes is not None and spent > RESERVE * 60 * run.learn.minutes:
            gone = what.format(f"{spent:.0f} s" if spent < 100 else f"{spent / 60:.1f} minutes")
            raise ConfigError(f"minutes is {run.learn.minutes:g}, but {gone}; nothing is left for training; give more")

    def _loop(self, data: Data) -> Loop:
        sources, targets, codec = data.sources, data.targets, data.codec
        vocabularies = len(codec.source.vocabulary), len(codec.target.vocabulary)
        run = self.run_config = recipe.resolve(self.run_config, *vocabularies, len(sources), [p.target for p in data.dev])
        learn = run.learn
        recipe.check_lengths(run.model, int(sources.lengths.max()))
        threads = settle_threads(learn.threads, self.team.local, self.display.warn)
        learn = dataclasses.replace(learn, threads=threads)
        run = self.run_config = dataclasses.replace(run, learn=learn)
        torch.manual_seed(learn.seed)
        where = machines.device(learn)
        dropout = USUAL_DROPOUT if learn.dropout is None else learn.dropout
        copies = torch.from_numpy(codec.copies()) if run.model.copy else None
        if copies is not None and not (copies >= 0).any():
            raise ConfigError(
                "copy is on, but no token of the source is one of the target's, so nothing could be copied; give --no-copy"
            )
        model = Seq2Seq(run.model, len(codec.source.vocabulary), len(codec.target.vocabulary), dropout, copies).to(where)
        self.limit = length_limit(sources, targets)
        self.codec = codec
        batches = Batches(
            sources,
            targets,
            batch_size=None if learn.batch_tokens else learn.batch_size,
            batch_tokens=learn.batch_tokens,
            pool=learn.pool,
            seed=learn.seed,
        )
        metric, told = learn.metric or "accuracy", self.display.warn
        development = Development(data.dev, codec, self.limit, metric, learn.tokenize, self.team, told)
        self.display.titles = development.titles
        count = sum(p.numel() for p in model.parameters())
        self.display.note(
            f"{len(sources):,} training pairs, {len(data.dev):,} dev · vocabularies {len(codec.source.vocabulary):,} and {len(codec.target.vocabulary):,} · "
            f"{run.model.size}, attention {run.model.attention}, {count / 1e6:.1f} M parameters"
        )
        self.display.note(f"dev picks the model by {development.signatures.get(metric, 'loss under teacher forcing')}")
        machine = machines.Machine("float32", "default", 1, where)
        self.pairs_used = len(sources)
        if self.checkpoint is not None and self.facts["data"] != batches.fingerprint():
            self.display.warn(
                "the training pairs are not those that the checkpoint was made with; the run goes on, but on others"
            )

        def describe(batch: Batch) -> str:
            first = [data.describe(row) for row in batch.rows[:3].tolist()]
            more = f", … ({len(batch.rows)} pairs)" if len(batch.rows) > 3 else ""
            return f"{', '.join(where for where, _ in first)}{more}, first source {first[0][1][:80]!r}"

        callbacks = self._keep, self._save, self._evaluated, describe
        return Loop(model, batches, development, learn, machine, self.display, *callbacks)

    def _settle_length(self, loop: Loop) -> None:
        """Measures the machine; then --steps, --epochs or --minutes become a number of steps, and evaluations find their place."""
        learn, epoch = self.run_config.learn, len(loop.batches)
        over = rehearsal(loop)
        loop.model.train()
        batches = _cycle(loop)
        first = [next(batches) for _ in range(3)]

        def step(machine: machines.Machine) -> None:
            loop.machine = machine
            for batch in first[: 1 if machine.precision == "bfloat16" else 3]:
                loop.update(batch, 0.0)

        loop.team = self.team.apart()
        begun, self.most = time.perf_counter(), math.inf
        if learn.minutes is not None:
            self.most = MEASURING * max(0.0, RESERVE * 60 * learn.minutes - (begun - self.start))
        with self.display.stage("measuring what this machine does best"):
            anew = self.checkpoint is None
            chosen = machines.choose(learn, step, sharers=self.team.local, deadline=begun + self.most, strict=anew)
        self._still_time(self.run_config, "reading and the first steps took {}")
        loop.machine = machines.Machine(**self.team.agree(dataclasses.asdict(chosen) | {"processes": self.team.size}))
        loop.machine.apply()
        loop.team = self.team
        short = ", cut short for --minutes" * (time.perf_counter() > begun + self.most)
        self.display.note(
            f"computing in {loop.machine}" + ("" if learn.precision != "auto" else f" (chosen by a probe{short})")
        )
        if self.checkpoint is not None:
            over()
            if self.facts["machine"] != str(loop.machine):
                self.display.warn(
                    f"the run began in {self.facts['machine']}; its figures will differ a little from an uninterrupted run's"
                )
            return
        seconds = evaluation = 0.0
        wanted = (
            learn.minutes is not None or learn.evaluate_every is None or not self.display.quiet
        )  # else nothing hangs on them
        if self.team.agree(wanted):
            budget = min(20.0, max(2.0, CALIBRATION_SHARE * 60 * (learn.minutes or 0)))
            with self.display.stage("measuring how long a step takes"):
                seconds = self._step_seconds(loop, batches, budget)
            self._still_time(self.run_config, f"reading and measuring took {{}}, and a step takes {seconds:.1f} s")
            if self.most < 10 * seconds:
                self.display.note(f"a step takes about {seconds:.1f} s: {learn.minutes:g} minutes are few for it")
            loop.model.eval()
            with self.display.stage("measuring how long an evaluation takes"):
                evaluation = self._evaluation_seconds(loop)
        over()
        seconds, evaluation, spent = self.team.agree([seconds, evaluation, time.perf_counter() - self.start])
        every = learn.evaluate_every or max(epoch, round(evaluation / (EVALUATION_SHARE * seconds)))
        if learn.minutes is not None:
            left = RESERVE * learn.minutes * 60 - spent
            # each step carries its share of the evaluations; one more evaluation ends the run
            steps = int((left - evaluation) / (seconds + evaluation / every))
            if steps < 1:
                raise ConfigError(
                    f"minutes is {learn.minutes:g}, but reading and measuring took {spent / 60:.1f} and an evaluation takes "
                    f"{evaluation / 60:.1f}; nothing is left for training; give more"
                )
        else:
            steps = recipe.steps(self.run_config, self.pairs_used, epoch)
        every = min(every, steps)
        dropout = (
            recipe.default_dropout(steps / epoch, self.run_config.model.size, self.pairs_used)
            if learn.dropout is None
            else learn.dropout
        )
        loop.model.drop.rate = dropout
        learn = dataclasses.replace(
            learn,
            dropout=dropout,
            steps=steps,
            minutes=None,
            epochs=None,
            evaluate_every=every,
            precision=loop.machine.precision,  # type: ignore[arg-type]
            matmul=loop.machine.matmul,  # type: ignore[arg-type]
            threads=loop.machine.threads,
        )
        loop.learn = learn
        self.run_config = dataclasses.replace(self.run_config, learn=learn)
        expected = (steps * seconds + steps / every * evaluation) / 60
        self.display.note(
            f"{steps:,} steps ({steps / epoch:.1f} epochs), dropout {dropout:g}, dev every {every:,}: about {expected:.1f} minutes"
        )

    def _evaluation_seconds(self, loop: Loop) -> float:
        """How long an evaluation takes; of one that would take too much of --minutes only a part is done."""
        for dev in (loop.dev.part(DEV_TRIED), loop.dev) if self.most < math.inf else (loop.dev,):
            tick = time.perf_counter()
            dev.rehearse(loop.model, loop.machine)
            seconds = (time.perf_counter() - tick) * len(loop.dev.rows) / len(dev.rows)
            if self.team.agree(seconds > self.most):
                break
        return seconds

    def _step_seconds(self, loop: Loop, batches: Iterator[Any], budget: float) -> float:
        """Mean time of a step over batches of all lengths, warmed up: `budget` seconds' worth, and at least 10 steps; but one
        is enough where measuring has taken its share of --minutes."""
        seconds, count, learn = 0.0, 0, loop.learn
        while self.team.agree(not count or (seconds < self.most and (count < 10 or (seconds < budget and count < 1000)))):
            batch = next(batches)
            progress = count * 0.618 % 1  # any number of them is spread evenly over the schedule
            share = schedules.gold_share(learn.teacher_forcing, progress, 1, learn.gold_at_end, learn.switch)
            tick = time.perf_counter()
            loop.update(batch, 0.0, share)
            loop.average.update(0)
            loop.machine.wait()
            seconds, count = seconds + time.perf_counter() - tick, count + 1
        return seconds / count

    def _train(self, loop: Loop) -> Trained:
        self.loop, lead = loop, self.team.lead
        assert self.run_config.learn.steps is not None
        self.team.spread([*loop.parameters, *loop.average.weights])
        if self.checkpoint is not None:
            tensors, facts = self.checkpoint
            loop.restore(tensors, facts)
            tensors.clear()  # they are the old file, held open
            self.display.note(f"resumed at step {loop.position.step:,} of {self.run_config.learn.steps:,}")
        if lead:
            self.store.claim(loop.position.step, self.run_config.learn.steps)
        if lead and self.observe is not None and self.checkpoint is None:
            self.observe(0, loop.model)
        watch = Profiler(loop, self.start) if self.profile else contextlib.nullcontext()
        with _signals(loop) as caught:
            try:
                self.display.start(self.run_config.learn.steps, loop.position.step)
                with watch as profiler:
                    loop.run()
            finally:
                self.display.stop()
        at = loop.position
        if loop.stopped:
            self._stop_early(loop)
        if lead:
            self.store.finish(loop, self.run_config, self.pairs_used)
        if lead and not loop.stopped:
            self._forget_checkpoint()
        if at.best is not None:
            self.display.note(f"best dev {loop.dev.metric} {at.best:.2f} at step {at.best_step:,}, written to {self.out}")
            if remark := loop.choice.remark(at.history):
                self.display.note(remark)
        if profiler is not None:
            self._tell(profiler.profile())
        interrupted = (caught or [int(signal.SIGTERM)])[0] if loop.stopped else 0  # by a signal to this process or another
        return Trained(self.out, self.run_config, at.history, at.best, at.best_step, interrupted)

    def _tell(self, profile: Profile) -> None:
        for line in verdict.lines(profile):
            self.display.note(line)
        verdict.write(self.out, profile)

    def _stop_early(self, loop: Loop) -> None:
        if loop.position.best is None:  # nothing was evaluated yet: keep what there is
            with loop.average.in_place():
                self._keep(loop.position)
        self._save(loop.position)
        self.display.note(f"stopped at step {loop.position.step:,}; the best model so far is in {self.out}; --resume goes on")

    def _forget_checkpoint(self) -> None:
        try:
            remove_checkpoint(self.out)
        except OSError as e:
            self.display.warn(
                f"{self.out}: the checkpoint could not be deleted ({e.strerror or e}); training is finished, delete it"
            )

    def _keep(self, at: Position) -> None:
        """Writes the model that is in place as the folder's."""
        if self.team.lead:
            self.store.keep(self.loop, self.run_config, self.codec, self.limit, self.pairs_used)

    def _evaluated(self, at: Position) -> None:
        if self.observe is not None and self.team.lead:
            self.observe(at.step, self.loop.model)

    def _save(self, at: Position) -> None:
        if self.team.lead:
            self.store.save(self.loop, self.run_config, self.codec)


def length_limit(sources: Sequence[Sequence[int]] | Rows, targets: Sequence[Sequence[int]] | Rows) -> tuple[float, float]:
    """(ratio, constant): outputs may have ratio · S + constant tokens. Twice the usual length, and room for the odd one."""
    s, t = Rows.of(sources).lengths, Rows.of(targets).lengths
    ratio = 2 * float(t.sum(dtype=np.int64) / s.sum(dtype=np.int64))
    parts = [slice(i, i + CHUNK) for i in range(0, len(s), CHUNK)]  # few numbers at a time, of lengths that may be many
    return round(ratio, 3), float(
        max(5.0, np.ceil(max(np.max(t[part] - ratio * s[part].astype(np.float64)) for part in parts)))
    )


def _cycle(loop: Loop) -> Iterator[Any]:
    while True:
        yield from loop.batches.epoch(0)


@contextlib.contextmanager
def _signals(loop: Loop) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM end training at the next step instead of in the middle of one."""
    caught: list[int] = []

    def stop(number: int, _: Any) -> None:
        if caught and loop.team.size == 1:  # the second time means it; but torchrun says some things twice
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        caught.append(number)
        loop.interrupted = True

    try:
        old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals are somebody else's
        old = {}
    try:
        yield caught
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
