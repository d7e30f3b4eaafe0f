"""The tree of errors: everything a user can cause derives from `JumokError`.

A message says where (file, line, option), what came, what was wanted, and what to do. The command line prints it as one
line and ends with `exit_code`; a traceback is only ever our own mistake.
"""

from __future__ import annotations

import importlib.util
from typing import Any


class JumokError(Exception):
    """Base of all errors that a user can cause and mend."""

    exit_code = 2
    told = False  # already, by another process of the same run

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process: as it is, whatever a kind of error is made from."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[JumokError], arguments: tuple[Any, ...], more: dict[str, Any]) -> JumokError:
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(more)
    return error


class ConfigError(JumokError):
    """An option that cannot be: a wrong name, value, or combination."""


class DataError(JumokError):
    """A file of pairs or text that cannot be used as it is; the message names file and line."""


class FolderError(JumokError):
    """A model folder that is missing, damaged, too new, or not one at all."""


class TrainingError(JumokError):
    """Training that cannot go on: a loss that is not finite, a checkpoint that does not fit, a disk that is full."""


class OutputError(JumokError):
    """A file or a standard stream that cannot be written."""


class MissingExtra(JumokError):
    """A part of Jumok whose packages are not installed; the message is the line that installs them."""

    def __init__(self, purpose: str, extra: str, package: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}, which is not installed: pip install 'jumok[{extra}]'")


def need(purpose: str, extra: str, *packages: str) -> None:
    """Raises MissingExtra for the first of these packages that is not installed; imports none of them."""
    for package in packages:
        try:
            found = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            found = None
        if found is None:
            raise MissingExtra(purpose, extra, package)
