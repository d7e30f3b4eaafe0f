"""The living page: `jumok page`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from jumok.cli._options import Options, Positional
from jumok.cli._printing import warn
from jumok.places import FilePath, LinesPath, ModelPaths


@dataclass(frozen=True)
class Page(Options):
    """Write one HTML file that holds trained models and runs them: type, and it writes; point, and it shows where it looked.

    jumok page model --out page.html
    """

    READ_ON = "docs/page.md"

    models: Positional[ModelPaths]
    """Model folders, one to four; of an ensemble, its models. The first is shown; the others can be chosen, and compared with it."""
    examples: LinesPath = ""
    """File with examples for the page, as for translate: a source a line, or pairs. Default: a few lines of the dev pairs."""
    out: FilePath = "page.html"
    """File to write. It opens by double click, and needs no network."""


def page(o: Page, given: Collection[str]) -> int:
    from jumok.page.making import write_page

    for line in write_page(o.models, o.examples, o.out, warn):
        print(line)
    return 0
