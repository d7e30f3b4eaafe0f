"""A translation as HTML: a page, or the fragment a notebook shows; the SVG and tables of what looked at what."""

from __future__ import annotations

import unicodedata
from html import escape

import numpy as np

from jumok.explain.alignment import weights_of
from jumok.explain.labels import label
from jumok.explain.spread import coverage, entropy_bits, in_words, margin
from jumok.explain.svg import to_svg
from jumok.runtime.translation import Translation

TOP = 3

STYLE = """
:root { color-scheme: light dark; --ink: #10242c; --muted: #5b6f77; --line: #d5dfe2; --back: #f6f9fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eef0; --muted: #9db0b7; --line: #33464e; --back: #0d171b; } }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--back); }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } small, th, .to { color: var(--muted); }
figure { margin: 1.5rem 0; overflow-x: auto; } figure svg { max-width: none !important; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 500; }
th, td { padding: .3rem 1.25rem .3rem 0; border-bottom: 1px solid var(--line); }
td { font-variant-numeric: tabular-nums; } bdi { unicode-bidi: isolate; } .token { font-family: ui-monospace, monospace; }
"""


def to_html(translation: Translation, whole_page: bool = True) -> str:
    """HTML that needs nothing from elsewhere.

    A whole page raises JumokError where there are no weights. The fragment (whole_page=False, for notebooks) then shows the
    text alone: showing a translation is no mistake.
    """
    if not whole_page:
        line = _line(translation)
        if translation.weights is None:
            return f"<div><p>{line}</p><p><small>no attention weights to draw</small></p></div>"
        return f"<div><p>{line}</p>{to_svg(translation)}</div>"
    weights = weights_of(translation)
    return page(
        f"{translation.source} → {translation.text}",
        f"""<h1>{_line(translation)}</h1>
<p><small>log probability {translation.log_probability:.3f} · score {translation.score:.3f}{_ending(translation)}</small></p>
<p><small>{escaped(in_words(translation))}</small></p>
<figure>
{to_svg(translation)}</figure>
<h2>What each token looked at</h2>
<table>
<thead><tr><th>step</th><th>output</th><th>source tokens, highest weight first</th><th>entropy (bits)</th><th>margin</th></tr></thead>
<tbody>
{_rows(translation, weights)}
</tbody>
</table>
<h2>How much each source token was looked at</h2>
<table>
<thead><tr><th>position</th><th>source</th><th>coverage (sum of its weights)</th><th>largest weight</th></tr></thead>
<tbody>
{_covered(translation, weights)}
</tbody>
</table>
""",
    )


def page(title: str, body: str) -> str:
    """A whole page; `title` is escaped here."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(title)} · attention</title>
<style>{STYLE}</style>
</head>
<body>
{body}</body>
</html>
"""


def escaped(text: str) -> str:
    """Escaped; control characters and lone surrogates, which HTML forbids, become visible."""
    forbidden = ("Cc", "Cs", "Cn")
    return escape("".join(label(c) if unicodedata.category(c) in forbidden and c not in "\t\n" else c for c in text))


def _line(translation: Translation) -> str:
    return (
        f'<bdi dir="auto">{escaped(translation.source)}</bdi> <span class="to">→</span> '
        f'<bdi dir="auto"><strong>{escaped(translation.text)}</strong></bdi>'
    )


def _ending(translation: Translation) -> str:
    return "" if translation.finished else " · cut at the length limit"


def token_html(token: str) -> str:
    return f'<bdi class="token">{escaped(label(token))}</bdi>'


def looked_at(translation: Translation, t: int) -> str:
    """The source tokens that step t weighed most, with percents."""
    weights = weights_of(translation)[t]
    best = np.argsort(-weights, kind="stable")[:TOP]
    return ", ".join(f"{token_html(translation.source_tokens[s])} {100 * weights[s]:.0f} %" for s in best)


def _rows(translation: Translation, weights: np.ndarray) -> str:
    return "\n".join(
        f"<tr><td>{t + 1}</td><td>{token_html(token)}</td><td>{looked_at(translation, t)}</td><td>{bits:.2f}</td>"
        f"<td>{100 * share:.0f} %</td></tr>"
        for t, (token, bits, share) in enumerate(zip(translation.tokens, entropy_bits(weights), margin(weights), strict=True))
    )


def _covered(translation: Translation, weights: np.ndarray) -> str:
    return "\n".join(
        f"<tr><td>{s + 1}</td><td>{token_html(token)}</td><td>{share:.2f}</td><td>{100 * weights[:, s].max(initial=0):.0f} %</td></tr>"
        for s, (token, share) in enumerate(zip(translation.source_tokens, coverage(weights), strict=True))
    )
