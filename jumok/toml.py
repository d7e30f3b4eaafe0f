"""TOML files of options: they give the defaults, and the command line overrides them."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jumok.config import field_name
from jumok.errors import ConfigError
from jumok.places import expand

LENGTHS = ("minutes", "epochs", "steps")  # of a training; only one of them is given
OTHER_CODES = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def read(path: str | Path, warn: Callable[[str], None]) -> dict[str, Any]:
    """Reads options from a TOML file, for `jumok.config.build`. ConfigError if it cannot be read."""
    import tomllib  # here, since most commands have no file

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


def defaults(typed: Mapping[str, Any], warn: Callable[[str], None]) -> tuple[str | None, dict[str, Any], set[str]]:
    """The file that `config` names among the options typed (or None), its options over which none is typed, and all that are given."""
    path = expand(typed["config"], "config") if typed.get("config") else None
    if path is None:
        return None, {}, set(typed)
    values = _under(read(path, warn), typed)
    if "config" in values:
        raise ConfigError(f"{path}: config is for the command line only")
    parts = (values, *(part for part in values.values() if isinstance(part, dict)))
    return path, values, typed.keys() | {field_name(name) for part in parts for name in part}


def _under(values: dict[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the file, without the length of the training if one is typed."""
    if typed.keys().isdisjoint(LENGTHS):
        return values
    kept = {name: value for name, value in values.items() if name not in LENGTHS}
    return {
        n: {k: v for k, v in part.items() if k not in LENGTHS} if isinstance(part, dict) else part for n, part in kept.items()
    }
