"""Rescoring: an n-best list, ranked again with what another model says about its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jumok.config.checking import MOST
from jumok.decode.translator import Translator, load
from jumok.errors import ConfigError, DataError
from jumok.runtime.translation import Translation
from jumok.text.codec import is_feature
from jumok.text.given import Features


def rescore(
    model: Translator | str | Path | Sequence[str | Path],
    translations: Sequence[Translation],
    *,
    weight: float = 0.5,
    length_penalty: float = 1.0,
    features: Sequence[Features] | None = None,
) -> list[Translation]:
    """Ranks the n-best list of each translation again: score = (1 - weight) · score + weight · log p / T ** length_penalty.

    p is the model's probability of the output's text for the source, T the number of its tokens. The model may be of any kind, with
    other tokens than the one that wrote the outputs. All else of an output stays: tokens, weights, log-probability are the first
    model's; but an output of which only the text is known gets this model's. Rescoring again, with a third model, goes on from the new scores.

    Args:
        model: a `Translator`, the path of a model folder, or several paths: an ensemble, as for `jumok.load`.
        translations: as `Translator.translate` gives them, with their `alternatives`.
        weight: of this model's score, from 0 (nothing changes) to 1 (it alone decides).
        length_penalty: of this model's score, as for `Translator.translate`.
        features: of each source, as for `Translator.translate`. Default: what its `source_tokens` begin with.

    Returns:
        The translations, each with its best output first: finished ones before others, as in search.

    Raises:
        ConfigError: weight or length_penalty is out of range.
    """
    check(weight, length_penalty)
    model = model if isinstance(model, Translator) else load(model)
    if not isinstance(translations, list | tuple) or not all(isinstance(t, Translation) for t in translations):
        raise DataError(
            f"rescore: {translations!r:.80} came; wanted a list of translations, as model.translate([…], nbest=5) gives it"
        )
    if features is not None and len(features) != len(translations):
        raise DataError(f"rescore: {len(translations)} translations but features of {len(features)}; each needs its own")
    lists = [[t, *t.alternatives] if t.tokens or t.text or t.alternatives else [] for t in translations]
    read = [features_of(t) for t in translations] if features is None else features
    flat = [(h, given) for own, given in zip(lists, read, strict=True) for h in own]
    scored = iter(model.score([h.source for h, _ in flat], [h.text for h, _ in flat], [given for _, given in flat]))
    results = []
    for t, own in zip(translations, lists, strict=True):
        outputs = [_rescored(h, next(scored), weight, length_penalty) for h in own]
        results.append(best_first(outputs) if outputs else t)
    return results


def check(weight: float, length_penalty: float) -> None:
    """ConfigError unless both are in their ranges."""
    if not 0 <= weight <= 1:
        raise ConfigError(f"rescore: weight is {weight!r}; it must be from 0 to 1")
    if not 0 <= length_penalty <= MOST["length_penalty"]:
        raise ConfigError(f"rescore: length_penalty is {length_penalty!r}; it must be from 0 to {MOST['length_penalty']}")


def _rescored(output: Translation, scored: Translation, weight: float, length_penalty: float) -> Translation:
    """An output with its new score, from the old one and from what the model scored."""
    own = scored.log_probability / len(scored.tokens) ** length_penalty
    known = output if output.tokens else scored
    return replace(known, score=(1 - weight) * output.score + weight * own, alternatives=())


def best_first(outputs: Sequence[Translation]) -> Translation:
    """One translation of several: finished ones first, then by falling score; the order of equals stays."""
    best, *others = sorted(outputs, key=lambda t: (not t.finished, -t.score))
    return replace(best, alternatives=tuple(others))


def features_of(t: Translation) -> tuple[str, ...]:
    """The features that a translation's source was read with: the tokens like ‹V› that it begins with."""
    features = []
    for token in t.source_tokens:
        if not is_feature(token):
            break
        features.append(token[1:-1])
    return tuple(features)
