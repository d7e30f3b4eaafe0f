"""What `--alignment auto` means for a run, and whether it copies where nobody said: one rule, from a few facts, with its reason in words."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jumok.alignments import clash
from jumok.config import AlignmentName, ModelConfig
from jumok.learn.order import Order, order_of
from jumok.text import Codec, Rows
from jumok.text.codec import are_features

LEAST_ORDER = (
    0.5  # of `Order.kept`; pronunciation and inflection had 0.5 to 1.0, letters of whole sentences 0.2, see docs/monotonic.md
)
LEAST_TOLD = 0.2  # of `Order.told`
LEAST_PAIRS = 20  # fewer show no order
MOST_PAIRS = (
    5_000  # up to 3,600 it was better on dev, see docs/monotonic.md; with many, soft attention learns the order by itself
)
COPY = "--copy needs it"
LEAST_COPIED = 0.5  # of `Order.copied`; inflection of four languages had 0.6 to 0.9, see docs/monotonic.md
MOST_TOKENS = 60  # a side, on average: the cost of a step grows with source times target tokens


@dataclass(frozen=True)
class Facts:
    """What the rule looks at.

    Attributes:
        letters: both vocabularies are of letters, phones or syllables.
        pairs: that are trained on.
        tokens: a source and a target on average, `</s>` counted.
        model: the other options of the network.
        sources: of a pair.
    """

    letters: bool
    pairs: int
    tokens: tuple[float, float]
    model: ModelConfig
    sources: int = 1


@dataclass(frozen=True)
class Choice:
    """What the rule says.

    Attributes:
        reason: in words; "" if there was no choice to speak of.
    """

    alignment: AlignmentName
    copy: bool
    reason: str

    def of(self, model: ModelConfig) -> ModelConfig:
        """The options of a network, chosen."""
        return dataclasses.replace(model, alignment=self.alignment, copy=self.copy)


def automatic(facts: Facts, order: Callable[[], Order]) -> Choice:
    """The choice for these facts. `order` is only asked if all else fits."""
    m, order = facts.model, functools.cache(order)
    if m.copy:
        return Choice("monotonic", True, COPY if m.alignment == "auto" else "")
    if m.alignment == "monotonic":
        alignment: AlignmentName = "monotonic"
        reasons = []
    else:
        alignment, reason = _alignment(facts, order)
        reasons = [reason] if reason else []
    copy = m.copy is None and alignment == "monotonic" and _copies(order())
    if copy:
        reasons.append(f"{100 * order().copied:.0f} % of what is written stands in the source")
    return Choice(alignment, copy, ", ".join(reasons))


def _alignment(facts: Facts, order: Callable[[], Order]) -> tuple[AlignmentName, str]:
    """The alignment for `auto`, and why."""
    m = facts.model
    if m.alignment == "soft" or m.attention == "none":
        return "soft", ""
    if facts.sources > 1:
        return "soft", f"there are {facts.sources} sources, and a monotonic alignment goes forward through one"
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


def _copies(order: Order) -> bool:
    return order.kept >= LEAST_ORDER and order.copied >= LEAST_COPIED


def in_a_line(chosen: Choice, asked: ModelConfig) -> str:
    """For the person who trains: what was chosen and why, and how to undo it."""
    if asked.alignment != "auto":
        return f"copying: {chosen.reason}; --no-copy turns this off"
    undo = ""
    if chosen.alignment == "monotonic" and not asked.copy:
        undo = "; --alignment soft turns this off" + ", --no-copy the copying" * chosen.copy
    return f"alignment: {chosen.alignment}{', copying' * chosen.copy}: {chosen.reason}{undo}"


def mean_tokens(sources: Rows, targets: Rows) -> tuple[float, float]:
    """Tokens of a source and of a target on average."""
    return float(np.mean(sources.lengths)), float(np.mean(targets.lengths))


def measured(sources: Rows, targets: Rows, codec: Codec, seed: int) -> Order:
    """The order of the training pairs."""
    vocabulary = codec.source.vocabulary
    features = are_features(vocabulary)
    return order_of(sources, targets, features, seed, codec.copies())
