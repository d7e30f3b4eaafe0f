"""The translator: strings in, `Translation`s out, with a model folder behind it.

Letters: S source tokens of a line, `</s>` counted; T target tokens.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from jumok.config import SearchConfig, build
from jumok.decode.backend import AUTO, Backend, make_backend
from jumok.decode.hindsight import in_hindsight
from jumok.decode.hypotheses import Hypothesis
from jumok.decode.info import ModelInfo, model_info
from jumok.decode.policy import policy_of
from jumok.decode.search import search, search_one
from jumok.errors import DataError
from jumok.keywords import done_by
from jumok.runtime.cells import CELLS
from jumok.runtime.folder import Folder, FolderConfig, read_folder
from jumok.runtime.translation import END_TOKEN, Translation
from jumok.text.batches import Batch, in_length_order
from jumok.text.codec import Codec, is_feature
from jumok.text.given import Features, features_of
from jumok.text.vocabulary import END

if TYPE_CHECKING:
    from jumok.page.making import LivingPage

CHUNK = 16  # batches of a stream that are read ahead, and sorted by length together
MOST_CELLS = 64 * 256 * 256  # sentences times S² in a batch: long lines go in smaller batches, whose weights fit in memory
LONGEST = 10  # a source longer than so many times --max-tokens is not read

DEFAULT = SearchConfig()


class _Pause(Enum):
    PAUSE = "among lines: the next one has not come yet"


PAUSE = _Pause.PAUSE
Incoming = str | tuple[str, Features] | Literal[_Pause.PAUSE]
Many = list[str] | tuple[str, ...]


class Translator:
    """A trained model, ready to use. Results do not depend on the batch size or on other lines.

    It can be pickled and copied, with all its arrays, and so be sent to another process, which does not need the folder.

    Attributes:
        folder: the model folder that it was read from.
        config: text and model settings, length limit, training.
        longest: a source of so many tokens or more gives an empty, unfinished `Translation`.
        features: the features that the model knows, most frequent first.
        backend: computes the numbers; made by `jumok.decode.backend.make_backend`.
    """

    def __init__(self, folder: Folder, backend: str = AUTO) -> None:
        self.folder: Path = folder.path
        self.config: FolderConfig = folder.config
        self.longest = LONGEST * folder.config.text.max_tokens
        self._codec = folder.codec
        self.backend: Backend = make_backend(backend, folder)
        self._kind: str = getattr(self.backend, "weights", "attention")
        self.features: tuple[str, ...] = _features(folder.codec)
        self._numbers = sum(array.size for array in folder.parameters.values())

    @classmethod
    def load(cls, path: str | Path, engine: str = AUTO) -> Translator:
        """Loads the model in the folder `path`.

        Args:
            engine: what computes it. exact: compiled, the same bits on every machine; int8: with weights of 8 bits, faster still;
                numpy; auto: exact where it is there. Models that the compiled engine does not know go to NumPy.

        Raises:
            FolderError: the folder cannot be used; it says what is wrong.
            ConfigError: there is no such engine. EngineError: it cannot be used on this machine.
        """
        return cls(read_folder(path), engine)

    def __repr__(self) -> str:
        """Folder, attention and sizes."""
        m = self.config.model
        sizes = f"{CELLS[m.cell].title} {m.layers} x {m.hidden}, {self._numbers:,} parameters"
        sides = f"{len(self._codec.source):,} source and {len(self._codec.target):,} target tokens"
        return f"<jumok.Translator {str(self.folder)!r}: attention {m.attention}, {sizes}, {sides}>"

    @property
    def codec(self) -> Codec:
        """The tokenizers and vocabularies of source and target."""
        return self._codec

    def _translate_given(self, text: Any, *, features: Any = None, **options: Any) -> Translation | list[Translation]:
        chosen = build(SearchConfig, options, "translate") if options else DEFAULT
        if isinstance(text, str):
            return self._translate(*self._checked([text], None if features is None else [features]), chosen)[0]
        return self._translate(*self._checked(text, features), chosen)

    @overload
    def translate(
        self,
        text: str,
        *,
        features: Features | None = None,
        # options: SearchConfig
        beam: int = 1,
        nbest: int = 1,
        length_penalty: float = 1.0,
        max_length: int | None = None,
        batch_size: int = 64,
        # end of options
    ) -> Translation: ...

    @overload
    def translate(
        self,
        text: Many,
        *,
        features: Sequence[Features] | None = None,
        # options: SearchConfig
        beam: int = 1,
        nbest: int = 1,
        length_penalty: float = 1.0,
        max_length: int | None = None,
        batch_size: int = 64,
        # end of options
    ) -> list[Translation]: ...

    @done_by(_translate_given)
    def translate(
        self,
        text: str | Many,
        *,
        features: Any = None,
        # options: SearchConfig
        beam: int = 1,
        nbest: int = 1,
        length_penalty: float = 1.0,
        max_length: int | None = None,
        batch_size: int = 64,
        # end of options
    ) -> Translation | list[Translation]:
        """The best output for a line, or for each of many, in their order.

        Args:
            text: a line, or a sequence of lines. A blank line gives an empty output, without running the model.
            features: for a line a sequence of strings, or one string as in a table: ["V", "PST"] or "V;PST"; for many lines a
                sequence with one of these for each.

        The options of `SearchConfig`:
            beam: Hypotheses kept at each step; 1 = greedy.
            nbest: Hypotheses returned for a line (at most beam).
            length_penalty: Ranks hypotheses by log-probability / length ** length-penalty; 0 = no normalisation.
            max_length: Most tokens written for a line. Default: grows with the source, as the targets do in the training pairs.
            batch_size: Lines decoded together.

        Raises:
            DataError: text or features are not strings, or not as many features as lines.
            ConfigError: an option that cannot be.
        """
        raise NotImplementedError

    def _translate_lines_given(self, lines: Iterable[Incoming], **options: Any) -> Iterator[Translation]:
        chosen = build(SearchConfig, options, "translate_lines")
        return self._stream(iter(lines), chosen)

    @done_by(_translate_lines_given)
    def translate_lines(
        self,
        lines: Iterable[Incoming],
        *,
        # options: SearchConfig
        beam: int = 1,
        nbest: int = 1,
        length_penalty: float = 1.0,
        max_length: int | None = None,
        batch_size: int = 64,
        # end of options
    ) -> Iterator[Translation]:
        """A `Translation` for each line of a stream, in order. Reads ahead 16 batches; with batch_size 1, nothing.

        Args:
            lines: any iterable of strings, or of (string, features), the features as in `translate`. PAUSE among them says that
                the next one is not there yet: those that came are translated before it is asked for.

        The options of `SearchConfig`:
            beam: Hypotheses kept at each step; 1 = greedy.
            nbest: Hypotheses returned for a line (at most beam).
            length_penalty: Ranks hypotheses by log-probability / length ** length-penalty; 0 = no normalisation.
            max_length: Most tokens written for a line. Default: grows with the source, as the targets do in the training pairs.
            batch_size: Lines decoded together.

        """
        raise NotImplementedError

    def _stream(self, lines: Iterator[Incoming], options: SearchConfig) -> Iterator[Translation]:
        size = 1 if options.batch_size == 1 else CHUNK * options.batch_size
        for chunk in _chunks(lines, size):
            texts, features = [text for text, _ in chunk], [features for _, features in chunk]
            yield from self._translate(*self._checked(texts, features), options)

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
        if isinstance(source, str) or isinstance(target, str):
            if not isinstance(source, str) or not isinstance(target, str):
                raise DataError("score: source and target must both be strings, or both be sequences of strings")
            return self._score(*self._checked([source], None if features is None else [features]), [target])[0]
        texts, given = self._checked(source, features)
        targets, _ = self._checked(target, None)
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

        return living_page(self.folder, examples)

    def info(self) -> ModelInfo:
        """What the model is, as values by name: info().attention, info().parameters …; and how far its training is."""
        return model_info(self)

    def _checked(self, texts: Any, features: Any) -> tuple[list[str], list[tuple[str, ...]]]:
        """texts as a list of strings, and the features of each; DataError for anything else."""
        if not isinstance(texts, Sequence) or isinstance(texts, bytes):
            raise DataError(f"text is of type {type(texts).__name__}; wanted a string or a sequence of strings")
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"line {i + 1} is of type {type(text).__name__}; wanted a string")
        if features is None:
            return list(texts), [()] * len(texts)
        if isinstance(features, str) or not isinstance(features, Sequence) or len(features) != len(texts):
            raise DataError(f"features are {features!r:.80}; wanted a sequence with features for each of {len(texts)} line(s)")
        separator = self.config.text.features_separator
        return list(texts), [features_of(own, separator, f"line {i}") for i, own in enumerate(features, 1)]

    def _translate(self, texts: list[str], features: list[tuple[str, ...]], options: SearchConfig) -> list[Translation]:
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
                )
            elif text.strip():
                run.append(i)
        vocabulary = self._codec.source.vocabulary
        ids = [[*vocabulary.ids(tokens[i]), END] for i in run]
        for row, outputs in self._search(ids, options):
            i = run[row]
            best, *others = outputs
            alternatives = tuple(self._translation(texts[i], (*tokens[i], END_TOKEN), *other) for other in others)
            translations[i] = self._translation(texts[i], (*tokens[i], END_TOKEN), *best, alternatives)
        return translations

    def _search(self, ids: list[list[int]], options: SearchConfig) -> Iterator[tuple[int, list[tuple[Hypothesis, Any]]]]:
        """For each source, in any order, its number and its hypotheses with their weights, as `in_hindsight` gives them."""
        policy = policy_of(options)
        if len(ids) == 1:
            limit = options.max_length or self._limit(len(ids[0]))
            found = [search_one(self.backend, np.array(ids[0]), options, limit, policy)]
            yield 0, in_hindsight(self.backend, ids, found)[0]
            return
        for batch in _batches(ids, None, options.batch_size):
            limits = [options.max_length or self._limit(int(S)) for S in batch.source_lengths]
            found = search(self.backend, batch.source, batch.source_lengths, options, np.array(limits), policy)
            rows = batch.rows.tolist()
            yield from zip(rows, in_hindsight(self.backend, [ids[row] for row in rows], found), strict=True)

    def _limit(self, S: int) -> int:
        ratio, constant = self.config.limit
        return max(1, math.ceil(ratio * S + constant))

    def _translation(
        self,
        source: str,
        source_tokens: tuple[str, ...],
        h: Hypothesis,
        weights: Any,
        alternatives: tuple[Translation, ...] = (),
    ) -> Translation:
        text, tokens = self._codec.decode_target(h.tokens), tuple(self._codec.target_tokens(h.tokens))
        unknown = self._unknown(source_tokens)
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
            alternatives,
            weights_kind=self._kind,
        )

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
            log_probabilities, weights = self.backend.score(
                batch.source, batch.source_lengths, batch.target, batch.target_lengths
            )
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
                )
        return [translations[i] for i in range(len(texts))]


def _chunks(lines: Iterator[Incoming], size: int) -> Iterator[list[tuple[str, Features]]]:
    """At most `size` lines together, and before each PAUSE, and before an error, those that came."""
    chunk: list[tuple[str, Features]] = []
    error: DataError | None = None
    while error is None:
        try:
            line = next(lines)
        except StopIteration:
            break
        except DataError as e:
            error, line = e, PAUSE
        if line is not PAUSE:
            chunk.append(line if isinstance(line, tuple) else (line, ()))
        if chunk and (line is PAUSE or len(chunk) == size):
            yield chunk
            chunk = []
    if chunk:
        yield chunk
    if error is not None:
        raise error


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
