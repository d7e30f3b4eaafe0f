"""Codec: strings to ids and back, for both sides of a model; what a model folder keeps of the text.

A source reads: its features, each as one token ‹V›, then its text's tokens, then END. A target reads: its tokens, then END.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from jumok.config import BETWEEN, TextConfig
from jumok.errors import ConfigError, DataError, FolderError
from jumok.text.pairs import Pair
from jumok.text.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer, train_tokenizer
from jumok.text.vocabulary import END, PAD, SPECIALS, START, UNK, Vocabulary

SOURCE_FILE, TARGET_FILE = "source.json", "target.json"
_MOST_BYTES = 256 * 2**20  # of a file in the model folder; a vocabulary of a million tokens takes a tenth of it
CUT_TOGETHER = 4096  # pairs


@dataclass(frozen=True, eq=False)
class Side:
    """One side's tokenizer and vocabulary."""

    tokenizer: Tokenizer
    vocabulary: Vocabulary

    def __len__(self) -> int:
        """Entries of the vocabulary, specials included."""
        return len(self.vocabulary)


@dataclass(frozen=True, eq=False)
class Codec:
    """Strings to ids and back. With a joint vocabulary, `target` is the same object as `source`."""

    source: Side
    target: Side
    config: TextConfig

    @property
    def joint(self) -> bool:
        """Whether both sides share tokenizer and vocabulary."""
        return self.source is self.target

    def source_tokens(self, text: str, features: Sequence[str] = ()) -> list[str]:
        """Features, then the text's tokens; without `</s>`. With `char`, no token of a text looks like a feature."""
        return feature_tokens(features) + self.source.tokenizer.tokens(text)

    def columns(self, tokens: Sequence[str]) -> tuple[int, ...]:
        """For each source token the column that it is from, 0 for features, `</s>` and what stands between; () with one source."""
        if not self.config.several:
            return ()
        columns, part = self.config.source_columns, 0
        found = []
        for i, token in enumerate(tokens):
            part += token == BETWEEN
            own = token == BETWEEN or i == len(tokens) - 1 or (part == 0 and is_feature(token))
            found.append(0 if own else columns[min(part, len(columns) - 1)])
        return tuple(found)

    def encode_source(self, text: str, features: Sequence[str] = ()) -> list[int]:
        """Ids of features and text, END last."""
        return [*self.source.vocabulary.ids(self.source_tokens(text, features)), END]

    def encode_target(self, text: str) -> list[int]:
        """Ids of the text, END last (no START)."""
        return self.ids_of_target(self.target.tokenizer.tokens(text))

    def ids_of_target(self, tokens: Iterable[str]) -> list[int]:
        """Ids of a target's tokens, END last."""
        return [*self.target.vocabulary.ids(tokens), END]

    def encode_pairs(self, pairs: Sequence[Pair]) -> tuple[list[list[int]], list[list[int]]]:
        """Ids of all sources and of all targets: the same as from `encode_source` and `encode_target`, but faster."""
        sources: list[list[int]] = []
        targets: list[list[int]] = []
        for source_tokens, target_tokens in _tokens(pairs, self.source.tokenizer, self.target.tokenizer):
            sources += ([*self.source.vocabulary.ids(tokens), END] for tokens in source_tokens)
            targets += ([*self.target.vocabulary.ids(tokens), END] for tokens in target_tokens)
        return sources, targets

    def copies(self) -> np.ndarray:
        """For each id of the source vocabulary the id of the same token in the target's, or -1: int64 [source entries]."""
        found = np.full(len(self.source), -1)
        for i, token in enumerate(self.source.vocabulary.tokens(range(len(self.source)))):
            if i >= len(SPECIALS) and token in self.target.vocabulary:
                (found[i],) = self.target.vocabulary.ids([token])
        return found

    def target_tokens(self, ids: Iterable[int]) -> list[str]:
        """The token of each id, specials included, as a `Translation` shows them."""
        return self.target.vocabulary.tokens(ids)

    def decode_target(self, ids: Iterable[int], instead: Sequence[str | None] = ()) -> str:
        """The text of the ids: up to END, without PAD and START. UNK becomes the tokenizer's `unknown` (� or <unk>).

        Args:
            instead: for each id a token that takes its place in the text, or None; () for none at all.
        """
        tokenizer, tokens = self.target.tokenizer, self.target.vocabulary.tokens
        kept: list[str] = []
        for t, i in enumerate(ids):
            if i == END:
                break
            if instead and (other := instead[t]) is not None:
                kept.append(other)
            elif i not in (PAD, START):
                kept += [tokenizer.unknown] if i == UNK else tokens([i])
        return tokenizer.text(kept)

    def written(self, texts: Sequence[str]) -> list[str]:
        """Texts as the model would write them: put through the target's form and tokenizer and back. Nothing becomes <unk>."""
        return written(self.target.tokenizer, texts)

    def to_dict(self) -> dict[str, Any]:
        """JSON values: {"source": …, "target": …}, which `save` writes to two files."""
        target = {"same_as": "source"} if self.joint else _side_to_dict(self.target)
        return {"source": _side_to_dict(self.source), "target": target}

    @classmethod
    def from_dict(cls, values: dict[str, Any], config: TextConfig, where: str | Path) -> Codec:
        """The codec of these JSON values. FolderError, with the file in the folder `where`, if they do not fit `config`."""
        path = Path(where) / TARGET_FILE
        given = values["source"], str(Path(where) / SOURCE_FILE)
        source = _side_from_dict(*given, config.source_tokenizer, config.source_form)
        target = values["target"]
        if "same_as" not in target:
            return cls(source, _side_from_dict(target, str(path), config.target_tokenizer, config.target_form), config)
        if target["same_as"] != "source":
            raise FolderError(f'{path}: same as {target["same_as"]!r}; only "source" can be; the file is damaged')
        _check_settings(source, str(path), config.target_tokenizer, config.target_form)
        return cls(source, source, config)

    def save(self, folder: str | Path) -> None:
        """Writes source.json and target.json into an existing folder."""
        values = self.to_dict()
        _write(Path(folder) / SOURCE_FILE, values["source"])
        _write(Path(folder) / TARGET_FILE, values["target"])

    @classmethod
    def load(cls, folder: str | Path, config: TextConfig) -> Codec:
        """Reads what `save` wrote. FolderError, with the file, if one is missing, damaged, or does not fit `config`."""
        files = {"source": Path(folder) / SOURCE_FILE, "target": Path(folder) / TARGET_FILE}
        return cls.from_dict({side: _read(file) for side, file in files.items()}, config, folder)


def written(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """Texts after the tokenizer has cut them into tokens and joined these again."""
    return [tokenizer.text(tokens) for tokens in tokenizer.batch(texts)]


def build_codec(pairs: Sequence[Pair], config: TextConfig, targets: Sequence[str] = (), whole: bool = False) -> Codec:
    """Builds tokenizers and vocabularies for these training pairs.

    Args:
        targets: further targets, without a source.
        whole: give vocabularies all tokens that a tokenizer has learned, also those that the pairs, as they are usually cut, lack.

    Raises:
        ConfigError: a joint vocabulary is asked for, but the sides have different tokenizers or forms.
        DataError: no token is seen `min_count` times.
    """
    cut = train_tokenizers([p.source for p in pairs], chain((p.target for p in pairs), targets), config)
    counts = _counts(pairs, targets, *cut)
    for tokenizer, seen in zip(cut, counts, strict=True):
        if whole:
            seen.update(dict.fromkeys(tokenizer.all_tokens() - seen.keys(), config.min_count))
    return codec_from_counts(*cut, *counts, config)


def grown(codec: Codec, pairs: Sequence[Pair], min_count: int, targets: Sequence[str] = ()) -> Codec:
    """The codec with the tokens of these pairs that it does not know, and that are seen `min_count` times, behind its own.

    A tokenizer that learned its tokens (bpe) cuts everything into those that it has: its vocabulary stays. `targets` as for
    `build_codec`.
    """
    sources, found = _counts(pairs, targets, codec.source.tokenizer, codec.target.tokenizer)
    if codec.joint:
        side = _with(codec.source, sources + found, min_count)
        return Codec(side, side, codec.config)
    return Codec(_with(codec.source, sources, min_count), _with(codec.target, found, min_count), codec.config)


def _counts(
    pairs: Sequence[Pair], more: Sequence[str], source: Tokenizer, target: Tokenizer
) -> tuple[Counter[str], Counter[str]]:
    """How often each token is seen on each side; `more` are further targets."""
    sources, targets = Counter[str](), Counter[str]()
    for source_tokens, target_tokens in _tokens(pairs, source, target):
        sources.update(chain.from_iterable(source_tokens))
        targets.update(chain.from_iterable(target_tokens))
    for start in range(0, len(more), CUT_TOGETHER):
        targets.update(chain.from_iterable(target.batch(more[start : start + CUT_TOGETHER])))
    return sources, targets


def _with(side: Side, counts: Mapping[str, int], min_count: int) -> Side:
    known, learned = side.vocabulary, TOKENIZERS[side.tokenizer.name].learned
    new = {token: n for token, n in counts.items() if token not in known and (is_feature(token) or not learned)}
    more = Vocabulary.from_counts(new, min_count)
    own, added = known.to_dict(), more.to_dict()
    return Side(side.tokenizer, Vocabulary([*own["tokens"], *added["tokens"]], [*own["counts"], *added["counts"]]))


def train_tokenizers(sources: Iterable[str], targets: Iterable[str], config: TextConfig) -> tuple[Tokenizer, Tokenizer]:
    """Trains the tokenizer of each side; with a joint vocabulary, both are one object. Only `bpe` learns from the texts.

    Raises:
        ConfigError: a joint vocabulary is asked for, but the sides have different tokenizers or forms.
    """
    how = config.source_tokenizer, config.source_form
    if is_joint(config):
        tokenizer = train_tokenizer(*how, chain(sources, targets), config.bpe_size, config.several)
        return tokenizer, tokenizer
    return (
        train_tokenizer(*how, sources, config.bpe_size, config.several),
        train_tokenizer(config.target_tokenizer, config.target_form, targets, config.bpe_size),
    )


def codec_from_counts(
    cut_source: Tokenizer, cut_target: Tokenizer, sources: Mapping[str, int], targets: Mapping[str, int], config: TextConfig
) -> Codec:
    """Builds a codec from tokenizers and the counts of their tokens on each side.

    Raises:
        DataError: no token is seen `min_count` times.
    """
    if is_joint(config):
        both = Counter(sources)
        both.update(targets)
        side = Side(cut_source, _vocabulary(both, "both sides", config))
        return Codec(side, side, config)
    source = Side(cut_source, _vocabulary(sources, "the source side", config))
    return Codec(source, Side(cut_target, _vocabulary(targets, "the target side", config)), config)


def is_joint(config: TextConfig) -> bool:
    """Whether both sides share one vocabulary. By default they do if both learn tokens (bpe), in the same Unicode form."""
    alike = (config.source_tokenizer, config.source_form) == (config.target_tokenizer, config.target_form)
    if config.joint_vocabulary and not alike:
        raise ConfigError("joint_vocabulary is on; it needs the same tokenizer and the same Unicode form on both sides")
    if config.joint_vocabulary is None:
        return alike and TOKENIZERS[config.source_tokenizer].learned
    return config.joint_vocabulary


def _vocabulary(counts: Mapping[str, int], which: str, config: TextConfig) -> Vocabulary:
    vocabulary = Vocabulary.from_counts(counts, config.min_count)
    if len(vocabulary) == len(Vocabulary([], [])):
        raise DataError(f"training pairs: no token of {which} is seen min_count ({config.min_count}) times; lower --min-count")
    return vocabulary


def _tokens(pairs: Sequence[Pair], source: Tokenizer, target: Tokenizer) -> Iterator[tuple[list[list[str]], list[list[str]]]]:
    """The tokens of both sides, a chunk of pairs at a time: as lists, tokens take ten times the memory of the text."""
    for start in range(0, len(pairs), CUT_TOGETHER):
        some = pairs[start : start + CUT_TOGETHER]
        texts = source.batch([p.source for p in some])
        sources = [feature_tokens(p.features) + tokens if p.features else tokens for p, tokens in zip(some, texts, strict=True)]
        yield sources, target.batch([p.target for p in some])


def feature_tokens(features: Sequence[str]) -> list[str]:
    """Features as tokens, with which a source begins."""
    return [f"‹{feature}›" for feature in features]


def is_feature(token: str) -> bool:
    """Whether a source token is written like a feature."""
    return len(token) > 2 and token[0] == "‹" and token[-1] == "›"


def are_features(vocabulary: Vocabulary) -> np.ndarray:
    """Which entries of a source vocabulary are features: bool [V]."""
    return np.array([is_feature(token) for token in vocabulary.tokens(range(len(vocabulary)))])


def _side_to_dict(side: Side) -> dict[str, Any]:
    return {"tokenizer": side.tokenizer.to_dict(), "vocabulary": side.vocabulary.to_dict()}


def _side_from_dict(values: dict[str, Any], where: str, tokenizer: str, form: str) -> Side:
    vocabulary = Vocabulary.from_dict(values.get("vocabulary"), where)
    side = Side(load_tokenizer(values.get("tokenizer"), where), vocabulary)
    _check_settings(side, where, tokenizer, form)
    return side


def _check_settings(side: Side, where: str, tokenizer: str, form: str) -> None:
    have = (side.tokenizer.name, side.tokenizer.form)
    if have != (tokenizer, form):
        raise FolderError(
            f"{where}: tokenizer and form are {have}, the model's settings say {(tokenizer, form)}; the file is of another model"
        )


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise FolderError(f"{path}: over {_MOST_BYTES // 2**20} MiB, larger than any vocabulary; the file is damaged")
        values = json.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise FolderError(f"{path}: there is no such file; the model folder is not whole") from None
    except OSError as e:
        raise FolderError(f"{path}: cannot be read ({e.strerror})") from None
    except (ValueError, RecursionError) as e:
        raise FolderError(f"{path}: not JSON in UTF-8 ({e}); the file is damaged") from None
    if not isinstance(values, dict):
        raise FolderError(f"{path}: not a JSON object; the file is damaged")
    return values
