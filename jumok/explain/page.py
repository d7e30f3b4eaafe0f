"""The skeleton of every HTML page: head, style for light, dark and print, tables; the page can load nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

from jumok.explain.color import DARK, LIGHT, PANEL, Surface
from jumok.explain.labels import label

# The browser enforces this: nothing is loaded, nothing runs, nothing is sent. The style is in the page itself.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def _variables(surface: Surface) -> str:
    return f"--ink: {surface.ink}; --muted: {surface.muted}; --line: {surface.line}; --back: {surface.back};"


STYLE = f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
body {{ margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem; font: 16px/1.55 system-ui, sans-serif; color: var(--ink);
  background: var(--back); overflow-wrap: break-word; }}
h1 {{ font-size: 1.5rem; line-height: 1.3; }} h2 {{ font-size: 1.15rem; margin-top: 2.2rem; }} p, ul {{ max-width: 46rem; }}
small, figcaption, th, .to {{ color: var(--muted); }}
figure {{ margin: 1.5rem 0; }} figcaption {{ max-width: 46rem; }}
figure, .wide {{ overflow-x: auto; }} figure svg {{ max-width: none !important; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th {{ text-align: left; font-weight: 500; }}
th, td {{ padding: .3rem 1.15rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }}
code, .token {{ font-family: ui-monospace, monospace; }} code {{ font-size: .92em; }} bdi {{ unicode-bidi: isolate; }}
@media print {{ :root {{ color-scheme: light; --back: {PANEL}; }} body {{ max-width: none; padding: 0; font-size: 11pt; }}
  figure, .wide {{ overflow: visible; }} figure svg {{ max-width: 100% !important; }} figure, tr {{ break-inside: avoid; }}
  h1, h2 {{ break-after: avoid; }} }}
"""


def page(title: str, body: str, policy: str = POLICY, style: str = STYLE) -> str:
    """A whole HTML page, also well-formed XML if `body` is; `title` is text and escaped here, `body` is HTML.

    Args:
        policy: the Content-Security-Policy. style: CSS. Only the living page has its own.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="{policy}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{escaped(title)}</title>
<style>{style}</style>
</head>
<body>
{body.rstrip()}
</body>
</html>
"""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls if it is too wide; every cell is HTML."""
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table></div>'


def escaped(text: str) -> str:
    """Text escaped for HTML; control characters and lone surrogates, which HTML forbids, become visible."""
    forbidden = ("Cc", "Cs", "Cn")
    return escape("".join(label(c) if unicodedata.category(c) in forbidden and c not in "\t\n" else c for c in text))
