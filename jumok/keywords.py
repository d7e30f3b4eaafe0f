"""Public functions whose options are all spelled out, though the work behind them takes only those that were given.

    @done_by(_train)
    def train(pairs="", *, attention="dot", …): "What help() shows."

The face has the signature, which `docs/make_signatures.py` keeps equal to the dataclasses of `jumok.config`, and the docstring; the
work has the code. So `help` and an editor know every option, and the work can tell an option that was given from one that was not.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from jumok.errors import ConfigError

Face = TypeVar("Face", bound=Callable[..., Any])


def done_by(work: Callable[..., Any]) -> Callable[[Face], Face]:
    """Makes a function that has the face's signature and calls the work. ConfigError for an option that the face has not."""

    def dressed(face: Face) -> Face:
        known = frozenset(inspect.signature(face).parameters)

        @functools.wraps(face)
        def call(*arguments: Any, **options: Any) -> Any:
            if not options.keys() <= known:
                raise _unknown(face.__name__, options.keys() - known, known)
            return work(*arguments, **options)

        work.__name__, work.__qualname__ = face.__name__, face.__qualname__  # for what Python says of missing arguments
        return call  # type: ignore[return-value]

    return dressed


def _unknown(function: str, names: set[str], known: frozenset[str]) -> ConfigError:
    import difflib

    name = min(names)
    near = difflib.get_close_matches(name, known, n=1)
    return ConfigError(f"{function}: there is no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
