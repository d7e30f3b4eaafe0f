"""Several models of one kind, trained with other seeds, one after the other or side by side, which write together as an ensemble
(`--members`)."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jumok import disk
from jumok.config import TrainConfig
from jumok.errors import ConfigError, FolderError
from jumok.learn import beginning
from jumok.learn.display import Display
from jumok.learn.history import read_history
from jumok.learn.machine import device
from jumok.learn.side_by_side import Order, train_members
from jumok.learn.start import SITTING, left_behind
from jumok.learn.teacher import TAUGHT, check_apart, forget
from jumok.places import read_once
from jumok.processes import cores
from jumok.runtime.folder import ENSEMBLE
from jumok.runtime.members import member_folder, members_of, read_ensemble, write_ensemble

if TYPE_CHECKING:
    from jumok.learn.run import Manner
    from jumok.learn.start import Trained


LEAST = 0.2  # of its share of --minutes a member gets, even if those before it took longer than theirs


def run_members(
    asked: TrainConfig, manner: Manner, train: Callable[[TrainConfig, Manner], Trained], display: Display
) -> Trained:
    """Trains the members, or only the one that is asked for, each in a folder of its own in --out.

    The pairs of dev are the same for all, so that they have the same vocabularies. What is trained already stays, with --resume.
    --minutes is divided among those that are still to be trained.

    Args:
        train: trains one model in this process.

    Returns:
        What the last of them left behind, with the folder of them all.

    Raises:
        FolderError: --out holds something else, or an ensemble and neither --resume nor --overwrite is given.
        ConfigError: --from is an ensemble without a model for each member, or a model that a member would replace; or a file can be
            read only once.
    """
    out, members = Path(asked.out), asked.members
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not asked.member:
        raise ConfigError("with torchrun, all processes train one member; name it with --member, one at a time")
    if asked.jobs > 1 and manner.observe is not None:
        raise ConfigError(
            "observe is called in this process, and with jobs members are trained in others; leave one of them out"
        )
    _check_place(out, asked, manner)
    check_apart(asked)
    left = [asked.member] if asked.member else list(range(1, members + 1))
    if manner.resume and not manner.overwrite:
        left = [n for n in left if beginning.finished(member_folder(out, n)) is None]
        if done := (1 if asked.member else members) - len(left):
            display.note(f"{out}: {done} of {members} models are trained already")
    _check_starts(asked, left)
    if len(left) > 1 and (once := read_once(asked)):
        raise ConfigError(
            f"{once[0]} {once[1]}: can be read only once, and each of the {len(left)} models reads it; give a file, or one model at a "
            "time with --member"
        )
    try:
        write_ensemble(out, members)
    except OSError as e:
        raise FolderError(f"{out}: cannot be written ({e.strerror or e}); give another --out") from e
    alike = manner.alike or _training(out, (n for n in range(1, members + 1) if n not in left))
    if asked.jobs > 1 and len(left) > 1:
        trained = _side_by_side(asked, manner, left, alike, display)
    else:
        trained = _one_after_another(asked, manner, left, alike, train, display)
    if asked.teacher and all(beginning.finished(member_folder(out, n)) for n in range(1, members + 1)):
        forget(out / TAUGHT)
    return dataclasses.replace(trained, folder=out)


def _one_after_another(
    asked: TrainConfig,
    manner: Manner,
    left: Sequence[int],
    alike: TrainConfig | None,
    train: Callable[[TrainConfig, Manner], Trained],
    display: Display,
) -> Trained:
    """Trains the members `left` in this process. Returns what the last of them left behind."""
    jobs, set_by_hand = min(cores(), len(left)), "jobs" in manner.given or asked.learn.threads or manner.observe is not None
    if jobs > 1 and not set_by_hand and device(asked.learn) == "cpu":
        display.note(f"{len(left)} models, one after the other on all cores; with --jobs {jobs} they take less time")
    trained: Trained | None = None
    for i, number in enumerate(left):
        display.note(f"model {number} of {asked.members}, seed {asked.learn.seed + number - 1}")
        trained = train(*_one(asked, dataclasses.replace(manner, alike=alike), number, len(left) - i))
        alike = trained.config
        if trained.interrupted:
            break
    if trained is None:
        trained = train(*_one(asked, manner, asked.member or asked.members, 1))  # says that there is nothing to do
    return trained


def _side_by_side(
    asked: TrainConfig, manner: Manner, left: Sequence[int], alike: TrainConfig | None, display: Display
) -> Trained:
    """Trains the members `left` in processes of their own. Returns what the last of them left behind."""
    if asked.jobs > cores():
        display.warn(f"jobs is {asked.jobs}, but there are {cores()} cores: models side by side will slow each other down")
    jobs = min(asked.jobs, len(left))
    threads = asked.learn.threads or max(1, cores() // jobs)
    sitting = {name: getattr(manner, name) for name in SITTING if name != "observe"}

    def order_of(number: int, after: int, alike: TrainConfig | None) -> Order:
        learn = dataclasses.replace(asked.learn, threads=threads, minutes=_share(asked, manner, after))
        member = dataclasses.replace(asked, jobs=1, member=number, learn=learn)
        return Order(member, sitting, sorted({*manner.given} - {"jobs"}), alike, threads)

    stopped = train_members(left, jobs, alike, order_of, display, first_alone=bool(asked.teacher) or alike is None)
    folder = member_folder(asked.out, left[-1])
    return left_behind(folder, beginning.training_of(folder) or asked, read_history(folder), stopped)


def _training(out: Path, numbers: Iterable[int]) -> TrainConfig | None:
    """The training of the first of these members that is there; the others are to be like it."""
    there = (beginning.training_of(member_folder(out, n)) for n in numbers)
    return next((training for training in there if training is not None), None)


def _check_starts(asked: TrainConfig, left: Sequence[int]) -> None:
    """ConfigError if one of the members `left` has no model to start from, or if a member would replace such a model."""
    if not asked.from_:
        return
    if count := read_ensemble(asked.from_):
        trained = set(members_of(asked.from_))
        one = f"or one model for all, as {min(trained)}"
        if count != asked.members:
            raise ConfigError(
                f"{asked.from_}: --from is an ensemble of {count} models, and --members is {asked.members}: each starts from one of "
                f"these, so give --members {count}, {one}"
            )
        if any(Path(_start(asked, n)) not in trained for n in left):
            raise ConfigError(f"{asked.from_}: each member starts from one of these models; train all of them, {one}")
    places = {os.path.realpath(member_folder(asked.out, n)) for n in left}
    if replaced := next((start for n in left if os.path.realpath(start := _start(asked, n)) in places), None):
        raise ConfigError(f"{replaced}: --from is a member in --out, and would be replaced; give another --out")


def _start(asked: TrainConfig, number: int) -> str:
    """The model that a member starts from: --from, or if that is an ensemble, the one of the same number in it."""
    return str(member_folder(asked.from_, number)) if asked.from_ and read_ensemble(asked.from_) else asked.from_


def _one(asked: TrainConfig, manner: Manner, number: int, left: int) -> tuple[TrainConfig, Manner]:
    """What is asked of one member, where so many are left to train."""
    folder, learn, start = member_folder(asked.out, number), asked.learn, time.perf_counter()
    minutes = _share(asked, manner, left)
    if beginning.has_checkpoint(folder) and manner.resume and not manner.overwrite:
        minutes = None  # its length was settled when it began
    learn = dataclasses.replace(learn, seed=learn.seed + number - 1, minutes=minutes)
    board = str(Path(manner.tensorboard) / str(number)) if manner.tensorboard else ""
    given = manner.given if asked.member else {*manner.given} - {"jobs"}
    # a folder that is not there yet is begun, whatever was asked of those that are
    manner = dataclasses.replace(manner, start=start, tensorboard=board, given=given)
    return dataclasses.replace(asked, out=str(folder), from_=_start(asked, number), member=number, jobs=1, learn=learn), manner


def _share(asked: TrainConfig, manner: Manner, left: int) -> float | None:
    """The part of --minutes that a member gets, where so many are left to train one after another, itself included."""
    minutes, gone = asked.learn.minutes, (time.perf_counter() - manner.start) / 60
    return None if minutes is None else max(LEAST * minutes / asked.members, (minutes - gone) / left)


def _check_place(out: Path, asked: TrainConfig, manner: Manner) -> None:
    there = read_ensemble(out)
    if there and not any(member_folder(out, n).exists() for n in range(1, there + 1)):
        return  # a run that failed before its first step, for a mistake in the pairs, say
    if there > asked.members:
        raise FolderError(f"{out}: holds an ensemble of {there} models, but --members is {asked.members}; give another --out")
    if there and not (manner.resume or manner.overwrite or asked.member):
        raise FolderError(
            f"{out}: there is an ensemble of {there} models already (--resume trains those that are missing, --overwrite all anew)"
        )
    strange = out.exists() and (not out.is_dir() or disk.strangers(out, {ENSEMBLE}))
    if strange and not read_ensemble(out):  # read again: another member's run may just have begun
        raise FolderError(f"{out}: is there, and holds no ensemble (no {ENSEMBLE}); give another --out")
