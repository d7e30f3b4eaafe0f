"""One page out of blocks: headings, sentences, tables and figures as Markdown and as HTML that needs nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from jumok.explain.page import escaped, page, table


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
    return page(title, "\n".join([f"<h1>{escaped(title)}</h1>", *(_html(block) for block in blocks)]))


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
            return table([_inline(cell) for cell in head], [[_inline(cell) for cell in row] for row in rows])
        case Figure(_, svg, caption):
            return f"<figure>\n{svg}<figcaption>{_inline(caption)}</figcaption>\n</figure>"


def _inline(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escaped(text))
