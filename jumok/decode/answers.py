"""Answers: the lines of a file or of a stream translated as they come, and what was remarkable in them told at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict

from jumok.config import SearchConfig
from jumok.decode.remarks import LONGER, Remarks
from jumok.decode.translator import PAUSE, Incoming, Translator
from jumok.errors import DataError
from jumok.runtime.translation import Translation
from jumok.text.lines import source_name
from jumok.text.sources import Source, read_sources

Warn = Callable[[str], None]


def answers(
    model: Translator, file: str, options: SearchConfig, *, flush: Callable[[], None], warn: Warn, note: Warn
) -> Iterator[Translation]:
    """A translation for every line of a file, in order, whatever is wrong with it.

    Lines that have come are translated when no more is waiting, so that a program that writes a line can wait for its answer;
    under load they are translated together.

    Args:
        file: as for `read_sources`; so are warn and note.
        flush: called each time before the next line has to be waited for, when all before it are answered.

    Raises:
        DataError: as from `read_sources`; or, when all is answered, none of the lines could be used.
    """
    remarks, n, usable = Remarks(model, advice=LONGER), 0, 0
    asked: deque[Source] = deque()
    tabs = "\t" in model.codec.source.vocabulary

    def lines() -> Iterator[Incoming]:
        for source in read_sources(file, model.config.text, warn=warn, note=note, tabs=tabs):
            if source is None:
                yield PAUSE
                flush()
            else:
                asked.append(source)
                yield source.text, source.features

    for translation in model.translate_lines(lines(), **asdict(options)):
        source = asked.popleft()
        n, usable = n + 1, usable + (not source.problem)
        remarks.see(source.where, translation)
        yield translation
    remarks.tell(warn)
    if n and not usable:
        raise DataError(f"{source_name(file)}: none of its {n:,} lines could be used; wanted text in UTF-8, a source a line")
