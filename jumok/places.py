"""Places: the paths that a user names. What each is for, what `~` means in it, and the errors when it cannot be written.

Options that are paths have one of the types at the end of this file, so that rules for all paths stand here. Files are
written by `jumok.disk`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from jumok.disk import Draft, flush
from jumok.errors import ConfigError, OutputError

Options = TypeVar("Options")
BLOCK = 4096  # bytes that are written to see whether there is room


@dataclass(frozen=True)
class Place:
    """What a path option names.

    Attributes:
        kind: what is read: pairs (one file, or "SOURCE,TARGET"), lines, options (TOML), vectors (of words), model; or what is written: file, folder.
        written: whether it is written.
        listed: whether what stands in the file can also be given itself, in Python and TOML, as a list of texts.
    """

    kind: str
    written: bool = False
    listed: bool = False

    @property
    def streams(self) -> bool:
        """Whether `-` stands for standard input."""
        return self.kind in ("pairs", "lines", "vectors")

    def parts(self, path: str) -> list[str]:
        """The files that the path names: one, or two parallel ones."""
        if self.kind == "model":
            return models(path)
        return list(parallel(path) or (path,)) if self.kind == "pairs" else [path]


def models(path: str) -> list[str]:
    """The model folders of "A,B,C", an ensemble; one, if there is no comma, or a folder has that whole name.

    A comma inside the name of an existing folder does not part two names.
    """
    pieces, parts = path.split(","), list[str]()
    while pieces:
        n = next((n for n in range(len(pieces), 1, -1) if _is_there(",".join(pieces[:n]).strip())), 1)
        parts.append(",".join(pieces[:n]).strip())
        pieces = pieces[n:]
    return parts if len(parts) > 1 else [path]


def parallel(path: str) -> tuple[str, str] | None:
    """The two files of "SOURCE,TARGET"; None if a file has that name, or if no comma stands between two names.

    If there are several commas, since names may have some, the comma is taken that stands between two existing files.
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
    """Yields (name, value, place) of every string option of a dataclass and of dataclasses in it; place is None for no path."""
    for name, place in _fields(type(options)).items():  # type: ignore[arg-type]
        value = getattr(options, name)
        if dataclasses.is_dataclass(value):
            yield from places(value)
        else:
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str):
                    listed = isinstance(value, tuple) and place is not None and place.listed  # the texts themselves
                    yield name, text, None if listed else place


def expanded(options: Options) -> Options:
    """The options with `~` and `~user` in paths replaced by the home folder; see `expand`."""
    new = dict[str, Any]()
    for name, place in _fields(type(options)).items():  # type: ignore[arg-type]
        value = getattr(options, name)
        if dataclasses.is_dataclass(value):
            new[name] = expanded(value)
        elif place is not None and isinstance(value, str) and "~" in value:
            new[name] = _expanded(value, place, name)
        elif place is not None and isinstance(value, tuple) and not place.listed:
            new[name] = tuple(_expanded(path, place, name) for path in value)
    return dataclasses.replace(options, **new) if new else options  # type: ignore[type-var]


def _expanded(path: str, place: Place, name: str) -> str:
    parts = place.parts(path)
    return ",".join(expand(part, name) for part in parts) if any(part.startswith("~") for part in parts) else path


def expand(path: str, name: str = "path") -> str:
    """`~/x` and `~user/x` with the home folder in place of `~`, as in the shell (which does not do it behind `=`, or in TOML).

    An existing file whose name begins with `~` stays as it is.

    Raises:
        ConfigError: there is no such user.
    """
    if not path.startswith("~") or (not path.startswith("~/") and path != "~" and os.path.lexists(path)):
        return path
    expanded_path = os.path.expanduser(path)
    if expanded_path == path:
        user = path.partition("/")[0]
        raise ConfigError(f"{name} is {path!r}: there is no home folder {user}; for a name that begins with ~ give ./{path}")
    return expanded_path


def takes_list(cls: type, name: str) -> bool:
    """Whether an option of this class takes a file or, in its place, a list of texts."""
    place = place_of(cls, name)
    return place is not None and place.listed


def place_of(cls: type, name: str) -> Place | None:
    """What an option of this class names if it is a path."""
    return _fields(cls).get(name)


def settle(options: Options) -> Options:
    """Expands and checks the paths of a command's options, without reading files.

    Raises:
        ConfigError: an option is not UTF-8; two options name standard input; a file to write is one that is read.
    """
    options = _read_as_utf8(options)
    for name, value, place in places(options):
        if place is None and value.encode("utf-8", "replace").decode() != value:
            raise ConfigError(f"{_called(name)}: {value!r} has bytes that are not UTF-8; set the terminal to UTF-8")
    options = expanded(options)
    paths = [(name, value, place) for name, value, place in places(options) if place is not None and value]
    for name, value, _ in paths:
        if "\0" in value:
            raise ConfigError(f"{_called(name)}: {value!r} has a NUL character, which no path can have")
    read = [(name, part) for name, value, place in paths if not place.written for part in place.parts(value) if place.streams]
    streams = [name for name, part in read if part == "-"]
    if len(streams) > 1:
        first = streams[0] if streams[0] == "pairs" else f"lines of {_called(streams[0])}"
        raise ConfigError(
            f"{_called(streams[1])} -: the {first} come from standard input already; give one of the two as a file"
        )
    for name, value, place in paths:
        if place.written and place.kind == "file":
            for other, part in read:
                if _same_file(value, part):
                    raise ConfigError(
                        f"{value}: {_called(name)} would overwrite the file that {other} is read from; give another name"
                    )
    return options


def read_once(options: Any) -> tuple[str, str] | None:
    """The first file that a second reader would find empty, and its option, as ("--dev", "-"); None if there is none.

    That is standard input, a pipe (`<(zcat pairs.tsv.gz)` in the shell), a terminal, a socket.
    """
    for name, value, place in places(options):
        if place is not None and value and not place.written and place.kind != "model":
            for part in place.parts(value):
                if (part == "-" and place.streams) or _is_pipe(part):
                    return "PAIRS" if name == "pairs" else _called(name), part
    return None


def _is_pipe(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _read_as_utf8(options: Options) -> Options:
    """The options with texts that are no paths as UTF-8, where Python took the terminal for ASCII (LC_ALL=C without more)."""
    new = dict[str, Any]()
    for name, place in _fields(type(options)).items():  # type: ignore[arg-type]
        value = getattr(options, name)
        if dataclasses.is_dataclass(value):
            new[name] = _read_as_utf8(value)
        elif place is None and isinstance(value, str):
            new[name] = _utf8(value)
        elif place is None and isinstance(value, tuple):
            new[name] = tuple(_utf8(each) if isinstance(each, str) else each for each in value)
    return dataclasses.replace(options, **new) if new else options  # type: ignore[type-var]


def _utf8(text: str) -> str:
    """The text whose bytes Python could not read, read as UTF-8; as it is where that cannot be."""
    try:
        return text.encode("ascii", "surrogateescape").decode("utf-8")
    except UnicodeError:
        return text


def _called(name: str) -> str:
    return f"--{name.rstrip('_').replace('_', '-')}"


def _same_file(one: str, other: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return os.path.isfile(one) and os.path.samefile(one, other)
    return False


@functools.cache
def _fields(cls: Any) -> dict[str, Place | None]:
    """The fields of an options dataclass, each with its place if it is a path."""
    hints = get_type_hints(cls, include_extras=True)
    metadata = {f.name: _marks(hints[f.name]) for f in dataclasses.fields(cls)}
    return {name: next((mark for mark in marks if isinstance(mark, Place)), None) for name, marks in metadata.items()}


def _marks(hint: Any) -> tuple[Any, ...]:
    """The marks of a type; of a tuple's, those of its parts, too."""
    own = getattr(hint, "__metadata__", ())
    plain = get_args(hint)[0] if own else hint
    return own + (_marks(get_args(plain)[0]) if get_origin(plain) is tuple else ())


# -- files that are written --------------------------------------------------------------------------------------------


class Output:
    """A file to write. It is tried at once, and replaced when the new content is whole; until then the old file stays.

    Used as a context, so that nothing is left if the work in between fails. If the path is a link, the file that it points to
    is replaced. A device or a pipe (/dev/stdout) is written to directly.

    Args:
        path: "" = there is no file, and `put` does nothing.
        option: the option that names it, for messages.

    Raises:
        OutputError: here or in `put`, if it cannot be written; the old file stays.
    """

    def __init__(self, path: str | Path, option: str = "--out") -> None:
        self.path, self.option = str(path), option
        stream = self.path.startswith(("/dev/", "/proc/"))  # /dev/stdout may be a file that others write to, too, or a pipe
        self._place = Path(self.path if stream else os.path.realpath(self.path))  # a pipe's link does not lead to a path
        self._draft: Draft | None = None  # None: there is no file, or it is a stream
        if not self.path:
            return
        try:
            if self._place.is_dir():
                raise IsADirectoryError(21, "it is a folder")
            if not stream and (self._place.is_file() or not os.path.lexists(self._place)):
                self._draft = _reserved(self._place)
                if self._place.is_file():
                    os.chmod(self._draft.new, self._place.stat().st_mode & 0o777)
        except (OSError, ValueError) as e:
            self.close()
            raise self._cannot(e) from None

    def put(self, content: str | Callable[[Path], None]) -> None:
        """Writes a text; or calls a function that writes to the path that it gets, which has the same suffix."""
        if not self.path:
            return
        try:
            if self._draft is None:
                self._stream(content)
                return
            if callable(content):
                content(self._draft.new)
                flush(self._draft.new)
            else:
                self._draft.write(content.encode("utf-8", "backslashreplace"))
            self._draft.put()
        except OSError as e:
            raise self._cannot(e) from None
        finally:
            self.close()

    def _stream(self, content: str | Callable[[Path], None]) -> None:
        if callable(content):
            content(self._place)
        else:
            with open(self._place, "ab") as f:
                f.write(content.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Deletes what has not taken its place."""
        if self._draft is not None:
            self._draft.discard()

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cannot(self, e: Exception) -> OutputError:
        reason = getattr(e, "strerror", None) or str(e)
        return OutputError(f"{self.path}: cannot be written ({reason}); give {self.option} another name")


def put(path: str | Path, text: str, option: str = "--out") -> None:
    """Writes a text file, whole or not at all. OutputError if it cannot be written."""
    with Output(path, option) as out:
        out.put(text)


def make_folder(path: str | Path, option: str = "--out") -> None:
    """Makes a folder, unless it exists. OutputError if it cannot be made, or if nothing can be written to it."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        _reserved(path / "x").discard()
    except OSError as e:
        raise OutputError(f"{path}: cannot be written to ({e.strerror or e}); give {option} another name") from None


def tried(path: str | Path, option: str = "--out") -> None:
    """Raises OutputError if the file cannot be written; called before the work that it is for."""
    Output(path, option).close()


def _reserved(path: Path) -> Draft:
    """A draft for the file at `path`, with the same suffix. OSError if not even a block can be written there."""
    draft = Draft(path, hidden=f".jumok.{os.urandom(4).hex()}.new{path.suffix}")
    draft.reserve(BLOCK)
    return draft


PairsPath = Annotated[str, Place("pairs")]
LinesPath = Annotated[str, Place("lines")]
ListPath = Annotated[str, Place("lines", listed=True)]
OptionsPath = Annotated[str, Place("options")]
VectorsPath = Annotated[str, Place("vectors")]
ModelPath = Annotated[str, Place("model")]
ModelPaths = Annotated[tuple[str, ...], Place("model")]
FilePath = Annotated[str, Place("file", written=True)]
FolderPath = Annotated[str, Place("folder", written=True)]
