"""Gold in the form of outputs: through the target tokenizer and back, so that both sides are compared in the same form."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jumok.measure.metrics import MeasureOptions, merge_references
from jumok.text.pairs import Pair

SHOWN = 40  # characters of a target in a warning
SOME = 10  # so many targets with a blank before their last period are no accident
_FORM = MeasureOptions(form="NFC")


@dataclass(frozen=True)
class GoldText:
    """What outputs are compared with.

    Attributes:
        sources: N distinct sources, each with its features, in the order of their first line.
        references: N lists, all targets of each, as the model would write them, without repeats.
        rewritten: number of targets that differ from the file.
    """

    sources: list[tuple[str, tuple[str, ...]]]
    references: list[list[str]]
    rewritten: int


def gold_text(pairs: Sequence[Pair], written: Callable[[Sequence[str]], list[str]], warn: Callable[[str], None]) -> GoldText:
    """The gold of each distinct source of pairs; one warning counts the targets that changed.

    Args:
        written: texts as the model would write them (`Codec.written`).
    """
    targets = [_FORM.comparable(text) for text in written([p.target for p in pairs])]
    changed = [(pair, target) for pair, target in zip(pairs, targets, strict=True) if pair.target != target]
    if changed:
        first, target = changed[0]
        file = first.where.rpartition(":")[0] or "gold"
        kinds = Counter(_kind(pair.target, new) for pair, new in changed)
        what = ", ".join(f"{kind} in {n:,}" for kind, n in kinds.most_common())
        where = f"{first.where}: " if first.where else ""
        warn(
            f"{file}: {len(changed):,} of {len(pairs):,} targets are compared in the form of outputs, which differs from theirs "
            f"({what}); the first, {where}{_shown(first.target, target)}"
        )
    sources, references = merge_references(pairs, targets)
    return GoldText(sources, references, len(changed))


def check_uncut(references: Sequence[Sequence[str]], options: MeasureOptions, warn: Callable[[str], None]) -> None:
    """A warning where the references seem to be cut into tokens already, and BLEU would cut them once more."""
    ends = [text for alternatives in references for text in alternatives if text.endswith(".")]
    cut = sum(text.endswith(" .") for text in ends)
    if cut >= SOME and 2 * cut > len(ends) and options.tokenize not in ("none", "char"):
        warn(
            f"{cut:,} targets end in ' .', so they seem to be cut into tokens already; BLEU cuts them again (tokenize is "
            f"{options.tokenize}), and --tokenize none takes them as they are"
        )


def _kind(old: str, new: str) -> str:
    if old.split() == new.split():
        return "blanks"
    alike = (unicodedata.normalize("NFKC", text) for text in (old, new))
    return "Unicode form" if len(set(alike)) == 1 else "blanks and Unicode form"


def _shown(old: str, new: str) -> str:
    same = unicodedata.normalize("NFC", old) == unicodedata.normalize("NFC", new)  # then they differ only in code points
    a, b = (ascii(text[:SHOWN]) if same else repr(text[:SHOWN]) for text in (old, new))
    return f"{a} as {b}"
