"""A translation as HTML: a page with the SVG and tables of the attention, or the fragment that a notebook shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jumok.explain.alignment import weights_of
from jumok.explain.confidence import in_words as confidence_in_words
from jumok.explain.confidence import percents
from jumok.explain.labels import label
from jumok.explain.page import escaped, page, table
from jumok.explain.spread import coverage, entropy_bits, in_words, margin
from jumok.explain.svg import to_svg
from jumok.runtime.translation import Translation

TOP = 3


def to_html(translation: Translation, whole_page: bool = True) -> str:
    """HTML, complete in itself.

    A whole page raises JumokError if there are no weights. The fragment (whole_page=False, for notebooks) then shows only the
    text: showing a translation is not a mistake.
    """
    if not whole_page:
        line = _line(translation)
        if translation.weights is None:
            return f"<div><p>{line}</p><p><small>no attention weights to draw</small></p></div>"
        return f"<div><p>{line}</p>{to_svg(translation)}</div>"
    weights = weights_of(translation)
    sure = percents(translation)
    steps = ("step", "output", *["probability"] * bool(sure), "source tokens, highest weight first", "entropy (bits)", "margin")
    sources = ("position", "source", "coverage (sum of its weights)", "largest weight")
    return page(
        f"{translation.source} → {translation.text} · attention",
        f"""<h1>{_line(translation)}</h1>
<p><small>log probability {translation.log_probability:.3f} · score {translation.score:.3f}{_confidence(translation)}{_ending(translation)}</small></p>
<p><small>{escaped(in_words(translation))}</small></p>
<figure>
{to_svg(translation)}</figure>
<h2>What each token looked at</h2>
{table(steps, _looked(translation, weights))}
<h2>How much each source token was looked at</h2>
{table(sources, _covered(translation, weights))}
""",
    )


def _line(translation: Translation) -> str:
    return (
        f'<bdi dir="auto">{escaped(translation.source)}</bdi> <span class="to">→</span> '
        f'<bdi dir="auto"><strong>{escaped(translation.text)}</strong></bdi>'
    )


def _confidence(translation: Translation) -> str:
    words = confidence_in_words(translation)
    return f" · {escaped(words)}" if words else ""


def _ending(translation: Translation) -> str:
    return "" if translation.finished else " · cut at the length limit"


def token_html(token: str) -> str:
    return f'<bdi class="token">{escaped(label(token))}</bdi>'


def looked_at(translation: Translation, t: int) -> str:
    """The source tokens with the largest weights at step t, with percentages."""
    weights = weights_of(translation)[t]
    best = np.argsort(-weights, kind="stable")[:TOP]
    return ", ".join(f"{token_html(translation.source_tokens[s])} {100 * weights[s]:.0f} %" for s in best)


def _looked(translation: Translation, weights: np.ndarray) -> Iterator[tuple[str, ...]]:
    sure = percents(translation)
    for t, (token, bits, share) in enumerate(zip(translation.tokens, entropy_bits(weights), margin(weights), strict=True)):
        p = [] if sure is None else [sure[t].replace("%", " %")]
        yield f"{t + 1}", token_html(token), *p, looked_at(translation, t), f"{bits:.2f}", f"{100 * share:.0f} %"


def _covered(translation: Translation, weights: np.ndarray) -> Iterator[tuple[str, ...]]:
    for s, (token, share) in enumerate(zip(translation.source_tokens, coverage(weights), strict=True)):
        yield f"{s + 1}", token_html(token), f"{share:.2f}", f"{100 * weights[:, s].max(initial=0):.0f} %"
