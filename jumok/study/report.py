"""One page out of blocks: headings, sentences, tables and figures as Markdown and as HTML that needs nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #10242c; --muted: #5b6f77; --line: #d5dfe2; --back: #f6f9fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eef0; --muted: #9db0b7; --line: #33464e; --back: #0d171b; } }
body { margin: 0 auto; max-width: 52rem; padding: 2rem 1.25rem; font: 16px/1.55 system-ui, sans-serif; color: var(--ink);
  background: var(--back); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; } figcaption, th { color: var(--muted); }
figure { margin: 1.5rem 0; overflow-x: auto; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; } th, td { padding: .3rem 1.1rem .3rem 0; border-bottom: 1px solid var(--line); }
code { font-family: ui-monospace, monospace; font-size: .92em; }
"""


@dataclass(frozen=True)
class Heading:
    """A heading below the page's title."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph; `code` stands between backticks."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Cells as text, the first row apart."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Figure:
    """A picture: the name of its file in the study's folder, its SVG, and a sentence below it."""

    name: str
    svg: str
    caption: str


Block = Heading | Text | Points | Table | Figure


@dataclass(frozen=True)
class Report:
    """What a study found.

    Attributes:
        findings: sentences that follow from the numbers, the most important first; the contrary ones too.
        blocks: the page below the findings.
        table: the numbers behind it, for study.json.
    """

    findings: list[str]
    blocks: list[Block]
    table: dict[str, object] = field(default_factory=dict)

    @property
    def figures(self) -> list[Figure]:
        """Its pictures in order."""
        return [block for block in self.blocks if isinstance(block, Figure)]


def markdown(title: str, blocks: Sequence[Block]) -> str:
    """The page as Markdown; figures are links to their files, which lie beside it."""
    return "\n\n".join([f"# {title}", *(_markdown(block) for block in blocks)]) + "\n"


def html(title: str, blocks: Sequence[Block]) -> str:
    """The page as one HTML file, its figures inside."""
    body = "\n".join(_html(block) for block in blocks)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{body}
</body>
</html>
"""


def _markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {text}"
        case Text(text):
            return text
        case Points(texts):
            return "\n".join(f"- {text}" for text in texts)
        case Table(head, rows):
            lines = [head, ["---"] * len(head), *rows]
            return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)
        case Figure(name, _, caption):
            return f"![{caption}]({name})\n\n*{caption}*"


def _html(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{_inline(text)}</h2>"
        case Text(text):
            return f"<p>{_inline(text)}</p>"
        case Points(texts):
            return "<ul>\n" + "\n".join(f"<li>{_inline(text)}</li>" for text in texts) + "\n</ul>"
        case Table(head, rows):
            top = "".join(f"<th>{_inline(cell)}</th>" for cell in head)
            body = "\n".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in rows)
            return f'<div class="wide"><table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
        case Figure(_, svg, caption):
            return f"<figure>\n{svg}<figcaption>{_inline(caption)}</figcaption>\n</figure>"


def _inline(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
