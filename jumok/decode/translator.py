"""The translator: strings in, `Translation`s out, with a model folder behind it.

Letters: S source tokens of a line, `</s>` counted; T target tokens.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from jumok.config import SearchConfig
from jumok.config.building import build_often, plain
from jumok.decode.asked import Asked, Prefix, Requests, own_of
from jumok.decode.backend import AUTO, Backend, make_backend, make_ensemble
from jumok.decode.face import PAUSE, Face, Incoming, Many
from jumok.decode.hindsight import in_hindsight, scored
from jumok.decode.hypotheses import Hypothesis
from jumok.decode.info import ModelInfo, model_info
from jumok.decode.inspecting import Inspection
from jumok.decode.policy import Policy, policy_of
from jumok.decode.risk import least_risk, pool, utility_for
from jumok.decode.search import search, search_one
from jumok.errors import ConfigError, DataError
from jumok.places import models
from jumok.runtime.cells import CELLS
from jumok.runtime.fitting import fitted
from jumok.runtime.folder import Folder, FolderConfig, read_folder
from jumok.runtime.members import members_of
from jumok.runtime.translation import END_TOKEN, Translation
from jumok.text.batches import Batch, in_length_order
from jumok.text.codec import Codec, is_feature
from jumok.text.given import Features, Own, features_of, is_tuple_of_sources, one_source
from jumok.text.vocabulary import END

if TYPE_CHECKING:
    from jumok.page.making import LivingPage

CHUNK = 16  # batches of a stream that are read ahead, and sorted by length together
MOST_CELLS = 64 * 256 * 256  # sentences times S² in a batch: long lines go in smaller batches, whose weights fit in memory
MOST_LOGITS = 1 << 25  # sentences times beams times target tokens in a batch: with wide beams, fewer sentences go together
LONGEST = 10  # a source longer than so many times --max-tokens is not read

DEFAULT = SearchConfig()


class Translator(Face, Inspection):
    """A trained model, ready to use. Results do not depend on the batch size or on other lines.

    It can be pickled and copied, with all its arrays, and so be sent to another process, which does not need the folder.

    Attributes:
        folder: the model folder that it was read from; of an ensemble, the first one's.
        folders: all its model folders: one, or those of an ensemble.
        config: text and model settings, length limit, training; of an ensemble, the first one's, with the highest length limit.
        configs: those of all its models.
        longest: a source of so many tokens or more gives an empty, unfinished `Translation`.
        features: the features that the model knows, most frequent first.
        backend: computes the numbers; made by `jumok.decode.backend.make_backend`.
    """

    def __init__(self, folder: Folder | Sequence[Folder], backend: str = AUTO) -> None:
        members = [folder] if isinstance(folder, Folder) else fitted(folder)
        first = members[0]
        self.folders: tuple[Path, ...] = tuple(member.path for member in members)
        self.folder: Path = first.path
        self.configs: tuple[FolderConfig, ...] = tuple(member.config for member in members)
        ratio, constant = (max(limits) for limits in zip(*(c.limit for c in self.configs), strict=True))
        self.config: FolderConfig = replace(first.config, limit=(ratio, constant))
        self.longest = LONGEST * max(c.text.max_tokens for c in self.configs)
        self._codec = first.codec
        self.backend: Backend = make_backend(backend, first) if len(members) == 1 else make_ensemble(backend, members)
        self._kind: str = getattr(self.backend, "weights", "attention")
        self.features: tuple[str, ...] = _features(first.codec)
        self._numbers = [sum(array.size for array in member.parameters.values()) for member in members]
        self._requests = Requests(first.codec, any(c.model.attention != "none" for c in self.configs))

    @classmethod
    def load(cls, path: str | Path | Sequence[str | Path], engine: str = AUTO) -> Translator:
        """Loads the model in the folder `path`; or an ensemble of several, given as a list, or as "A,B,C".

        An ensemble is used as one model is. The probability of a token is the mean of its models' probabilities, and the attention
        the mean of their attention.

        Args:
            engine: what computes it. exact: compiled, the same bits on every machine; int8: with weights of 8 bits, faster still;
                numpy; auto: exact where it is there. Models that the compiled engine does not know go to NumPy.

        Raises:
            FolderError: a folder cannot be used, or a model does not fit the first one; it says why.
            ConfigError: there is no such engine. EngineError: it cannot be used on this machine.
        """
        folders = [read_folder(member) for part in _parts(path) for member in members_of(part)]
        return cls(folders[0] if len(folders) == 1 else folders, engine)

    @property
    def name(self) -> str:
        """Its folder, or its folders with a comma between two, for messages."""
        return ",".join(map(str, self.folders))

    def __repr__(self) -> str:
        """Folder, attention and sizes."""
        m = self.config.model
        sizes = f"{CELLS[m.cell].title} {m.depth} x {m.hidden}, {sum(self._numbers):,} parameters"
        sides = f"{len(self._codec.source):,} source and {len(self._codec.target):,} target tokens"
        many = f"ensemble of {len(self.folders)}, the first: " if len(self.folders) > 1 else ""
        return f"<jumok.Translator {self.name!r}: {many}attention {m.attention}, {sizes}, {sides}>"

    @property
    def codec(self) -> Codec:
        """The tokenizers and vocabularies of source and target."""
        return self._codec

    def _translate_given(self, text: Any, *, features: Any = None, **options: Any) -> Translation | list[Translation]:
        text = plain(text)
        options, own = own_of(options, text)
        chosen = build_often(SearchConfig, options, "translate") if options else DEFAULT
        for note in self._requests.notes(chosen):
            warnings.warn(note, stacklevel=4)  # at the line that calls `translate`
        if self._is_one(text):
            return self._translate(*self._checked([text], None if features is None else [features]), chosen)[0]
        return self._translate(*self._checked(text, features), chosen, own)

    def _translate_lines_given(self, lines: Iterable[Incoming], **options: Any) -> Iterator[Translation]:
        chosen = build_often(SearchConfig, options, "translate_lines")
        for note in self._requests.notes(chosen):
            warnings.warn(note, stacklevel=4)
        return self._stream(iter(lines), chosen)

    def _stream(self, lines: Iterator[Incoming], options: SearchConfig) -> Iterator[Translation]:
        size = 1 if options.batch_size == 1 else CHUNK * options.batch_size
        for chunk in _chunks(lines, size):
            texts, features, own = ([line[i] for line in chunk] for i in range(3))
            yield from self._translate(*self._checked(texts, features), options, own)

    @overload
    def score(self, source: str, target: str, features: Features | None = None) -> Translation: ...

    @overload
    def score(self, source: Many, target: Many, features: Sequence[Features] | None = None) -> list[Translation]: ...

    def score(self, source: str | Many, target: str | Many, features: Any = None) -> Translation | list[Translation]:
        """What the model makes of a given target, or of many: its log-probability, and the attention it is written with.

        Args:
            source, target: a line each, or as many lines of both.
            features: as in `translate`.

        `score` is the log-probability a token. A token that is not in the vocabulary is shown as `<unk>`.
        """
        if self._is_one(source) or isinstance(target, str):
            if not self._is_one(source) or not isinstance(target, str):
                raise DataError("score: source and target must both be strings, or both be sequences of strings")
            return self._score(*self._checked([source], None if features is None else [features]), [str(target)])[0]
        texts, given = self._checked(source, features)
        targets, _ = self._checked(target, None, sources=False)
        if len(targets) != len(texts):
            raise DataError(f"score: {len(texts)} sources but {len(targets)} targets; each source needs one")
        return self._score(texts, given, targets)

    def force(self, source: Any, target: Any, features: Any = None) -> Any:
        """The old name of `score`."""
        warnings.warn("force is now called score; the old name works for this version only", DeprecationWarning, stacklevel=2)
        return self.score(source, target, features)

    def page(self, examples: Sequence[Any] = ()) -> LivingPage:
        """The living page of this model; in a notebook it shows itself, and its `save(path)` writes the file.

        Args:
            examples: sources, or tuples (source, gold) or (source, gold, features); the first is written when the page opens.
                Default: a few of the dev pairs, if they are still where they were.

        Raises:
            ConfigError: the page's engine does not know this kind of model. FolderError: the folder cannot be read any more.
        """
        from jumok.page.making import living_page

        if len(self.folders) > 1:
            raise ConfigError(
                f"page: {self.name} is an ensemble; a page shows models side by side: jumok page {' '.join(map(str, self.folders))}"
            )
        return living_page(self.folder, examples)

    def notes(self, options: SearchConfig) -> list[str]:
        """What is remarkable about the lists that these options name, a line each; told once.

        Raises:
            ConfigError, DataError: the options ask for what cannot be.
        """
        return self._requests.notes(options)

    def info(self) -> ModelInfo:
        """What the model is, as values by name: info().attention, info().parameters …; and how far its training is."""
        return model_info(self)

    def _is_one(self, text: Any) -> bool:
        """Whether this is one line: a string, or a tuple of strings for a model with several sources."""
        return isinstance(text, str) or (self.config.text.several and is_tuple_of_sources(text))

    def _checked(self, texts: Any, features: Any, sources: bool = True) -> tuple[list[str], list[tuple[str, ...]]]:
        """texts as a list of strings, and the features of each; DataError for anything else. `sources`: they are no targets."""
        texts, features = plain(texts), plain(features)
        if not isinstance(texts, Sequence) or isinstance(texts, bytes):
            raise DataError(f"text is of type {type(texts).__name__}; wanted a string or a sequence of strings")
        if sources and self.config.text.several:
            texts = [one_source(text, self.config.text, f"line {i}") for i, text in enumerate(texts, 1)]
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"line {i + 1} is of type {type(text).__name__}; wanted a string")
        if features is None:
            return list(texts), [()] * len(texts)
        if isinstance(features, str) or not isinstance(features, Sequence) or len(features) != len(texts):
            raise DataError(f"features are {features!r:.80}; wanted a sequence with features for each of {len(texts)} line(s)")
        separator = self.config.text.features_separator
        return list(texts), [features_of(own, separator, f"line {i}") for i, own in enumerate(features, 1)]

    def _translate(
        self,
        texts: list[str],
        features: list[tuple[str, ...]],
        options: SearchConfig,
        own: Sequence[Own | Prefix | None] | None = None,
    ) -> list[Translation]:
        asked = self._requests.asked(options, own, len(texts))
        translations = [Translation(text, "", (), (), None, 0.0, 0.0, weights_kind=self._kind) for text in texts]
        tokens = [self._codec.source_tokens(t, f) if t.strip() else [] for t, f in zip(texts, features, strict=True)]
        run = []
        for i, text in enumerate(texts):
            if len(tokens[i]) >= self.longest:
                translations[i] = replace(
                    translations[i],
                    source_tokens=(*tokens[i], END_TOKEN),
                    finished=False,
                    unknown=self._unknown((*tokens[i], END_TOKEN)),
                    columns=self._codec.columns((*tokens[i], END_TOKEN)),
                )
            elif asked is not None and text.strip() and (problem := asked.problem(i)):
                translations[i] = self._without_output(text, (*tokens[i], END_TOKEN), problem)
            elif text.strip():
                run.append(i)
        vocabulary = self._codec.source.vocabulary
        ids = [[*vocabulary.ids(tokens[i]), END] for i in run]
        utility = utility_for(self, options)
        if asked is not None:
            asked = asked.of(run)
        for row, outputs in self._search(ids, pool(options), asked):
            if utility and outputs:
                texts_found = [self._text(h, (*tokens[run[row]], END_TOKEN), weights, asked)[0] for h, weights, _ in outputs]
                outputs = least_risk(outputs, texts_found, options, utility)
            i = run[row]
            read = (*tokens[i], END_TOKEN)
            others = tuple(self._translation(texts[i], read, output, asked) for output in outputs[1:])
            if outputs:
                translations[i] = self._translation(texts[i], read, outputs[0], asked, others)
            else:
                limit = self._limits([row], ids, options, asked)[0]
                problem = asked.failure(limit) if asked else "no output was found"
                translations[i] = self._without_output(texts[i], (*tokens[i], END_TOKEN), problem)
        return translations

    def _search(
        self, ids: list[list[int]], options: SearchConfig, asked: Asked | None
    ) -> Iterator[tuple[int, list[tuple[Hypothesis, Any, Any]]]]:
        """For each source, in any order, its number and its hypotheses with weights and copies, as `in_hindsight` gives them."""
        if len(ids) == 1:
            (limit,) = self._limits([0], ids, options, asked)
            policy = policy_of(options) if asked is None else asked.policy([0], [limit])
            found = [search_one(self.backend, np.array(ids[0]), options, limit, policy)]
            yield 0, in_hindsight(self.backend, ids, found)[0]
            return
        most = MOST_LOGITS // (options.beam * len(self._codec.target))
        for batch in _batches(ids, None, max(1, min(options.batch_size // max(1, options.sample), most))):
            rows = batch.rows.tolist()
            limits = self._limits(rows, ids, options, asked)
            policy = policy_of(options) if asked is None else asked.policy(rows, limits)
            found = search(self.backend, batch.source, batch.source_lengths, options, np.array(limits), policy)
            yield from zip(rows, in_hindsight(self.backend, [ids[row] for row in rows], found), strict=True)

    def _limits(self, rows: list[int], ids: list[list[int]], options: SearchConfig, asked: Asked | None) -> list[int]:
        """The most tokens of the outputs of these sources."""
        usual = [options.max_length or self._limit(len(ids[row])) for row in rows]
        return usual if asked is None else [asked.limit(row, limit) for row, limit in zip(rows, usual, strict=True)]

    def _without_output(self, text: str, source_tokens: tuple[str, ...], problem: str) -> Translation:
        unknown = self._unknown(source_tokens)
        more = {"weights_kind": self._kind, "problem": problem, "columns": self._codec.columns(source_tokens)}
        return Translation(text, "", source_tokens, (), None, 0.0, 0.0, False, unknown, **more)  # type: ignore[arg-type]

    def _plan(self, S: int, options: SearchConfig) -> tuple[int, Policy]:
        """The most tokens of the output for one source of S tokens, and how its search chooses.

        Raises:
            DataError: no output can be what the options ask for.
        """
        asked, limit = self._requests.asked(options, None, 1), options.max_length or self._limit(S)
        if asked is None:
            return limit, policy_of(options)
        if problem := asked.problem(0):
            raise DataError(problem)
        limit = asked.limit(0, limit)
        return limit, asked.policy([0], [limit])

    def _options(self, given: dict[str, Any], where: str) -> SearchConfig:
        return build_often(SearchConfig, given, where) if given else DEFAULT

    def _limit(self, S: int) -> int:
        ratio, constant = self.config.limit
        return max(1, math.ceil(ratio * S + constant))

    def _translation(
        self,
        source: str,
        source_tokens: tuple[str, ...],
        found: tuple[Hypothesis, Any, Any],
        asked: Asked | None = None,
        alternatives: tuple[Translation, ...] = (),
    ) -> Translation:
        h, weights, copied = found
        tokens, unknown = tuple(self._codec.target_tokens(h.tokens)), self._unknown(source_tokens)
        text, replaced = self._text(h, source_tokens, weights, asked)
        return Translation(
            source,
            text,
            source_tokens,
            tokens,
            weights,
            h.log_probability,
            h.score,
            h.finished,
            unknown,
            weights_kind=self._kind,
            token_log_probabilities=h.token_log_probabilities,
            copied=copied,
            alternatives=alternatives,
            replaced=replaced,
            columns=self._codec.columns(source_tokens),
        )

    def _text(
        self, h: Hypothesis, source_tokens: tuple[str, ...], weights: Any, asked: Asked | None
    ) -> tuple[str, tuple[tuple[int, int], ...]]:
        """The text of an output, and the places of unknown tokens that source tokens have taken in it."""
        if asked is None:
            return self._codec.decode_target(h.tokens), Translation.replaced
        return asked.text(h.tokens, source_tokens, weights)

    def _unknown(self, source_tokens: tuple[str, ...]) -> tuple[int, ...]:
        """Positions of the tokens, the end token left out, that are read as `<unk>`."""
        vocabulary = self._codec.source.vocabulary
        return tuple(i for i, token in enumerate(source_tokens[:-1]) if token not in vocabulary)

    def _score(self, texts: list[str], features: list[tuple[str, ...]], targets: list[str]) -> list[Translation]:
        tokens = [self._codec.source_tokens(t, f) for t, f in zip(texts, features, strict=True)]
        sources = [[*self._codec.source.vocabulary.ids(line), END] for line in tokens]
        gold = [self._codec.encode_target(target) for target in targets]
        translations: dict[int, Translation] = {}
        for batch in _batches(sources, gold, 64):
            log_probabilities, weights, copied = scored(self.backend, batch)
            totals = log_probabilities.sum(1, dtype=np.float64)
            for k, i in enumerate(batch.rows.tolist()):
                S, T = len(sources[i]), len(gold[i])
                attention = None if weights is None else weights[k, :T, :S].copy()
                written, total = tuple(self._codec.target_tokens(gold[i])), float(totals[k])
                read = (*tokens[i], END_TOKEN)
                translations[i] = Translation(
                    texts[i],
                    targets[i],
                    read,
                    written,
                    attention,
                    total,
                    total / T,
                    True,
                    self._unknown(read),
                    weights_kind=self._kind,
                    token_log_probabilities=log_probabilities[k, :T].copy(),
                    copied=None if copied is None else copied[k, :T].copy(),
                    columns=self._codec.columns(read),
                )
        return [translations[i] for i in range(len(texts))]


def _chunks(lines: Iterator[Incoming], size: int) -> Iterator[list[tuple[str, Features, Own | Prefix | None]]]:
    """At most `size` lines together, and before each PAUSE, and before an error, those that came.

    At first only a batch, then twice as many each time, so that the first outputs of a long stream are there soon.
    """
    now = max(1, size // CHUNK)
    chunk: list[tuple[str, Features, Own | Prefix | None]] = []
    error: DataError | None = None
    while error is None:
        try:
            line = next(lines)
        except StopIteration:
            break
        except DataError as e:
            error, line = e, PAUSE
        if line is not PAUSE:
            text, features, own, *_ = (*line, None, None) if isinstance(line, tuple) else (line, (), None)
            chunk.append((text, features, own))
        if chunk and (line is PAUSE or len(chunk) == now):
            yield chunk
            chunk, now = [], min(size, 2 * now)
    if chunk:
        yield chunk
    if error is not None:
        raise error


def _parts(path: Any) -> list[str | Path]:
    """The folders that `load` was given: one, "A,B,C", or a sequence."""
    parts = [path] if isinstance(path, os.PathLike) else models(path) if isinstance(path, str) else path
    if (
        not isinstance(parts, Sequence)
        or not all(isinstance(part, str | os.PathLike) and str(part) for part in parts)
        or not parts
    ):
        raise ConfigError(f"load: {path!r:.80} came; wanted a model folder, or for an ensemble several: ['a', 'b'] or 'a,b'")
    return list(parts)


def _features(codec: Codec) -> tuple[str, ...]:
    """The features in the source's vocabulary, as they are given."""
    vocabulary = codec.source.vocabulary
    return tuple(token[1:-1] for token in vocabulary.tokens(range(len(vocabulary))) if is_feature(token))


def _batches(sources: list[list[int]], targets: list[list[int]] | None, size: int) -> Iterator[Batch]:
    """In order of length, longest first, at most `size` together and fewer where they are long."""
    longest = [max(len(s), len(t)) for s, t in zip(sources, targets or sources, strict=True)]
    order = sorted(range(len(sources)), key=lambda i: -longest[i])
    while order:
        most = min(size, max(1, MOST_CELLS // longest[order[0]] ** 2))
        rows, order = order[:most], order[most:]
        for batch in in_length_order([sources[i] for i in rows], None if targets is None else [targets[i] for i in rows], most):
            yield replace(batch, rows=np.array(rows)[batch.rows])


load = Translator.load
