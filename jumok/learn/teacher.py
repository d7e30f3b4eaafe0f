"""The teacher (`--teacher`): a model, or an ensemble, writes outputs for all training sources, and a new model learns from them.

That is sequence-level knowledge distillation (Kim & Rush 2016), with the n-best list in place of its best output. What is written
is kept in the run's folder, in small files, each whole or not there; so a run that was killed, in the middle of it or later, does
not have it written again.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jumok import disk, locks
from jumok.config import TrainConfig
from jumok.decode.translator import Translator, load
from jumok.engine.library import EngineError
from jumok.errors import ConfigError, TrainingError
from jumok.learn.checkpoint import writing
from jumok.learn.display import Display
from jumok.places import models
from jumok.runtime.folder import WEIGHTS
from jumok.runtime.members import folders_of
from jumok.text import Codec, Pair, Rows
from jumok.text.choices import Choices
from jumok.text.codec import SOURCE_FILE, TARGET_FILE
from jumok.text.dev import asked
from jumok.text.forms import other_form
from jumok.text.lines import source_name
from jumok.text.sources import read_sources
from jumok.text.vocabulary import UNK

TAUGHT, HEAD = "teacher", "teacher.json"  # the folder in --out, and the file in it that says what the others are
FORMAT = 1
PIECE = 256  # sources in a file
UNREADABLE = 0.5  # of the sources' tokens; if it does not know more of them, a teacher is taken for the wrong one

Source = tuple[str, tuple[str, ...]]  # text and features
Outputs = list[tuple[str, float]]  # text, and share of the probability


@dataclass(frozen=True)
class Lesson:
    """What a teacher wrote: for each different source its outputs, the likeliest first; none where it found none.

    `digest` is the teacher's; `unlabelled`: sources that have no target, and where they stand.
    """

    sources: dict[Source, int]
    outputs: list[Outputs]
    digest: str
    unlabelled: dict[Source, str]

    def pairs(self) -> list[Pair]:
        """The sources without a target, with the likeliest output of each; those that have none are left out."""
        best = ((source, self.outputs[self.sources[source]], where) for source, where in self.unlabelled.items())
        return [Pair(text, outputs[0][0], features, where) for (text, features), outputs, where in best if outputs]

    def texts(self) -> list[str]:
        """All outputs."""
        return [text for outputs in self.outputs for text, _ in outputs]

    def choices(self, pairs: Sequence[Pair], own: Rows, codec: Codec, run: TrainConfig) -> Choices:
        """For each pair what it can be trained on, beside its `own` target; outputs that are too long are left out."""
        most = run.text.max_tokens + 1
        cut = codec.target.tokenizer.batch(self.texts())
        ids = iter([codec.ids_of_target(tokens) for tokens in cut])
        rows: list[list[int]] = []
        shares: list[float] = []
        starts = [0]
        for outputs in self.outputs:
            kept = [(row, share) for (_, share), row in zip(outputs, ids, strict=False) if len(row) <= most]
            total = sum(share for _, share in kept)
            rows += [row for row, _ in kept]
            shares += [share / total for _, share in kept]
            starts.append(len(rows))
        numbers = [self.sources[p.source, p.features] for p in pairs]
        gold = [0.0 if (p.source, p.features) in self.unlabelled else run.teacher_gold for p in pairs]
        return Choices(own, Rows.of(rows), np.array(starts), np.array(shares), np.array(numbers), np.array(gold))

    def in_words(self, pairs: Sequence[Pair]) -> str:
        """How much it wrote, and how often its best is what the pairs have."""
        best = [outputs[0][0] if outputs else "" for outputs in self.outputs]
        right = sum(best[self.sources[p.source, p.features]] == p.target for p in pairs)
        many = len(self.texts()) / max(1, len(self.outputs))
        return f"{many:.1f} outputs for each of {len(self.outputs):,} sources; the best is gold for {100 * right / len(pairs):.1f} %"


def place_of(run: TrainConfig) -> Path:
    """The folder for what the teacher writes: in --out; in that of the ensemble, for all its members."""
    return (Path(run.out).absolute().parent if run.member else Path(run.out)) / TAUGHT


def forget(place: Path) -> None:
    """Deletes what the teacher wrote; a finished run needs it no more."""
    with contextlib.suppress(OSError):
        if (place / HEAD).is_file():
            shutil.rmtree(place)


def check_apart(run: TrainConfig) -> None:
    """ConfigError where the teacher would be replaced by what it teaches."""
    out = Path(os.path.realpath(run.out))
    for part in models(run.teacher) if run.teacher else ():
        folder = Path(os.path.realpath(part))
        if out == folder or out in folder.parents or folder in out.parents:
            raise ConfigError(
                f"{part}: --teacher and --out are one folder, or one is in the other, and the teacher would be replaced; give "
                "another --out (--resume goes on with an interrupted run)"
            )


def unlabelled(run: TrainConfig, pairs: Sequence[Pair], dev: Sequence[Pair], display: Display) -> dict[Source, str]:
    """The sources of --teacher-sources and where they stand, but those of the pairs, and of dev, which is to stay new."""
    found: dict[Source, str] = {}
    if run.teacher_sources:
        of_pairs, of_dev = ({asked(p.source, p.features) for p in some} for some in (pairs, dev))
        for source in read_sources(run.teacher_sources, run.text, warn=display.warn, note=display.note):
            if source is not None and source.text.strip():
                found.setdefault((source.text, source.features), source.where)
        left_out = sum(asked(*source) in of_dev for source in found)
        known = of_pairs | of_dev
        found = {source: where for source, where in found.items() if asked(*source) not in known}
        of_dev_too = f"; {left_out:,} of dev are left out" if left_out else ""
        display.note(f"{len(found):,} further sources of {source_name(run.teacher_sources)}{of_dev_too}")
        if found and any(pair.features for pair in pairs) and not any(features for _, features in found):
            raise ConfigError(
                f"{next(iter(found.values()))}: no further source has features, but the pairs have; put them behind the source, with a "
                "TAB between, as for `jumok translate`"
            )
    return found


def learn_from(
    run: TrainConfig,
    pairs: Sequence[Pair],
    more: dict[Source, str],
    display: Display,
    goes_on: bool,
    pause: Callable[[str], None],
) -> Lesson:
    """What the teacher writes for the sources of these pairs: read where it is written already, else written now.

    Args:
        more: further sources, without targets, and where they stand.
        goes_on: the run goes on from a checkpoint, so that what is written whole is taken as it is.
        pause: called with what is done, in words, between two files; may raise an error.

    Raises:
        JumokError: the teacher cannot be used, or cannot read the sources; what it wrote cannot be kept.
    """
    sources: dict[Source, int] = {}
    for p in pairs:
        sources.setdefault((p.source, p.features), len(sources))
    for source in more:
        sources[source] = len(sources)
    given = list(sources)
    place, pieces = place_of(run), list(range(0, len(given), PIECE))
    kept = Kept(place, {"sources": _digest([json.dumps(given, ensure_ascii=False)]), "beam": run.teacher_beam})
    done = kept.read(given) if goes_on else {}
    if len(done) == len(pieces):
        return Lesson(sources, list(itertools.chain.from_iterable(done[start] for start in pieces)), kept.teacher(), more)
    teacher = _loaded(run.teacher)
    check_readable(teacher, run, given, display.warn)
    kept.facts["teacher"] = digest(run.teacher)
    with kept.alone(display.note) if run.member else contextlib.nullcontext():
        done = kept.read(given)
        if left := [start for start in pieces if start not in done]:
            with kept.written(anew=not done):
                was = f"; {sum(map(len, done.values())):,} are written already" if done else ""
                display.note(f"teacher {run.teacher} writes for {len(given):,} sources, beam {run.teacher_beam}{was}")
                with display.counting("the teacher writes", len(given), sum(map(len, done.values()))) as advance:
                    for start in left:
                        done[start] = list(_outputs(teacher, given[start : start + PIECE], run.teacher_beam))
                        kept.write(start, done[start])
                        advance(len(done[start]))
                        pause(f"the teacher has written for {sum(map(len, done.values())):,} of {len(given):,} sources")
    lesson = Lesson(sources, list(itertools.chain.from_iterable(done[start] for start in pieces)), kept.teacher(), more)
    display.note(f"teacher: {lesson.in_words(pairs)}")
    return lesson


def _loaded(teacher: str) -> Translator:
    """The teacher with weights of 8 bits, which write nearly the same in less time; as usual where there is no compiled engine."""
    try:
        return load(teacher, engine="int8")
    except EngineError:
        return load(teacher)


def _outputs(teacher: Translator, sources: Sequence[Source], beam: int) -> Iterator[Outputs]:
    """The n-best of each source, with shares that add up to 1. What is empty or cut at the limit is none; equal texts are one.

    No output has <unk>, which is no text: the new model would learn to write what stands for it.
    """
    texts, features = [s for s, _ in sources], [f for _, f in sources]
    found = teacher.translate(texts, features=features, beam=beam, nbest=beam, unknown="forbid")
    for best in found:
        logs: dict[str, float] = {}
        for t in (best, *best.alternatives):
            if t.finished and t.text.strip():
                logs[t.text] = float(np.logaddexp(logs.get(t.text, -math.inf), t.log_probability))
        top = max(logs.values(), default=0.0)
        weights = {text: math.exp(log - top) for text, log in logs.items()}
        total = sum(weights.values())
        yield sorted(((text, weight / total) for text, weight in weights.items()), key=lambda one: -one[1])


def check_readable(teacher: Translator, run: TrainConfig, sources: Sequence[Source], warn: Callable[[str], None]) -> None:
    """ConfigError for a teacher that was trained on other sources than these; a warning where it does not know some tokens."""
    theirs, ours = (len(text.source_columns) for text in (teacher.config.text, run.text))
    if theirs != ours:
        raise ConfigError(
            f"{run.teacher}: the teacher reads {theirs} source{'s' * (theirs > 1)} a line, but --source-column is "
            f"{run.text.source_column}: give as many columns, or another teacher"
        )
    with_features = sum(bool(features) for _, features in sources)
    if with_features and not teacher.features:
        raise ConfigError(
            f"{run.teacher}: the teacher was trained without features, but column {run.text.features_column} has some "
            f"({', '.join(next(f for _, f in sources if f))}): leave --features-column out, or give another teacher"
        )
    if teacher.features and not with_features:
        raise ConfigError(
            f"{run.teacher}: the teacher reads features ({', '.join(teacher.features[:3])} …), but the pairs have none: give "
            "--features-column, or another teacher"
        )
    codec = teacher.codec
    encoded, _ = codec.encode_pairs([Pair(text, "", features) for text, features in sources])
    unknown = [i for i, ids in enumerate(encoded) if UNK in ids]
    if unknown:
        text, features = sources[unknown[0]]
        token = codec.source_tokens(text, features)[encoded[unknown[0]].index(UNK)]
        what = f"{len(unknown):,} of {len(sources):,} training sources have a token that the teacher never saw ({token!r} in {text!r:.80})"
        if sum(ids.count(UNK) for ids in encoded) > UNREADABLE * sum(len(ids) - 1 for ids in encoded):
            raise ConfigError(f"{run.teacher}: {what}; give a teacher that was trained on such sources")
        vocabulary = codec.source.vocabulary
        form = other_form([token], vocabulary.tokens(range(len(vocabulary))))
        warn(f"{run.teacher}: {what}; it reads it as <unk>{f' (it knows letters in {form})' if form else ''}")


def digest(teacher: str) -> str:
    """SHA-256 of a teacher's weights and vocabularies, of all its models, in hexadecimal; the first 16 digits."""
    return _digest(folder / name for folder in folders_of([teacher]) for name in (WEIGHTS, SOURCE_FILE, TARGET_FILE))


def _digest(parts: Sequence[str] | Iterator[Path]) -> str:
    sums = hashlib.sha256()
    for part in parts:
        sums.update(part.read_bytes() if isinstance(part, Path) else part.encode("utf-8", "surrogatepass"))
    return sums.hexdigest()[:16]


class Kept:
    """The files with what a teacher wrote.

    Args:
        place: their folder.
        facts: what they hang on: the teacher's digest, that of the sources, the beam. What is left out is not compared.
    """

    def __init__(self, place: Path, facts: dict[str, str | int]) -> None:
        self.place, self.facts = place, facts

    def read(self, sources: Sequence[Source]) -> dict[int, list[Outputs]]:
        """What is there of the same facts: the outputs of each piece, by the number of its first source."""
        head = self._json(self.place / HEAD)
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            return {}
        if any(head.get(name) != value for name, value in self.facts.items()):
            return {}
        found = {start: self._json(self._file(start)) for start in range(0, len(sources), PIECE)}
        sizes = {start: len(sources[start : start + PIECE]) for start in found}
        return {start: _piece(values) for start, values in found.items() if _good(values, sizes[start])}

    def teacher(self) -> str:
        """The digest of the teacher that wrote what is there."""
        head = self._json(self.place / HEAD)
        return str(head.get("teacher", "")) if isinstance(head, dict) else ""

    def alone(self, tell: Callable[[str], None]) -> AbstractContextManager[bool]:
        """Holds the folder for the run of one member; waits while another member's run has the teacher write."""
        return locks.held(
            locks.beside(self.place),
            lambda who: TrainingError(f"{self.place}: another run has the teacher write there ({who})"),
            lambda who: tell(f"another run has the teacher write for all models ({who}); waiting for it"),
        )

    @contextlib.contextmanager
    def written(self, anew: bool) -> Iterator[None]:
        """For the writing of all pieces; `anew`: what is there is of something else, and goes."""
        with writing(self.place, "teacher's outputs"):
            if anew:
                forget(self.place)
            self.place.mkdir(parents=True, exist_ok=True)
            disk.write_file(self.place / HEAD, json.dumps({"format": FORMAT, **self.facts}).encode() + b"\n")
        yield

    def write(self, start: int, outputs: list[Outputs]) -> None:
        """Keeps one piece."""
        with writing(self.place, "teacher's outputs"):
            disk.write_file(self._file(start), json.dumps(outputs, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")

    def _file(self, start: int) -> Path:
        return self.place / f"{start:08d}.json"

    def _json(self, path: Path) -> object:
        try:
            return json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
        except (OSError, ValueError, RecursionError):
            return None


def _good(values: object, size: int) -> bool:
    """Whether a file holds the outputs of so many sources."""
    return isinstance(values, list) and len(values) == size and all(_is_outputs(v) for v in values)


def _is_outputs(values: object) -> bool:
    return isinstance(values, list) and all(
        isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) and isinstance(one[1], float) and one[1] >= 0
        for one in values
    )


def _piece(values: object) -> list[Outputs]:
    assert isinstance(values, list)
    return [[(text, share) for text, share in outputs] for outputs in values]
