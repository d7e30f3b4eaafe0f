"""TOML files of options: they give the defaults, and the command line overrides them."""

from __future__ import annotations

import codecs
import dataclasses
import itertools
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jumok.config import field_name, flag, options
from jumok.errors import ConfigError
from jumok.places import expand

LENGTHS = ("minutes", "epochs", "steps")  # of a training; only one of them is given
OTHER_CODES = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def read(path: str | Path, warn: Callable[[str], None]) -> dict[str, Any]:
    """Reads options from a TOML file, for `jumok.config.build`. ConfigError if it cannot be read."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; --config takes a TOML file of options") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a folder; --config takes a TOML file of options") from None
    except (OSError, ValueError) as e:
        why = e.strerror or e if isinstance(e, OSError) else e
        raise ConfigError(f"{path}: cannot be read ({why}); --config takes a TOML file of options") from None
    for mark, code in OTHER_CODES.items():
        if data.startswith(mark):
            raise ConfigError(f"{path}: this is {code}; save it as UTF-8, as TOML wants it")
    if b"\0" in data:
        raise ConfigError(f"{path}: this has NUL bytes, so it is UTF-16 or not text; wanted TOML in UTF-8")
    if data.startswith(codecs.BOM_UTF8):
        warn(f"{path} begins with a byte order mark (BOM), which is ignored")
        data = data[len(codecs.BOM_UTF8) :]
    try:
        return tomllib.loads(data.decode("utf-8").replace("\r\n", "\n"))
    except UnicodeDecodeError as e:
        line = data[: e.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 (byte {data[e.start]:#04x}); save it as UTF-8, as TOML wants it") from None
    except (tomllib.TOMLDecodeError, RecursionError) as e:
        raise ConfigError(f"{path}: not TOML: {e or 'nested too deep'}") from None


def defaults(arguments: Sequence[str], cls: type, warn: Callable[[str], None]) -> tuple[str | None, dict[str, Any], set[str]]:
    """The file that --config names (or None), its options that the command line does not override, and all given options."""
    path, options_given = _named(arguments), given(arguments, cls)
    if path is None:
        return None, {}, options_given
    values = _under(read(path, warn), arguments, cls)
    if "config" in values:
        raise ConfigError(f"{path}: config is for the command line only")
    parts = (values, *(part for part in values.values() if isinstance(part, dict)))
    return path, values, options_given | {field_name(name) for part in parts for name in part}


def _named(arguments: Sequence[str]) -> str | None:
    """The file that --config names; ConfigError if it names several."""
    files = [after for before, after in itertools.pairwise(arguments) if before == "--config"]
    files += [a.partition("=")[2] for a in arguments if a.startswith("--config=")]
    if len(files) > 1:
        raise ConfigError(f"command line: --config is given {len(files)} times; it takes one file")
    return expand(files[0], "config") if files and files[0] else None


def given(arguments: Sequence[str], cls: type) -> set[str]:
    """The names of the options of `cls` that are on the command line."""
    known = options(cls)
    words = {field_name(a.partition("=")[0][2:]) for a in arguments if a.startswith("--")}
    return {name for name in known if name in words or f"no_{name}" in words}


def _under(values: dict[str, Any], arguments: Sequence[str], cls: type) -> dict[str, Any]:
    """The values of the file, without the length of the training if the command line gives one."""
    if given(arguments, cls).isdisjoint(LENGTHS):
        return values
    kept = {name: value for name, value in values.items() if name not in LENGTHS}
    return {
        n: {k: v for k, v in part.items() if k not in LENGTHS} if isinstance(part, dict) else part for n, part in kept.items()
    }


def without_echoes(arguments: Sequence[str], default: Any) -> list[str]:
    """The arguments without flags that repeat the file's value: the parser would not know them."""
    if default is None:
        return list(arguments)
    echoes = set()
    for name, value in _flags(default).items():
        typed = flag(name)
        echoes |= {f"--{typed}", f"--{name}"} if value else {f"--no-{typed}", f"--no-{name}"}
    return [a for a in arguments if a not in echoes]


def _flags(default: Any) -> dict[str, bool]:
    """The boolean options and their values, by name."""
    flags: dict[str, bool] = {}
    for f in dataclasses.fields(default):
        value = getattr(default, f.name)
        if dataclasses.is_dataclass(value):
            flags |= _flags(value)
        elif isinstance(f.default, bool):
            flags[f.name] = value
    return flags
