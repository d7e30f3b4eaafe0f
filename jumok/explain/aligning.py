"""Aligns pairs with one model, or two: the decoder is made to write each target, and its attention is read as links.

Letters: T target tokens and S source tokens of a pair, `</s>` counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import tee
from typing import Literal

import numpy as np

from jumok.config import BETWEEN
from jumok.decode.backend import tracing
from jumok.decode.hindsight import paths
from jumok.decode.translator import Translator
from jumok.errors import ConfigError
from jumok.explain.alignment import METHODS, VITERBI, path_links, unit_links
from jumok.explain.data import writable
from jumok.explain.symmetry import COMBINE
from jumok.text.codec import Side
from jumok.text.given import Features, pairs_of
from jumok.text.pairs import Pair

Unit = Literal["word", "token"]
Pairs = Iterable[Pair | tuple[str, str] | tuple[str, str, Features] | None]
TOGETHER = 1024  # pairs read ahead and sorted by length together
MOST_CELLS = 2**26  # source characters times target characters of these: their weights are in memory together


@dataclass(frozen=True)
class Aligned:
    """A pair and its links.

    Attributes:
        source, target: the units of each side in order: words between ASCII blanks, or tokens.
        links: (i, j), counted from 0, in order: source[i] goes with target[j].
        log_probability: of the whole target, `</s>` counted; None where the pair was not read.
        problem: why the pair was not read (it then has no links); "" where it was.
        unknown_source, unknown_target: tokens (and features) that the model has never seen, and read as `<unk>`.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    links: tuple[tuple[int, int], ...]
    log_probability: float | None = None
    problem: str = ""
    unknown_source: tuple[str, ...] = ()
    unknown_target: tuple[str, ...] = ()


def align(model: Translator, pairs: Pairs, method: str = "argmax", unit: Unit | None = None) -> Iterator[Aligned]:
    """The links of each pair, from the model's attention while it writes the given target; a stream, in order.

    Args:
        pairs: any iterable of pairs, or of tuples (source, target) or (source, target, features), at most 1,024 of which are read
            ahead; None is a line without a pair and gets no links.
        method: one of METHODS, or viterbi. argmax: each target token with the source token of largest weight; path: the best
            monotone links by the weights; viterbi: those of the likeliest alignment of a model with a monotonic one. `unit_links` and
            `path_links` say which tokens get none.
        unit: what is numbered: words, or tokens. None: tokens on a side that is in characters, words on any other.

    Raises:
        ConfigError: no such method or unit; a model without attention, or for viterbi without a monotonic alignment.
    """
    if method not in METHODS and method != VITERBI:
        raise ConfigError(f"method is {method!r}; it must be one of {', '.join(METHODS)}, {VITERBI}")
    if unit not in ("word", "token", None):
        raise ConfigError(f"unit is {unit!r}; it must be 'word' or 'token'")
    if all(c.model.attention == "none" for c in model.configs):
        raise ConfigError(
            f"{model.name}: the model was trained with attention none, so it has no links; train with --attention general"
        )
    if method == VITERBI and len(model.folders) > 1:
        raise ConfigError(
            f"{model.name}: method is 'viterbi', but several models have no likeliest alignment in common: give --method path, or one "
            "model"
        )
    if method == VITERBI and tracing(model.backend) is None:
        raise ConfigError(
            f"{model.folder}: method is 'viterbi', but the model was trained with alignment 'soft', whose weights are not the "
            "probabilities of an alignment: give --method path"
        )
    return _stream(model, pairs_of(pairs, model.config.text), method, unit)


def align_both(
    model: Translator,
    reverse: Translator,
    pairs: Pairs,
    method: str = "argmax",
    unit: Unit | None = None,
    combine: str = "grow-diagonal",
) -> Iterator[Aligned]:
    """As `align`, with the links of `model` and of `reverse`, which translates targets to sources, merged into one set.

    Args:
        reverse: given the targets without features.
        combine: one of COMBINE.

    Raises:
        ConfigError: as `align`; `combine` is unknown; the two models do not number the same units.
    """
    if combine not in COMBINE:
        raise ConfigError(f"combine is {combine!r}; it must be one of {', '.join(COMBINE)}")
    for one in (model, reverse):
        if one.config.text.several:
            raise ConfigError(f"align: {one.name} reads several sources; links of two directions need one: leave --reverse out")
    forward, backward = tee(pairs_of(pairs, model.config.text))
    turned = (None if pair is None else Pair(pair.target, pair.source, (), pair.where) for pair in backward)
    both = zip(align(model, forward, method, unit), align(reverse, turned, method, unit), strict=True)
    return (_combined(one, other, combine, reverse) for one, other in both)


def pharaoh(links: Iterable[tuple[int, int]]) -> str:
    """Links as `i-j`, separated by blanks, source first, counted from 0: the Pharaoh format of aligners."""
    return " ".join(f"{i}-{j}" for i, j in links)


def links_json(aligned: Aligned) -> str:
    """One JSON object on one line: source, target, links, log_probability; where there are any, unknown_source, unknown_target."""
    data = {
        "source": aligned.source,
        "target": aligned.target,
        "links": aligned.links,
        "log_probability": aligned.log_probability,
    }
    unknown = {"unknown_source": aligned.unknown_source, "unknown_target": aligned.unknown_target}
    data |= {name: tokens for name, tokens in unknown.items() if tokens}
    return writable(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def _stream(model: Translator, pairs: Iterator[Pair | None], method: str, unit: Unit | None) -> Iterator[Aligned]:
    for chunk in _chunks(pairs):
        aligned = iter(_aligned(model, [pair for pair in chunk if pair is not None], method, unit))
        for pair in chunk:
            yield Aligned((), (), (), problem="there is no pair") if pair is None else next(aligned)


def _combined(one: Aligned, other: Aligned, combine: str, reverse: Translator) -> Aligned:
    if (one.source, one.target) != (other.target, other.source):
        raise ConfigError(f"{reverse.name}: tokenises the text differently from the first model; give --unit word")
    if one.problem or other.problem:
        return replace(one, links=(), problem=one.problem or f"in reverse, {other.problem}")
    links = COMBINE[combine](set(one.links), {(i, j) for j, i in other.links})
    return replace(one, links=tuple(sorted(links)))


def _chunks(pairs: Iterator[Pair | None]) -> Iterator[list[Pair | None]]:
    chunk: list[Pair | None] = []
    cells = 0
    for pair in pairs:
        chunk.append(pair)
        cells += (len(pair.source) + 1) * (len(pair.target) + 1) if pair else 0
        if len(chunk) == TOGETHER or cells > MOST_CELLS:
            yield chunk
            chunk, cells = [], 0
    yield chunk


def _aligned(model: Translator, pairs: list[Pair], method: str, unit: Unit | None) -> list[Aligned]:
    codec = model.codec
    sides = [(_units(codec.source, pair.source, unit), _units(codec.target, pair.target, unit)) for pair in pairs]
    aligned = [
        Aligned(source.texts, target.texts, (), None, _problem(source, target, model.longest)) for source, target in sides
    ]
    read = [i for i, one in enumerate(aligned) if not one.problem]
    scored = model.score([pairs[i].source for i in read], [pairs[i].target for i in read], [pairs[i].features for i in read])
    likeliest = _likeliest(model, [pairs[i] for i in read]) if method == VITERBI else [None] * len(read)
    for i, translation, path in zip(read, scored, likeliest, strict=True):
        (source, target), features = sides[i], [-1] * len(pairs[i].features)
        units = [*features, *source.of, -1], [*target.of, -1]
        assert translation.weights is not None
        links = unit_links(translation.weights, *units, method) if path is None else path_links(path, *units)
        unknown = tuple(translation.source_tokens[k] for k in translation.unknown)
        strange = tuple(t for t in codec.target.tokenizer.tokens(pairs[i].target) if t not in codec.target.vocabulary)
        log_probability = translation.log_probability
        aligned[i] = Aligned(source.texts, target.texts, tuple(links), log_probability, "", unknown, strange)
    return aligned


def _likeliest(model: Translator, pairs: list[Pair]) -> list[np.ndarray]:
    able = tracing(model.backend)
    assert able is not None
    sources = [model.codec.encode_source(pair.source, pair.features) for pair in pairs]
    return paths(able, sources, [model.codec.encode_target(pair.target) for pair in pairs])


@dataclass(frozen=True)
class _Units:
    """One text in units: the text of each unit, and for each token the unit that it belongs to, or -1."""

    texts: tuple[str, ...]
    of: list[int]


def _units(side: Side, text: str, unit: Unit | None) -> _Units:
    if unit == "token" or (unit is None and side.tokenizer.characters):
        tokens = side.tokenizer.tokens(text)
        return _Units(tuple(tokens), list(range(len(tokens))))
    parts = text.split(BETWEEN) if side.tokenizer.several else [text]
    return _Units(tuple(word for part in parts for word in part.split(" ") if word), side.tokenizer.words(text))


def _problem(source: _Units, target: _Units, longest: int) -> str:
    for name, units in (("source", source), ("target", target)):
        if len(units.of) >= longest:
            return f"the {name} has {len(units.of):,} tokens, too many for this model; it must have fewer than {longest:,}"
    return ""
