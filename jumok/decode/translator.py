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
from typing import Any, Literal, overload

import numpy as np

from jumok.alignments import ALIGNMENTS
from jumok.config import SearchConfig, build
from jumok.decode.backend import Backend, make_backend
from jumok.decode.hindsight import in_hindsight
from jumok.decode.hypotheses import Hypothesis
from jumok.decode.search import search, search_one
from jumok.errors import DataError
from jumok.runtime.cells import CELLS
from jumok.runtime.folder import Folder, FolderConfig, read_folder
from jumok.runtime.translation import END, Translation
from jumok.scores import SCORES
from jumok.text.batches import Batch, in_length_order
from jumok.text.codec import Codec, is_feature
from jumok.text.vocabulary import END as END_ID
from jumok.windows import WINDOWS

CHUNK = 16  # batches of a stream that are read ahead and sorted by length together
MOST_CELLS = 64 * 256 * 256  # sentences times S² in a batch: long lines go in smaller batches, whose weights fit in memory
LONGEST = 10  # times the longest training line: beyond that, a source is not read

DEFAULT = SearchConfig()

Features = Sequence[str]


class _Pause(Enum):
    PAUSE = "among lines: the next one is not there yet"


PAUSE = _Pause.PAUSE
Incoming = str | tuple[str, Features] | Literal[_Pause.PAUSE]
Many = list[str] | tuple[str, ...]


class Translator:
    """A trained model, ready to use. Results do not depend on batch size or on the lines around.

    It can be pickled and copied, and so be handed to another process, with all its arrays: its folder need not be there.

    Attributes:
        folder: where it was read from.
        config: text and model settings, length limit, training.
        longest: a source of so many tokens or more gives an empty, unfinished `Translation`.
        features: those that the model knows, the most frequent first.
        backend: what computes, one of `jumok.decode.backend.BACKENDS`.
    """

    def __init__(self, folder: Folder, backend: str = "numpy") -> None:
        self.folder: Path = folder.path
        self.config: FolderConfig = folder.config
        self.longest = LONGEST * folder.config.text.max_tokens
        self._codec = folder.codec
        self.backend: Backend = make_backend(backend, folder)
        self._kind: str = getattr(self.backend, "weights", "attention")
        self.features: tuple[str, ...] = _features(folder.codec)
        self._numbers = sum(array.size for array in folder.parameters.values())

    @classmethod
    def load(cls, path: str | Path) -> Translator:
        """The model in the folder `path`. FolderError, saying what is wrong, if there is none that can be used."""
        return cls(read_folder(path))

    def __repr__(self) -> str:
        """What it is: folder, attention, sizes."""
        m = self.config.model
        sizes = f"{CELLS[m.cell].title} {m.layers} x {m.hidden}, {self._numbers:,} parameters"
        sides = f"{len(self._codec.source):,} source and {len(self._codec.target):,} target tokens"
        return f"<jumok.Translator {str(self.folder)!r}: attention {m.attention}, {sizes}, {sides}>"

    @property
    def codec(self) -> Codec:
        """The tokenizers and vocabularies of its two sides."""
        return self._codec

    @overload
    def translate(self, text: str, *, features: Features | None = None, **options: Any) -> Translation: ...

    @overload
    def translate(self, text: Many, *, features: Sequence[Features] | None = None, **options: Any) -> list[Translation]: ...

    def translate(self, text: str | Many, *, features: Any = None, **options: Any) -> Translation | list[Translation]:
        """The best output for a line, or for each of many, in their order.

        Args:
            text: a line, or a sequence of lines. A blank line gives an empty output, without running the model.
            features: a sequence of strings for a line; one such sequence a line for many.
            options: beam (1), nbest (1), length_penalty (1.0), max_length (None: by the length of the source) and
                batch_size (64), as in `jumok.config.SearchConfig`.

        Raises:
            DataError: text or features are not strings, or not as many features as lines.
            ConfigError: an option that cannot be.
        """
        chosen = build(SearchConfig, options, "translate") if options else DEFAULT
        if isinstance(text, str):
            return self._translate(*_checked([text], None if features is None else [features]), chosen)[0]
        return self._translate(*_checked(text, features), chosen)

    def translate_lines(self, lines: Iterable[Incoming], **options: Any) -> Iterator[Translation]:
        """A `Translation` for each line of a stream, in order. Reads ahead 16 batches; with batch_size 1, nothing.

        Args:
            lines: any iterable of strings, or of (string, features). PAUSE among them says that the next one is not there yet:
                those that came are translated before it is asked for.
            options: as in `translate`.
        """
        chosen = build(SearchConfig, options, "translate_lines")
        return self._stream(iter(lines), chosen)

    def _stream(self, lines: Iterator[Incoming], options: SearchConfig) -> Iterator[Translation]:
        size = 1 if options.batch_size == 1 else CHUNK * options.batch_size
        for chunk in _chunks(lines, size):
            yield from self._translate(*_checked([text for text, _ in chunk], [features for _, features in chunk]), options)

    @overload
    def score(self, source: str, target: str, features: Features | None = None) -> Translation: ...

    @overload
    def score(self, source: Many, target: Many, features: Sequence[Features] | None = None) -> list[Translation]: ...

    def score(self, source: str | Many, target: str | Many, features: Any = None) -> Translation | list[Translation]:
        """What the model makes of a given target, or of many: its log-probability, and the attention it is written with.

        `score` is the log-probability a token. A token that is not in the vocabulary is shown as `<unk>`.
        """
        if isinstance(source, str) or isinstance(target, str):
            if not isinstance(source, str) or not isinstance(target, str):
                raise DataError("score: source and target must both be strings, or both be sequences of strings")
            return self._score(*_checked([source], None if features is None else [features]), [target])[0]
        texts, given = _checked(source, features)
        targets, _ = _checked(target, None)
        if len(targets) != len(texts):
            raise DataError(f"score: {len(texts)} sources but {len(targets)} targets; each source needs one")
        return self._score(texts, given, targets)

    def force(self, source: Any, target: Any, features: Any = None) -> Any:
        """The old name of `score`."""
        warnings.warn("force is now called score; the old name works for this version only", DeprecationWarning, stacklevel=2)
        return self.score(source, target, features)

    def info(self) -> dict[str, Any]:
        """Facts about the model, by name."""
        text, model = self.config.text, self.config.model
        score, cell = SCORES.get(model.attention), CELLS[model.cell].title
        directions = ("both directions" if model.bidirectional else "one direction") + ", reversed" * model.reverse_source
        readout = f"tanh {model.readout_size}" if model.readout == "tanh" else "linear"
        window = WINDOWS.get(model.window)
        return {
            "folder": str(self.folder),
            "attention": f"{model.attention}: {score.formula}" if score else "none",
            "alignment": f"{model.alignment}: {ALIGNMENTS[model.alignment].formula}" + ", copying" * model.copy
            if score
            else "none",
            "window": f"{model.window}: {window.formula}, D = {model.window_size}" if window else "none",
            "encoder": f"{cell}, {model.layers} x {model.hidden}, {directions}",
            "decoder": f"{cell}, {model.layers} x {model.hidden}",
            "embedding": model.embedding,
            "readout": readout,
            "input feeding": "yes" if model.input_feeding else "no",
            "tied embeddings": model.tie,
            "parameters": self._numbers,
            "source": _side(text.source_tokenizer, text.source_form, len(self._codec.source)),
            "target": _side(text.target_tokenizer, text.target_form, len(self._codec.target)),
            "joint vocabulary": self._codec.joint,
            "length limit": f"{self.config.limit[0]:g} x source tokens + {self.config.limit[1]:g}",
        }

    def _translate(self, texts: list[str], features: list[Features], options: SearchConfig) -> list[Translation]:
        found = [Translation(text, "", (), (), None, 0.0, 0.0, weights_kind=self._kind) for text in texts]
        tokens = [self._codec.source_tokens(t, f) if t.strip() else [] for t, f in zip(texts, features, strict=True)]
        run = []
        for i, text in enumerate(texts):
            if len(tokens[i]) >= self.longest:
                found[i] = replace(
                    found[i], source_tokens=(*tokens[i], END), finished=False, unknown=self._unknown((*tokens[i], END))
                )
            elif text.strip():
                run.append(i)
        vocabulary = self._codec.source.vocabulary
        ids = [[*vocabulary.ids(tokens[i]), END_ID] for i in run]
        for row, own in self._search(ids, options):
            i = run[row]
            made = [self._translation(texts[i], (*tokens[i], END), h, weights) for h, weights in own]
            found[i] = replace(made[0], alternatives=tuple(made[1:])) if made[1:] else made[0]
        return found

    def _search(self, ids: list[list[int]], options: SearchConfig) -> Iterator[tuple[int, list[tuple[Hypothesis, Any]]]]:
        """For each source, in any order, its number and its hypotheses, with the weights of each, see `in_hindsight`."""
        if len(ids) == 1:
            limit = options.max_length or self._limit(len(ids[0]))
            found = [search_one(self.backend, np.array(ids[0]), options, limit)]
            yield 0, in_hindsight(self.backend, ids, found)[0]
            return
        for batch in _batches(ids, None, options.batch_size):
            limits = [options.max_length or self._limit(int(S)) for S in batch.source_lengths]
            found = search(self.backend, batch.source, batch.source_lengths, options, np.array(limits))
            rows = batch.rows.tolist()
            yield from zip(rows, in_hindsight(self.backend, [ids[row] for row in rows], found), strict=True)

    def _limit(self, S: int) -> int:
        ratio, constant = self.config.limit
        return max(1, math.ceil(ratio * S + constant))

    def _translation(self, source: str, source_tokens: tuple[str, ...], h: Hypothesis, weights: Any) -> Translation:
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
            weights_kind=self._kind,
        )

    def _unknown(self, source_tokens: tuple[str, ...]) -> tuple[int, ...]:
        """Positions of the tokens, END left out, that are read as `<unk>`."""
        vocabulary = self._codec.source.vocabulary
        return tuple(i for i, token in enumerate(source_tokens[:-1]) if token not in vocabulary)

    def _score(self, texts: list[str], features: list[Features], targets: list[str]) -> list[Translation]:
        tokens = [self._codec.source_tokens(t, f) for t, f in zip(texts, features, strict=True)]
        sources = [[*self._codec.source.vocabulary.ids(own), END_ID] for own in tokens]
        gold = [self._codec.encode_target(target) for target in targets]
        found: dict[int, Translation] = {}
        for batch in _batches(sources, gold, 64):
            log_probabilities, weights = self.backend.score(
                batch.source, batch.source_lengths, batch.target, batch.target_lengths
            )
            totals = log_probabilities.sum(1, dtype=np.float64)
            for k, i in enumerate(batch.rows.tolist()):
                S, T = len(sources[i]), len(gold[i])
                own = None if weights is None else weights[k, :T, :S].copy()
                written, total = tuple(self._codec.target_tokens(gold[i])), float(totals[k])
                read = (*tokens[i], END)
                found[i] = Translation(
                    texts[i],
                    targets[i],
                    read,
                    written,
                    own,
                    total,
                    total / T,
                    True,
                    self._unknown(read),
                    weights_kind=self._kind,
                )
        return [found[i] for i in range(len(texts))]


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


def _checked(texts: Any, features: Any) -> tuple[list[str], list[Features]]:
    """texts as a list of strings, and a sequence of features for each; DataError for anything else."""
    if not isinstance(texts, Sequence) or isinstance(texts, bytes):
        raise DataError(f"text is of type {type(texts).__name__}; wanted a string or a sequence of strings")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"line {i + 1} is of type {type(text).__name__}; wanted a string")
    if features is None:
        return list(texts), [()] * len(texts)
    if isinstance(features, str) or not isinstance(features, Sequence) or len(features) != len(texts):
        raise DataError(f"features are {features!r:.80}; wanted a sequence of strings for each of {len(texts)} line(s)")
    for i, own in enumerate(features):
        if isinstance(own, str) or not isinstance(own, Sequence) or not all(isinstance(feature, str) for feature in own):
            raise DataError(f"features of line {i + 1} are {own!r:.80}; wanted a sequence of strings, such as ['V', 'PST']")
    return list(texts), list(features)


def _side(tokenizer: str, form: str, size: int) -> str:
    return f"{tokenizer}{'' if form == 'none' else f' in {form}'}, {size:,} entries"


load = Translator.load
