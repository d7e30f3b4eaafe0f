"""Makes pages: what `jumok page` and `Translator.page` do, from model folders and examples to a file or a notebook's frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jumok.errors import DataError
from jumok.outputs import check_output
from jumok.page.build import build_page, frame
from jumok.page.examples import examples_of, given_examples, own_examples
from jumok.page.models import names, page_model, page_models
from jumok.places import put, tried
from jumok.runtime.folder import read_folder
from jumok.runtime.members import folders_of

Warn = Callable[[str], None]


@dataclass(frozen=True)
class LivingPage:
    """A page. In a notebook it shows itself in a frame; `save` writes it to a file that opens by double click.

    Attributes:
        html: the whole page.
    """

    html: str

    def __repr__(self) -> str:
        return f"<jumok page of {len(self.html.encode()) / 1e6:.1f} MB; .save('page.html') writes it>"

    def _repr_html_(self) -> str:
        return frame(self.html)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the page over a file that is there. OutputError if it cannot be written."""
        put(Path(path), self.html)


def living_page(folder: str | Path, examples: Sequence[Any] = ()) -> LivingPage:
    """The page of the model in this folder.

    Args:
        examples: sources, or tuples (source, gold) or (source, gold, features); the first is written when the page opens.

    Raises:
        ConfigError: the page's engine does not know this kind of model. FolderError: the folder cannot be read any more.
        DataError: an example is something else.
    """
    content = read_folder(folder)
    given = examples_of(examples, content.config.text.features_separator)
    return LivingPage(build_page([page_model(content, *names([folder]))], given or own_examples(content.config)))


def write_page(models: Sequence[str], examples: str, out: str, warn: Warn) -> Iterator[str]:
    """Writes the page of one to four models. Yields the lines to print.

    Args:
        models: their folders; an ensemble stands for its models, which are shown side by side.
        examples: a file, or "" for a few lines of the first model's dev pairs, if they are still where they were.
    """
    check_output(out, "--out")
    tried(out)
    folders = folders_of(models)
    held = page_models(folders)
    config = read_folder(folders[0]).config
    found = given_examples(examples, config, warn=warn) if examples else own_examples(config)
    if examples and not found:
        raise DataError(f"{examples}: no line could be used as an example; wanted a source a line")
    html = build_page(held, found)
    put(out, html)
    if found and not examples:
        name = config.training.get("dev") or config.training.get("pairs")
        yield f"examples: {len(found)} lines of {name} (--examples FILE for others)"
    if len(folders) > len(models):
        yield f"{len(folders)} models side by side: on a page, each model of an ensemble writes on its own"
    yield f"written to {out} ({len(html.encode()) / 1e6:.1f} MB); open it in a browser"
