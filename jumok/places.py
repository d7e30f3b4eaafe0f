"""Places: paths that a user names, what each is for and what `~` means in it; and files that are written whole.

Options that are paths have one of the types at the end of this file, so that what holds for every path is said once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from jumok.errors import ConfigError, OutputError

Options = TypeVar("Options")
_BLOCK = b"\0" * 4096  # what is written to see whether there is room


@dataclass(frozen=True)
class Place:
    """What an option that is a path names.

    Attributes:
        kind: pairs (one file, or "SOURCE,TARGET"), lines, options (TOML), model; or, `written`, file or folder.
    """

    kind: str
    written: bool = False

    @property
    def streams(self) -> bool:
        """Whether `-` stands for standard input."""
        return self.kind in ("pairs", "lines")

    def parts(self, path: str) -> list[str]:
        """The files that the path names: two, where they are parallel ones."""
        return list(parallel(path) or (path,)) if self.kind == "pairs" else [path]


def parallel(path: str) -> tuple[str, str] | None:
    """The two files of "SOURCE,TARGET"; None where that is the name of one file, or no comma is between two names.

    Where there are several commas, for a folder's name may have one, the two files tell which.
    """
    if "," not in path or os.path.lexists(path):
        return None
    cuts = [(path[:i].strip(), path[i + 1 :].strip()) for i, c in enumerate(path) if c == ","]
    cuts = [cut for cut in cuts if all(cut) and cut != ("-", "-")]
    return cuts[0] if len(cuts) == 1 else next((cut for cut in cuts if all(map(_is_there, cut))), None)


def _is_there(path: str) -> bool:
    return path == "-" or os.path.exists(os.path.expanduser(path))


# -- options that are paths --------------------------------------------------------------------------------------------


def places(options: Any) -> Iterator[tuple[str, str, Place | None]]:
    """(name, value, what it names) of every text in an options dataclass and in those inside it; None: it is no path."""
    for name, place in _fields(type(options)).items():  # type: ignore[arg-type]
        value = getattr(options, name)
        if dataclasses.is_dataclass(value):
            yield from places(value)
        else:
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str):
                    yield name, text, place


def expanded(options: Options) -> Options:
    """The options with `~` and `~user` in each path as the folder they stand for; see `expand`."""
    new = dict[str, Any]()
    for name, place in _fields(type(options)).items():  # type: ignore[arg-type]
        value = getattr(options, name)
        if dataclasses.is_dataclass(value):
            new[name] = expanded(value)
        elif place is not None and isinstance(value, str) and "~" in value:
            parts = place.parts(value)
            if any(part.startswith("~") for part in parts):
                new[name] = ",".join(expand(part, name) for part in parts)
    return dataclasses.replace(options, **new) if new else options  # type: ignore[type-var]


def expand(path: str, name: str = "path") -> str:
    """`~/x` and `~user/x` as the shell means them, which leaves them alone behind a `=`; so does a TOML file.

    Raises:
        ConfigError: there is no such user. A file whose own name begins with `~` is meant where it is there.
    """
    if not path.startswith("~") or (not path.startswith("~/") and path != "~" and os.path.lexists(path)):
        return path
    found = os.path.expanduser(path)
    if found == path:
        user = path.partition("/")[0]
        raise ConfigError(f"{name} is {path!r}: there is no home folder {user}; for a name that begins with ~ give ./{path}")
    return found


def settle(options: Options) -> Options:
    """The options of a command with every path expanded, and checked as far as can be without looking into files.

    Raises:
        ConfigError: a text that is not UTF-8; standard input for two things; a file that is read and would be written over.
    """
    for name, value, place in places(options):
        if place is None and value.encode("utf-8", "replace").decode() != value:
            raise ConfigError(f"{_called(name)}: {value!r} has bytes that are not UTF-8; set the terminal to UTF-8")
    options = expanded(options)
    found = [(name, value, place) for name, value, place in places(options) if place is not None and value]
    for name, value, _ in found:
        if "\0" in value:
            raise ConfigError(f"{_called(name)}: {value!r} has a NUL character, which no path can have")
    read = [(name, part) for name, value, place in found if not place.written for part in place.parts(value) if place.streams]
    streams = [name for name, part in read if part == "-"]
    if len(streams) > 1:
        first = streams[0] if streams[0] == "pairs" else f"{streams[0]} lines"
        raise ConfigError(
            f"{_called(streams[1])} -: the {first} come from standard input already; give one of the two as a file"
        )
    for name, value, place in found:
        if place.written and place.kind == "file":
            for other, part in read:
                if _same_file(value, part):
                    raise ConfigError(
                        f"{value}: {_called(name)} is the file that {other} is read from, and would destroy it; give another name"
                    )
    return options


def _called(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _same_file(one: str, other: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return os.path.isfile(one) and os.path.samefile(one, other)
    return False


@functools.cache
def _fields(cls: Any) -> dict[str, Place | None]:
    """Each field of an options dataclass, and what it names if it is a path."""
    hints = get_type_hints(cls, include_extras=True)
    found = {f.name: getattr(hints[f.name], "__metadata__", ()) for f in dataclasses.fields(cls)}
    return {name: next((each for each in marks if isinstance(each, Place)), None) for name, marks in found.items()}


# -- files that are written --------------------------------------------------------------------------------------------


class Output:
    """A file to write, tried at once and put in its place when its content is there; until then the old one stays.

    Used as a context, so that nothing is left where the work in between fails. What a link points to is replaced, not the
    link; a device or a pipe (/dev/stdout) is written to as it is.

    Args:
        path: "" = there is none, and `put` does nothing.
        option: how the user named it, for messages.

    Raises:
        OutputError: here or in `put`: it cannot be written; what was there stays.
    """

    def __init__(self, path: str | Path, option: str = "--out") -> None:
        self.path, self.option = str(path), option
        self._place = Path(os.path.realpath(self.path))
        self._new = self._place
        stream = self.path.startswith(("/dev/", "/proc/"))  # /dev/stdout may be a file that others write to, too
        self._beside = bool(self.path) and not stream and (self._place.is_file() or not os.path.lexists(self._place))
        if not self.path:
            return
        try:
            if self._place.is_dir():
                raise IsADirectoryError(21, "it is a folder")
            if self._beside:
                self._try()
        except (OSError, ValueError) as e:
            raise self._cannot(e) from None

    def _try(self) -> None:
        self._new = _trial(self._place)
        if self._place.is_file():
            os.chmod(self._new, self._place.stat().st_mode & 0o777)

    def put(self, content: str | Callable[[Path], None]) -> None:
        """Writes the text, or has a function write to the path that it is given, which has the same suffix."""
        if not self.path:
            return
        try:
            if callable(content):
                content(self._new)
            else:
                with open(self._new, "wb" if self._beside else "ab") as f:
                    f.write(content.encode("utf-8", "backslashreplace"))
                    f.flush()
            if self._beside:
                _flush(self._new)
                os.replace(self._new, self._place)
        except OSError as e:
            raise self._cannot(e) from None
        finally:
            self.close()

    def close(self) -> None:
        """Takes away what was not put in its place."""
        if self._beside and self._new != self._place:
            with contextlib.suppress(OSError):
                os.unlink(self._new)

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cannot(self, e: Exception) -> OutputError:
        reason = getattr(e, "strerror", None) or str(e)
        return OutputError(f"{self.path}: cannot be written ({reason}); give {self.option} another name")


def put(path: str | Path, text: str, option: str = "--out") -> None:
    """Writes a text file, whole or not at all. OutputError where that cannot be."""
    with Output(path, option) as out:
        out.put(text)


def make_folder(path: str | Path, option: str = "--out") -> None:
    """Makes a folder, unless it is there. OutputError where it cannot be, or where nothing can be written to it."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        os.unlink(_trial(path / "x"))
    except OSError as e:
        raise OutputError(f"{path}: cannot be written to ({e.strerror or e}); give {option} another name") from None


def tried(path: str | Path, option: str = "--out") -> None:
    """OutputError where the file cannot be written: before the work that it is for."""
    Output(path, option).close()


def _trial(path: Path) -> Path:
    """An empty hidden file beside `path`, of its suffix, made after a look whether there is room. OSError, and no file, if not."""
    new = path.with_name(f".jumok.{secrets.token_hex(4)}.new{path.suffix}")
    try:
        with open(new, "xb") as f:
            f.write(_BLOCK)
            f.flush()
            f.truncate(0)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise
    return new


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


PairsPath = Annotated[str, Place("pairs")]
LinesPath = Annotated[str, Place("lines")]
OptionsPath = Annotated[str, Place("options")]
ModelPath = Annotated[str, Place("model")]
FilePath = Annotated[str, Place("file", written=True)]
FolderPath = Annotated[str, Place("folder", written=True)]
