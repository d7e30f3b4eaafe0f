"""Builds the engine's library: with the C compiler of this machine for itself, or with zig for every platform and for wasm.

    python -m jumok.engine.build            for this machine, with `cc` or what CC names; nothing to do if it is there
    python -m jumok.engine.build --all      for all platforms and wasm, with ziglang (`make engine`)
    python -m jumok.engine.build --wasm     wasm alone, with ziglang

Nothing but Python's own library is needed, since an installation builds before NumPy is there. CFLAGS are not read: options
such as -ffast-math or -march=native would change the bits, or the CPUs that can run the library.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jumok.disk import write_file
from jumok.edge import guarded
from jumok.engine.platforms import (
    CC_LEVELS,
    FLAGS,
    LIBRARIES,
    LINK,
    PLATFORMS,
    SOURCE,
    WASM,
    WASM_EXPORTS,
    WASM_FILE,
    Platform,
    file_name,
    here,
    mark,
)
from jumok.errors import ConfigError, JumokError

ONCE = ("levels.c", "memory.c")  # compiled once; engine.c, which includes all other files, for each level
ZIG = "0.17.0"  # as in pyproject.toml
# system -> what its own compiler and its linker are told beside FLAGS. GCC would turn loops into calls of memcpy, which is slower
# here; the linker of macOS wants the system's library.
_LOOPS = "-fno-tree-loop-distribute-patterns"
OPTIONS_HERE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "": (("-fPIC", _LOOPS), LINK),
    "macos": ((_LOOPS,), ("-shared", "-Wl,-x")),
    "windows": (("-mno-stack-arg-probe", _LOOPS), (*LINK, "-Wl,--entry=DllMainCRTStartup")),
}
SECONDS = 300  # the longest that one call of a compiler may take


class BuildError(JumokError):
    """The engine's library cannot be built; the message has the compiler's first error."""


@dataclass(frozen=True)
class Built:
    """A library that was built: its file, and the levels of instructions in it."""

    path: Path
    levels: tuple[int, ...]


def is_current(path: Path) -> bool:
    """Whether this library is there and was built from the source as it is now."""
    try:
        return mark().encode() + b"\0" in path.read_bytes()
    except OSError:
        return False


# With the compiler of this machine


def build_here(folder: Path = LIBRARIES, levels: Mapping[int, tuple[str, ...]] | None = None) -> Built:
    """Builds the library of this machine into a folder, with the compiler that CC names, or `cc`, `gcc` or `clang`.

    A level that the compiler does not know is left out. The library is loaded once, in a process of its own.

    Args:
        levels: level -> options of the compiler; None = those of this machine in CC_LEVELS.

    Raises:
        BuildError: there is no compiler, or it fails, or what it made cannot be loaded.
    """
    name = here()
    if name is None:
        raise BuildError("the engine is made for 64-bit machines, and this Python is not one of them")
    levels = levels or CC_LEVELS.get(name.split("-")[-1], {1: ()})
    options, link = OPTIONS_HERE[name.split("-")[0] if name.startswith(("windows", "macos")) else ""]
    compile = [*_compiler(), *FLAGS, *options]
    with tempfile.TemporaryDirectory(prefix="jumok-engine-") as work:
        made, objects = [], []
        for level, flags in levels.items():
            object = Path(work) / f"engine_{level}.o"
            try:
                _run([*compile, *flags, *_level(level), "-c", "engine.c", "-o", str(object)])
            except BuildError:
                if level == min(levels):
                    raise
                continue
            made.append(level)
            objects.append(object)
        for file in ONCE:
            objects.append(Path(work) / f"{file}.o")
            _run([*compile, *_about(made), "-c", file, "-o", str(objects[-1])])
        library = Path(work) / file_name(name)
        _run([*_compiler(), *link, *map(str, objects), "-o", str(library)])
        _try(library)
        return Built(_put(library, folder), tuple(made))


def _compiler() -> list[str]:
    """The command of the C compiler. BuildError if there is none."""
    if asked := os.environ.get("CC", "").strip():
        command = shlex.split(asked, posix=os.name != "nt")
        if shutil.which(command[0]) is None:
            raise BuildError(f"CC is {asked!r}, which is no program here; name a C compiler, or unset CC")
        return command
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise BuildError("there is no C compiler (cc, gcc or clang) on this machine; install one, or name it in CC")


def _try(library: Path) -> None:
    """Loads a library in another Python, so that a fault of it ends that one only."""
    code = "import ctypes, sys; l = ctypes.CDLL(sys.argv[1]); sys.exit(0 if l.engine_best_level() > 0 else 3)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(library)], capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise BuildError(f"the library that the compiler made cannot be loaded: {last}")


# With zig, for every platform


def build_all(folder: Path = LIBRARIES, wasm: Path | None = WASM_FILE) -> list[Built]:
    """Builds the libraries of all PLATFORMS into a folder, and the wasm file. BuildError without ziglang."""
    zig = _zig()
    built = [_cross(zig, name, folder) for name in PLATFORMS]
    return built if wasm is None else [*built, build_wasm(wasm)]


def build_wasm(path: Path = WASM_FILE) -> Built:
    """Builds the wasm file: simd128, no imports but the memory, which the page gives; of the functions, those that a page calls."""
    zig = _zig()
    with tempfile.TemporaryDirectory(prefix="jumok-engine-") as work:
        objects = []
        for file in ("engine.c", "memory.c"):
            objects.append(str(Path(work) / f"{file}.o"))
            flags = [f for f in FLAGS if f != "-O3"] + list(WASM.options)
            _run([*zig, "-target", WASM.target, f"-mcpu={WASM.cpus[1]}", *flags, "-c", file, "-o", objects[-1]])
        made = Path(work) / "engine.wasm"
        exports = [f"--export=engine_{name}" for name in WASM_EXPORTS]
        _run([*zig[:-1], "wasm-ld", *WASM.link, *exports, *objects, "-o", str(made)])
        write_file(path, made.read_bytes())
    return Built(path, (1,))


def _cross(zig: list[str], name: str, folder: Path) -> Built:
    p: Platform = PLATFORMS[name]
    base = [*zig, "-target", p.target]
    with tempfile.TemporaryDirectory(prefix="jumok-engine-") as work:
        objects = []
        for level, cpu in p.cpus.items():
            objects.append(Path(work) / f"engine_{level}.o")
            _run([*base, f"-mcpu={cpu}", *FLAGS, *p.options, *_level(level), "-c", "engine.c", "-o", str(objects[-1])])
        lowest = p.cpus[min(p.cpus)]
        for file in ONCE:
            objects.append(Path(work) / f"{file}.o")
            _run([*base, f"-mcpu={lowest}", *FLAGS, *p.options, *_about(list(p.cpus)), "-c", file, "-o", str(objects[-1])])
        library = Path(work) / file_name(name)
        _run([*base, f"-mcpu={lowest}", *LINK, *p.link, *map(str, objects), "-o", str(library)])
        _without_time(library)
        return Built(_put(library, folder), tuple(p.cpus))


def _without_time(library: Path) -> None:
    """Takes out the time of the build, which the linker of Windows writes into a library's header."""
    data = bytearray(library.read_bytes())
    if data[:2] == b"MZ":
        at = int.from_bytes(data[60:64], "little") + 8
        data[at : at + 4] = bytes(4)
        write_file(library, bytes(data))


def _zig() -> list[str]:
    """The command of zig's C compiler. BuildError unless it is ziglang in the version that the files are built with."""
    from importlib import metadata

    try:
        version = metadata.version("ziglang")
    except metadata.PackageNotFoundError:
        version = "none"
    if version != ZIG:
        raise BuildError(
            f"ziglang: {version} is installed, {ZIG} was wanted, which gives the same bytes everywhere; make engine"
        )
    return [sys.executable, "-m", "ziglang", "cc"]


# What both share


def _level(level: int) -> list[str]:
    return [f"-DENGINE_SUFFIX=_{level}", f"-DENGINE_LEVEL={level}"]


def _about(levels: Sequence[int]) -> list[str]:
    return [f"-DENGINE_LEVELS={sum(1 << level for level in levels)}u", f'-DENGINE_MARK="{mark()}"']


def _run(command: list[str]) -> None:
    """Runs a compiler in the folder of the source, so that no path of this machine goes into a file."""
    try:
        done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise BuildError(f"{command[0]}: {e}") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        first = next(
            (line for line in lines if "error" in line.lower()), lines[0] if lines else f"exit status {done.returncode}"
        )
        raise BuildError(f"{' '.join(command[:2])} … {' '.join(command[-4:])}: {first}")


def _put(library: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / library.name, library.read_bytes())
    return folder / library.name


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this module. Prints a line for each library."""
    asked = list(sys.argv[1:] if arguments is None else arguments)
    if asked not in ([], ["--all"], ["--wasm"]):
        raise ConfigError(f"jumok.engine.build: {' '.join(asked)} came; nothing, --all or --wasm was wanted")
    if asked == ["--all"]:
        built = build_all()
    elif asked == ["--wasm"]:
        built = [build_wasm()]
    elif (name := here()) and is_current(LIBRARIES / file_name(name)):
        print(f"{LIBRARIES / file_name(name)} is up to date")
        built = []
    else:
        built = [build_here()]
    for one in built:
        print(f"{one.path}  {one.path.stat().st_size:,} bytes, levels {', '.join(map(str, one.levels))}")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
