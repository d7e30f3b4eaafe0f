"""The tree of errors: everything a user can cause derives from `JumokError`.

A message says where (file, line, option), what came, what was wanted, and what to do. The command line prints it as one
line and ends with `exit_code`; a traceback is always a mistake of ours.
"""

from __future__ import annotations

import importlib.util
from typing import Any


class JumokError(Exception):
    """Base of all errors that a user can cause and mend."""

    exit_code = 2
    reported = False  # whether another process of the same run has printed it

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: keeps an error as it is, whatever arguments its class takes."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[JumokError], arguments: tuple[Any, ...], more: dict[str, Any]) -> JumokError:
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(more)
    return error


class ConfigError(JumokError):
    """An option with a wrong name or value, or a combination that is not possible."""


class DataError(JumokError):
    """A file of pairs or text that cannot be used; the message names file and line."""


class FolderError(JumokError):
    """A model folder that is missing, damaged or too new, or a folder that is none."""


class TrainingError(JumokError):
    """Training that cannot go on: the loss is not finite, a checkpoint does not fit, the disk is full."""


class OutputError(JumokError):
    """A file or a standard stream that cannot be written."""


class MissingExtra(JumokError):
    """A part of Jumok needs a package that is not installed; the message has the line that installs it."""

    def __init__(self, purpose: str, extra: str, package: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}, which is not installed: pip install 'jumok[{extra}]'")


def need(purpose: str, extra: str, *packages: str) -> None:
    """Raises MissingExtra for the first of these packages that is not installed; imports none of them."""
    for package in packages:
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            raise MissingExtra(purpose, extra, package)
