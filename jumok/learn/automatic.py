"""What `--alignment auto` means for a run: one rule, from a few facts, with its reason in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jumok.alignments import clash
from jumok.config import AlignmentName, ModelConfig
from jumok.learn.order import Order, order_of
from jumok.text import Codec, Rows
from jumok.text.codec import is_feature

LEAST_ORDER = (
    0.5  # of `Order.kept`; pronunciation and inflection had 0.5 to 1.0, letters of whole sentences 0.2, see docs/monotonic.md
)
LEAST_TOLD = 0.2  # of `Order.told`
LEAST_PAIRS = 20  # fewer show no order
MOST_PAIRS = (
    5_000  # up to 3,600 it was better on dev, see docs/monotonic.md; with many, soft attention learns the order by itself
)
COPY = "--copy needs it"
MOST_TOKENS = 60  # a side, on average: the cost of a step grows with source times target tokens


@dataclass(frozen=True)
class Facts:
    """What the rule looks at.

    Attributes:
        letters: both vocabularies are of letters, phones or syllables.
        pairs: that are trained on.
        tokens: a source and a target on average, `</s>` counted.
        model: the other options of the network.
    """

    letters: bool
    pairs: int
    tokens: tuple[float, float]
    model: ModelConfig


def automatic(facts: Facts, order: Callable[[], Order]) -> tuple[AlignmentName, str]:
    """The alignment, and the reason in words ("" if there is no choice to speak of). `order` is only asked if all else fits."""
    m = facts.model
    if m.copy:
        return "monotonic", COPY
    if m.attention == "none":
        return "soft", ""
    if other := clash(m.attention, m.window, m.input_feeding):
        return "soft", f"monotonic does not combine with {other}"
    if not facts.letters:
        return "soft", "the tokens are words or subwords, not letters"
    if not LEAST_PAIRS <= facts.pairs <= MOST_PAIRS:
        few = facts.pairs < LEAST_PAIRS
        return "soft", f"{facts.pairs:,} pairs are {'too few to show an order' if few else 'enough to learn the order'}"
    if max(facts.tokens) > MOST_TOKENS:
        return "soft", f"{max(facts.tokens):.0f} tokens a side on average are long"
    found = order()
    if found.told < LEAST_TOLD or found.kept < LEAST_ORDER:
        return "soft", f"the targets do not follow the order of the sources ({_percent(found)} in order)"
    return "monotonic", f"{facts.pairs:,} pairs of letters, {_percent(found)} in order"


def _percent(order: Order) -> str:
    return f"{100 * max(0.0, order.kept):.0f} %"


def in_a_line(chosen: AlignmentName, reason: str) -> str:
    """For the person who trains: what was chosen and why, and how to undo it."""
    return f"alignment: {chosen}: {reason}" + "; --alignment soft turns this off" * (chosen == "monotonic" and reason != COPY)


def mean_tokens(sources: Rows, targets: Rows) -> tuple[float, float]:
    """Tokens of a source and of a target on average."""
    return float(np.mean(sources.lengths)), float(np.mean(targets.lengths))


def measured(sources: Rows, targets: Rows, codec: Codec, seed: int) -> Order:
    """The order of the training pairs."""
    vocabulary = codec.source.vocabulary
    features = np.array([is_feature(token) for token in vocabulary.tokens(range(len(vocabulary)))])
    return order_of(sources, targets, features, seed)
