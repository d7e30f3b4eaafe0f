"""Finds and loads the engine's library for this machine, and chooses the level of instructions that its CPU can run.

Whatever is missing or does not fit is one reason in words; NumPy then does the work.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jumok.engine.platforms import LIBRARIES, file_name, here, mark
from jumok.errors import ConfigError, JumokError

LEVEL = "JUMOK_ENGINE_LEVEL"  # the environment variable that asks for a level, to compare two or to look for a fault
# (machine, level) -> its instructions
INSTRUCTIONS = {
    ("x86_64", 1): "SSE2",
    ("x86_64", 3): "AVX2",
    ("x86_64", 4): "AVX-512",
    ("arm64", 1): "NEON",
}


class EngineError(JumokError):
    """The compiled engine was asked for and cannot be used; the message says why, and what to do."""


@dataclass(frozen=True)
class Library:
    """A loaded library, with the level of its functions that is used."""

    path: Path
    level: int
    handle: ctypes.CDLL

    def function(self, name: str) -> Any:
        """The C function engine_`name` of this level."""
        return getattr(self.handle, f"engine_{name}_{self.level}")

    @property
    def instructions(self) -> str:
        """What the level stands for: SSE2, AVX2, AVX-512, NEON, or plain C."""
        return INSTRUCTIONS.get((self.path.stem.split("-")[-1], self.level), "plain C")


def load_library(level: int | None = None, folder: Path = LIBRARIES) -> Library:
    """The library for this machine; read once for a process.

    Args:
        level: the level of instructions to use; None = what JUMOK_ENGINE_LEVEL says, else the highest that this CPU has.
        folder: where libraries are.

    Raises:
        EngineError: there is none, it is damaged or of other source, or this CPU is older than its lowest level.
        ConfigError: the level is none that is here, or too high for this CPU.
    """
    name = here()
    if name is None:
        raise EngineError("the compiled engine is made for 64-bit machines, and this Python is not one of them")
    path = folder / file_name(name)
    handle, best, levels = _opened(path, name)
    wanted = level if level is not None else _asked()
    if wanted is None:
        if best == 0:
            raise EngineError(f"{path.name}: this CPU is older than the oldest that the compiled engine is built for")
        return Library(path, best, handle)
    if wanted not in levels or wanted > best:
        there = ", ".join(str(n) for n in levels if n <= best) or "none"
        raise ConfigError(f"engine level: {wanted} came; levels of {path.name} that this CPU runs: {there}")
    return Library(path, wanted, handle)


def _asked() -> int | None:
    text = os.environ.get(LEVEL, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"{LEVEL}: {text!r} came; the number of a level was wanted, as 1, 3 or 4")
    return int(text)


_read: dict[tuple[Path, int, int], tuple[ctypes.CDLL, int, tuple[int, ...]]] = {}  # libraries of this process


def _opened(path: Path, name: str) -> tuple[ctypes.CDLL, int, tuple[int, ...]]:
    """The library, the highest level that this CPU runs (0: none), and the levels that it has."""
    try:
        stat = path.stat()
    except OSError:
        raise EngineError(f"there is no compiled engine for {name}; with a C compiler: python -m jumok.engine.build") from None
    key = (path, stat.st_mtime_ns, stat.st_size)
    if key not in _read:
        try:
            if not _is_whole(path):
                raise OSError("it is cut short")
            handle = ctypes.CDLL(str(path))
            found = _call(handle, "mark", ctypes.c_char_p)().decode("ascii", "replace")
            best, bits = _call(handle, "best_level", ctypes.c_int32)(), _call(handle, "levels", ctypes.c_uint32)()
        except (OSError, AttributeError) as e:
            raise EngineError(f"{path}: cannot be loaded ({e}); build it again: python -m jumok.engine.build") from None
        if found != mark():
            raise EngineError(f"{path.name} was built from other source; build it again: python -m jumok.engine.build")
        _read[key] = handle, best, tuple(n for n in range(32) if bits >> n & 1)
    return _read[key]


def _is_whole(path: Path) -> bool:
    """False for an ELF file that is cut short, which would end the process when it is loaded; other systems check that themselves.

    Its table of sections stands at the end.
    """
    with path.open("rb") as f:
        head = f.read(64)
        size = f.seek(0, os.SEEK_END)
    if head[:4] != b"\x7fELF":
        return True
    if len(head) < 64:
        return False
    (table,) = struct.unpack_from("=Q", head, 40)
    length, count = struct.unpack_from("=HH", head, 58)
    return table + length * count <= size


def _call(handle: ctypes.CDLL, name: str, result: Any) -> Callable[..., Any]:
    function = handle[f"engine_{name}"]  # an object of its own, so that its type is not changed for others
    function.restype = result
    return function
