"""Answers: translates the lines of a file or a stream as they come, and gives warnings at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict

from jumok.config import SearchConfig
from jumok.decode.remarks import LONGER, Remarks
from jumok.decode.translator import PAUSE, Incoming, Translator
from jumok.errors import DataError
from jumok.runtime.translation import Translation
from jumok.text.lines import arriving_lines, source_name
from jumok.text.sources import Source, SourceFile, read_sources

Warn = Callable[[str], None]


def answers(
    model: Translator,
    file: str | SourceFile,
    options: SearchConfig,
    *,
    flush: Callable[[], None],
    warn: Warn,
    note: Warn,
) -> Iterator[Translation]:
    """Yields a translation for every line of a file, in order, whatever is wrong with a line.

    As soon as no further line is waiting, those that have come are translated, so that a program that writes a line gets its
    answer. Lines that come fast are translated together.

    Args:
        file, warn, note: as for `read_sources`.
        flush: called before each wait for a line, when all earlier lines are answered.

    Raises:
        DataError: as from `read_sources`; or, at the end, if no line could be used.
    """
    remarks, n, usable = Remarks(model, advice=LONGER), 0, 0
    for text in model.notes(options):
        warn(text)
    asked: deque[Source] = deque()
    tabs = "\t" in model.codec.source.vocabulary

    def lines() -> Iterator[Incoming]:
        for source in read_sources(file, model.config.text, warn=warn, note=note, tabs=tabs):
            if source is None:
                yield PAUSE
                flush()
            else:
                asked.append(source)
                yield source.text, source.features, source.own

    for translation in model.translate_lines(lines(), **asdict(options)):
        source = asked.popleft()
        n, usable = n + 1, usable + (not source.problem)
        remarks.see(source.where, translation)
        yield translation
    remarks.tell(warn)
    if n and not usable:
        name = source_name(file if isinstance(file, str) else file.path)
        raise DataError(f"{name}: none of its {n:,} lines could be used; wanted text in UTF-8, a source a line")


def incoming(file: str = "-", *, warn: Warn = lambda _: None) -> Iterator[Incoming]:
    """The lines of a file or of standard input (-) for `Translator.translate_lines`, so that each is answered at once.

    Where the next line has not come yet, it says so, by PAUSE; lines that come fast are translated together. Each line is text as
    it stands; one that cannot be used (not UTF-8, far too long) is empty.

    Raises:
        DataError: the file is missing, a folder, damaged, or not text.
    """
    for line in arriving_lines(file, warn=warn):
        yield PAUSE if line is None else line.text or ""
