"""The run: from files to a model folder. Read the pairs, settle the recipe, train, write.

Three names for three things: *asked* is the configuration as it was given, the *recipe* is what was made of it, with nothing
left open, and the *run* is the act.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import signal
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jumok.config import TrainConfig, build, to_dict
from jumok.errors import ConfigError
from jumok.learn import automatic, beginning, teacher, threads
from jumok.learn.afford import affordable, like
from jumok.learn.beginning import Beginning, Finished
from jumok.learn.board import Board
from jumok.learn.calibrate import Allowance, Pace, Trial, choose, measure
from jumok.learn.checkpoint import remove_checkpoint
from jumok.learn.data import Data, read, split_seed
from jumok.learn.display import Display, lasting
from jumok.learn.folder import Folder, stored_codec, stored_run
from jumok.learn.foundation import inherited, new_tokens, other_forms, take_over
from jumok.learn.given import asked_for, differences, idle, resumed
from jumok.learn.known import Known, read_known
from jumok.learn.loop import Loop, new_model
from jumok.learn.material import Material, make_batches, make_material
from jumok.learn.members import run_members
from jumok.learn.parallel import Team, check_data, joined
from jumok.learn.plan import Plan
from jumok.learn.profile import verdict
from jumok.learn.profile.profiler import Profiler
from jumok.learn.recipe import Recipe, alignment_of, check_copying, check_lengths, in_words, resolve, settle
from jumok.learn.start import Trained, left_behind
from jumok.learn.stopping import stopped_by_signals
from jumok.learn.teacher import Lesson
from jumok.measure import MeasureOptions
from jumok.measure import measure as measured
from jumok.net.model import Seq2Seq
from jumok.places import read_once
from jumok.runtime.folder import Folder as Foundation
from jumok.runtime.folder import read_folder
from jumok.runtime.parameters import shapes
from jumok.text import Pair

UNFORESEEN = 0.05  # of the steps that were planned; a line says where there were more or fewer in the end


@dataclass(frozen=True)
class Manner:
    """How `jumok.train` was called, but for the configuration; see there.

    Attributes:
        start: when it was called, by `time.perf_counter`.
        alike: the training of another member of the ensemble, whose size, layers and batch this one takes, where nobody gave them.
        show: makes what a person sees of it, of `quiet` and a board.
        settled: called with the configuration that has nothing left open, before the first step.
    """

    start: float
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False
    profile: bool = False
    tensorboard: str = ""
    observe: Callable[[int, Seq2Seq], None] | None = None
    given: Collection[str] = ()
    alike: TrainConfig | None = None
    show: Callable[[bool, Board | None], Display] = Display
    settled: Callable[[TrainConfig], None] | None = None


def run(asked: TrainConfig, manner: Manner) -> Trained:
    """`jumok.train`, when its options are a configuration."""
    if asked.members > 1:
        return run_members(asked, manner, _run, manner.show(manner.quiet, None))
    return _run(asked, manner)


def _run(asked: TrainConfig, manner: Manner) -> Trained:
    """The training of one model."""
    with joined(asked.learn) as team:
        display = manner.show(
            manner.quiet or not team.lead, Board(manner.tensorboard) if manner.tensorboard and team.lead else None
        )
        # the lead's options hold for all; where the data is, every process may say itself
        agreed = build(TrainConfig, team.agree(to_dict(asked)), "jumok.train")
        asked = dataclasses.replace(agreed, pairs=asked.pairs, dev=asked.dev)
        with beginning.alone(asked.out) if team.lead else contextlib.nullcontext(False) as held:
            begins = _begin(asked, manner, held, team, display)
            if isinstance(begins, Finished):
                return left_behind(Path(asked.out), begins.config, begins.history)
            return _Run(asked, manner, begins, team, display).run()


def _begin(asked: TrainConfig, manner: Manner, held: bool, team: Team, display: Display) -> Beginning | Finished:
    """Whether there is anything to do, and what there is to go on from: the lead looks, and tells all processes."""
    out, resume, over = Path(asked.out), manner.resume, None
    if team.lead:
        beginning.bring_back(out)
        resume = resume or (team.restarted and beginning.begun(asked, display.note))
        over = beginning.finished(out) if resume and not manner.overwrite else None
    if over is not None:
        display.note(f"{out}: training is finished, there is nothing to resume ({over.line}); --overwrite trains anew")
        if others := differences(over.asked, over.config, asked, manner.given):
            display.warn(f"not used, the model was trained with other options: {others}")
    if done := team.agree(over and over.to_dict()):
        return Finished.from_dict(done, asked.out)
    begins = Beginning(None, "", False)
    if team.lead:
        begins = beginning.begin(asked, resume, manner.overwrite, held, display.note, manner.tensorboard)
    return dataclasses.replace(begins, checkpoint=team.ship(begins.checkpoint))


class _Run:
    """One sitting of a training; `run` is its course."""

    def __init__(self, asked: TrainConfig, manner: Manner, begins: Beginning, team: Team, display: Display) -> None:
        self.manner, self.team, self.display = manner, team, display
        self.out, self.checkpoint = Path(asked.out), begins.checkpoint
        self.facts: dict[str, Any] = {} if self.checkpoint is None else self.checkpoint[1]
        self.folder = Folder(self.out, begins, asked) if team.lead else None
        self.foundation: Foundation | None = None
        self.known = Known()
        if self.checkpoint is not None:
            asked = self._as_it_began(asked)
        elif asked.from_:
            self.foundation = read_folder(asked.from_)
            asked = inherited(asked, self.foundation, manner.given)
        self.asked = asked
        self.allowance = Allowance(manner.start, self.asked.learn.minutes)
        self.profiler: Profiler | None = None
        self.pace: Pace | None = None

    def run(self) -> Trained:
        """From files to a model folder."""
        with self.folder.undone_if_it_fails() if self.folder is not None else contextlib.nullcontext():
            self._check()
            data = self._read()
            recipe, material = self._settle(data)
            if self.manner.settled is not None:
                self.manner.settled(recipe.config)
            loop = self._ready(recipe, material)
            caught = self._train(loop)
            self._write(loop)
            at = loop.position
            interrupted = (caught or [int(signal.SIGTERM)])[0] if loop.stopped else 0  # a signal to this process or another
            config = dataclasses.replace(recipe.config, learn=dataclasses.replace(recipe.learn, steps=loop.plan.steps))
            return Trained(self.out, config, at.history, at.best, at.best_step, interrupted)

    # -- read ---------------------------------------------------------------------------------------------------------

    def _as_it_began(self, asked: TrainConfig) -> TrainConfig:
        """The configuration of the checkpoint, with what of the options asked for now can be used; a line names the others."""
        stored, known = stored_run(self.facts["config"], self.out), self.facts.get("given")
        began = asked_for(build(TrainConfig, self.facts["asked"], str(self.out))) if known is None else known
        goes_on = resumed(stored, asked, self.manner.given)
        if others := differences(began, stored, asked, self.manner.given):
            self.display.warn(f"not used, the checkpoint says otherwise: {others}")
        return goes_on

    def _check(self) -> None:
        """ConfigError for what can be known to be wrong before any work."""
        asked = self.asked
        self.allowance.check("Python and PyTorch took {} to start")
        if not asked.pairs:
            raise ConfigError("pairs are missing; name a file of training pairs")
        if self.team.size > 1 and asked.teacher:
            raise ConfigError("a teacher writes in one process; with --teacher, train without torchrun")
        if self.team.size > 1 and (once := read_once(asked)):
            raise ConfigError(
                f"{once[0]} {once[1]}: can be read only once, and each of the {self.team.size} processes reads it; give a file"
            )
        if self.checkpoint is None:
            for line in idle(asked, self.manner.given):
                self.display.warn(line)
        if asked.learn.tokenize and self.checkpoint is None:
            measured("bleu", ["a"], [["a"]], MeasureOptions(tokenize=asked.learn.tokenize))

    def _read(self) -> Data:
        teach = self._taught if self.asked.teacher else None
        if self.checkpoint is not None:
            data = read(self.asked, stored_codec(self.checkpoint[0], self.asked, self.out), self.display, teach=teach)
        elif self.foundation is not None:
            known = self.foundation.codec
            data = read(self.asked, known, self.display, grow=True, teach=teach)
            self.display.note(f"starts from {self.asked.from_}; {new_tokens(known, data.codec)}")
            for line in other_forms(known, data.codec):
                self.display.warn(line)
        else:
            data = read(self.asked, None, self.display, teach=teach)
        check_data(self.team, data)
        self.allowance.check("reading took {}")
        return data

    def _taught(self, pairs: list[Pair], dev: list[Pair]) -> Lesson:
        """What the teacher writes for the training pairs, within the time of --minutes."""
        kept = f"what it wrote is kept in {teacher.place_of(self.asked)}, and the same command goes on from there"
        try:
            return teacher.learn_from(
                self.asked,
                pairs,
                teacher.unlabelled(self.asked, pairs, dev, self.display),
                self.display,
                self.checkpoint is not None,
                lambda done: self.allowance.check(f"{{}} are gone and {done} ({kept})"),
            )
        except KeyboardInterrupt:
            self.display.note(f"stopped; {kept}")
            raise

    # -- settle -------------------------------------------------------------------------------------------------------

    def _settle(self, data: Data) -> tuple[Recipe, Material]:
        """What follows from the data; then what follows from the machine."""
        sizes = len(data.codec.source.vocabulary), len(data.codec.target.vocabulary)
        if self.checkpoint is None:
            self.known = read_known(self.asked, data.codec, self.display)
        self.asked = self.known.sized(self.asked)
        trial = self._trial(self._aligned(data, sizes), data, sizes)
        asked, material = trial.asked, trial.data
        self._introduce(asked, material)
        if self.checkpoint is None:
            self.pace = pace = measure(trial, self.allowance)
            recipe = settle(asked, material, pace)
            steps, every = recipe.steps, recipe.evaluate_every
            decay = f", weight decay {recipe.weight_decay:g}" if recipe.weight_decay else ""
            self.display.note(
                f"{steps:,} steps ({steps / len(material.batches):.1f} epochs), dropout {recipe.dropout:g}{decay}, dev every {every:,}: "
                f"about {lasting(steps * pace.step + steps / every * pace.evaluation)}"
            )
        else:  # all was settled when it began, but the machine may be another
            recipe = Recipe(asked, choose(trial, self.allowance, strict=False))
            trial.tell()
            if self.facts["machine"] != str(recipe.machine):
                self.display.warn(
                    f"the run began in {self.facts['machine']}; its figures will differ a little from an uninterrupted run's"
                )
        return recipe, material

    def _trial(self, aligned: TrainConfig, data: Data, sizes: tuple[int, int]) -> Trial:
        """The options with what follows from the data and from how much of it there is time to see, and a loop to measure on."""
        count = threads.bounded(aligned.learn.threads, self.team.local, self.display.warn)
        aligned = dataclasses.replace(aligned, learn=dataclasses.replace(aligned.learn, threads=count))
        material: list[Material] = []

        def trial_of(aligned: TrainConfig) -> Trial:
            asked = self._resolved(aligned, data, sizes)
            if material:  # the same but for the size of a batch
                material.append(dataclasses.replace(material[0], batches=make_batches(asked, data)))
            else:
                material.append(make_material(asked, data, self.team, self.display.warn))
            return Trial(asked, material[-1], self.team, self.display)

        if self.checkpoint is not None:
            return trial_of(aligned)
        if self.manner.alike is not None:
            aligned = like(aligned, self.manner.alike)
        return affordable(aligned, trial_of, sizes, self.allowance, self.display)

    def _resolved(self, aligned: TrainConfig, data: Data, sizes: tuple[int, int]) -> TrainConfig:
        """The options with what follows from the data."""
        asked = resolve(aligned, *sizes, len(data.sources), [p.target for p in data.dev])
        longest = int(data.sources.lengths.max()) if data.recutting is None else data.recutting.longest_source()
        check_lengths(asked.model, longest)
        check_copying(asked.model, data.codec)
        return asked

    def _aligned(self, data: Data, sizes: tuple[int, int]) -> TrainConfig:
        """The options asked for, with `auto` turned into an alignment, and copying or none."""
        pairs = data.sources, data.targets
        order = functools.partial(automatic.measured, *pairs, data.codec, split_seed(self.asked))
        aligned, chosen = alignment_of(self.asked, sizes, len(data.sources), automatic.mean_tokens(*pairs), order)
        chosen = automatic.Choice(*self.team.agree(dataclasses.astuple(chosen)))
        if chosen.reason:
            self.display.note(automatic.in_a_line(chosen, self.asked.model))
        return dataclasses.replace(aligned, model=chosen.of(aligned.model))

    def _introduce(self, asked: TrainConfig, data: Material) -> None:
        """What is trained, on how much, and what picks the model."""
        sizes = len(data.codec.source.vocabulary), len(data.codec.target.vocabulary)
        parameters = sum(math.prod(shape) for shape in shapes(asked.model, *sizes).values())
        self.display.titles = data.dev.titles
        self.display.note(
            f"{data.pairs:,} training pairs, {len(data.dev.sources):,} dev · vocabularies {sizes[0]:,} and {sizes[1]:,} · "
            f"{in_words(asked.model)}, {parameters:,} parameters"
        )
        self.display.note(f"dev picks the model by {data.dev.signatures.get(data.dev.metric, 'loss under teacher forcing')}")
        if self.checkpoint is not None and self.facts["data"] != data.batches.fingerprint():
            self.display.warn(
                "the training pairs are not those that the checkpoint was made with; the run goes on, but on others"
            )

    # -- train --------------------------------------------------------------------------------------------------------

    def _ready(self, recipe: Recipe, data: Material) -> Loop:
        """The loop at its first step, or where the checkpoint is; the folder is this run's own from now on."""
        model = new_model(recipe, data.codec)
        if self.foundation is not None:
            take_over(model, self.foundation.parameters)
        self.known.put_into(model)
        loop = Loop(model, data, recipe, self.team, self.display, self.folder)
        self.team.spread([*loop.parameters, *loop.average.weights])
        loop.frozen = self.known.frozen(model)
        loop.plan = Plan(recipe.steps, start=self.manner.start, agree=self.team.agree)
        if self.allowance.minutes is not None and self.checkpoint is None:
            assert self.pace is not None
            loop.plan.total = 60 * self.allowance.minutes
            loop.plan.step, loop.plan.evaluation = self.pace.step, self.pace.evaluation
        if self.checkpoint is not None:
            tensors, facts = self.checkpoint
            loop.restore(tensors, facts)
            if loop.plan.place(loop.position.step) < recipe.learn.freeze * loop.plan.steps:
                loop.frozen = read_known(recipe.config, data.codec, self.display).frozen(model)
            tensors.clear()  # they are the old file, held open
            self.display.note(f"resumed at step {loop.position.step:,} of {loop.plan.steps:,}")
        if self.folder is not None:
            self.folder.claim(recipe, data, loop.position.step)
        return loop

    def _train(self, loop: Loop) -> list[int]:
        """Runs the loop, under a profiler if one is wanted. Returns the signals that came."""
        observe = self.manner.observe if self.team.lead else None
        if observe is not None and self.checkpoint is None:
            observe(0, loop.model)
        watch = Profiler(loop, self.manner.start) if self.manner.profile and self.team.lead else contextlib.nullcontext()
        with stopped_by_signals(loop.stop, repeated=loop.team.size > 1) as caught:
            try:
                self.display.start(loop.plan.steps, loop.position.step)
                with watch as self.profiler:  # type: ignore[assignment]
                    loop.run(observe)
            finally:
                self.display.stop()
        return caught

    # -- write --------------------------------------------------------------------------------------------------------

    def _write(self, loop: Loop) -> None:
        """How the run ended, into the folder and to the person; models and checkpoints were written on the way."""
        at, display = loop.position, self.display
        if loop.stopped:
            if at.best is None:  # nothing was evaluated yet: keep what there is
                with loop.average.in_place():
                    loop.keep()
            loop.save()
            display.note(f"stopped at step {at.step:,}; the best model so far is in {self.out}; --resume goes on")
        if self.folder is not None:
            self.folder.planned(loop.plan.steps)
            self.folder.finish(at, loop.stopped, loop.plan.total is not None)
            if not loop.stopped:
                self._forget_checkpoint()
                if self.asked.teacher and not self.asked.member:
                    teacher.forget(teacher.place_of(self.asked))
        if loop.plan.total is not None and not loop.stopped and abs(loop.plan.steps / loop.plan.first - 1) > UNFORESEEN:
            display.note(f"{loop.plan.steps:,} steps fitted into the time, {loop.plan.first:,} were planned at first")
        if at.best is not None:
            display.note(f"best dev {loop.dev.metric} {at.best:.2f} at step {at.best_step:,}, written to {self.out}")
            if remark := loop.choice.remark([evaluation.metrics for evaluation in at.history]):
                display.note(remark)
        if self.profiler is not None:
            profile = self.profiler.profile()
            for line in verdict.lines(profile):
                display.note(line)
            verdict.write(self.out, profile)

    def _forget_checkpoint(self) -> None:
        try:
            remove_checkpoint(self.out)
        except OSError as e:
            self.display.warn(
                f"{self.out}: the checkpoint could not be deleted ({e.strerror or e}); training is finished, delete it"
            )
