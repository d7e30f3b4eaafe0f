"""Remarks: warnings about many translations: unknown tokens and features, sources that are too long, outputs that were cut.

Each kind is counted, and gives one warning at the end, with the first line that has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jumok.config import BETWEEN
from jumok.decode.translator import Translator
from jumok.runtime.translation import Translation
from jumok.text.codec import is_feature
from jumok.text.forms import other_form

LONGER = "; --max-length sets another"
NAMED = 12  # tokens that a warning names; the others are counted


@dataclass
class _Seen:
    """The lines of one kind: how many, the first, and what is remarkable in them."""

    lines: int = 0
    first: str = ""
    what: Counter[str] = field(default_factory=Counter)

    def add(self, where: str, what: list[str]) -> None:
        self.lines += 1
        self.first = self.first or where
        self.what.update(what)


class Remarks:
    """Collects remarks about the translations of a model.

    Args:
        instead: says what is done with a source that is too long.
        advice: says what to do if an output was cut.
    """

    def __init__(self, model: Translator, instead: str = "an empty line is written", advice: str = "") -> None:
        self.known, self.longest, self.instead, self.advice = model.features, model.longest, instead, advice
        text, self.codec = model.config.text, model.codec
        self.separator = text.features_separator
        self.token = "characters" if text.source_tokenizer == "char" else "tokens"
        self.written = "characters" if text.target_tokenizer == "char" else "tokens"
        self.unknown, self.strange, self.targets, self.bare, self.long, self.cut = (_Seen() for _ in range(6))
        self.failed = _Seen()
        self.all = _Seen()  # with several sources
        self.empty = Counter[int]()  # how many of these have an empty first, second … source

    def see(self, where: str, t: Translation) -> None:
        """Adds a translation, of the line at "file:line"."""
        if not t.source_tokens:
            return
        self.see_tokens(where, t.source, [t.source_tokens[i] for i in t.unknown], (), any(map(is_feature, t.source_tokens)))
        if t.problem:
            self.failed.add(where, [t.problem])
        elif not t.tokens:
            self.long.add(where, [f"{len(t.source_tokens) - 1:,}"])
        elif not t.finished:
            self.cut.add(where, [])

    def see_tokens(self, where: str, text: str, source: Sequence[str], target: Sequence[str], has_features: bool) -> None:
        """Adds a line: its source, and the tokens of this and of its given target that the model does not know."""
        if self.codec.config.several:
            self.all.add(where, [])
            self.empty.update(k for k, part in enumerate(text.split(BETWEEN), 1) if not part.strip())
        if letters := [token for token in source if not is_feature(token)]:
            self.unknown.add(where, letters)
        if strange := [token[1:-1] for token in source if is_feature(token)]:
            self.strange.add(where, strange)
        if self.known and not has_features:
            self.bare.add(where, [])
        if target:
            self.targets.add(where, list(target))

    def counts(self) -> dict[str, int]:
        """The number of lines of each kind, for JSON."""
        return {
            "sources with unknown tokens": self.unknown.lines,
            "sources with unknown features": self.strange.lines,
            "too long": self.long.lines,
            "without an output that keeps to the rules": self.failed.lines,
        }

    def tell(self, warn: Callable[[str], None]) -> None:
        """Gives a warning for each kind."""
        sides = (
            (self.unknown, f"has {self.token}", self.codec.source),
            (self.targets, f"has {self.written} in the target", self.codec.target),
        )
        for seen, what, side in sides:
            if seen.lines:
                form = other_form(seen.what, side.vocabulary.tokens(range(len(side))))
                instead = f"; write them in {form}, as in its training pairs" if form else ""
                warn(f"{seen.first}: {_lines(seen, what)} the model does not know: {named(seen.what)} (read as <unk>{instead})")
        if self.strange.lines:
            first, *more = self.known[:NAMED] or ("",)
            known = f"it knows {', '.join((first, *more))}{' …' * (len(self.known) > NAMED)}" if first else "it has none"
            between = f"; {self.separator!r} stands between two" if first else ""
            what = _lines(self.strange, "has features")
            warn(f"{self.strange.first}: {what} the model does not know: {named(self.strange.what)} ({known}{between})")
        for k in sorted(k for k, lines in self.empty.items() if lines == self.all.lines):
            all_ = ", all that were read" * (self.all.lines > 1)
            warn(f"{self.all.first}: {_lines(self.all, f'has an empty source {k}')}{all_}; is it the right column?")
        if self.bare.lines:
            warn(f"{self.bare.first}: {_lines(self.bare, 'has no features')}; the model was trained with them")
        if self.long.lines:
            others = self.long.lines - 1
            also = f" (and {others:,} more line{'s' * (others > 1)})" if others else ""
            n = next(iter(self.long.what))
            warn(f"{self.long.first}: {n} tokens, at most {self.longest - 1:,}; {self.instead}{also}")
        if self.failed.lines:
            others = self.failed.lines - 1
            also = f" (and {others:,} more line{'s' * (others > 1)})" if others else ""
            warn(f"{self.failed.first}: {next(iter(self.failed.what))}{also}")
        if self.cut.lines:
            n = f"{self.cut.lines:,} outputs were" if self.cut.lines > 1 else "the output was"
            warn(f"{self.cut.first}: {n} cut at the length limit{self.advice}")


def whose_weights(model: Translator) -> str:
    """Which models of an ensemble have no part in its weights, in a line; "" if all have."""
    parts: tuple[bool, ...] = getattr(model.backend, "looked_at", ())
    if all(parts) or not any(parts):
        return ""
    seen, left_out = (
        " and ".join(str(f) for f, p in zip(model.folders, parts, strict=True) if p == part) for part in (True, False)
    )
    kind = "posteriors of an alignment" if getattr(model.backend, "weights", "") == "posterior" else "attention"
    return f"{model.name}: the weights are {kind}, of {seen} alone; {left_out} has none of this kind"


def _lines(seen: _Seen, what: str) -> str:
    return f"the line {what}" if seen.lines == 1 else f"{seen.lines:,} lines {what.replace('has', 'have', 1)}"


def named(tokens: Counter[str]) -> str:
    """The most frequent of these tokens, as they can be seen, and how many more there are."""
    most = [_visible(token) for token, _ in tokens.most_common(NAMED)]
    return " ".join(most) + (f" and {len(tokens) - NAMED:,} more" if len(tokens) > NAMED else "")


def _visible(token: str) -> str:
    shown = "".join(c if c.isprintable() and c != " " else f"U+{ord(c):04X}" for c in token)
    return shown if len(shown) <= 40 else shown[:39] + "…"
