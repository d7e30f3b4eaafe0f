"""The engine's library is found and loaded; what is missing, damaged, old or too new is a reason in one line, and never a crash."""

import os
import platform
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from engine_builds import NEEDS_CC, small_source

from jumok.engine import build, library, platforms
from jumok.engine.build import build_here
from jumok.engine.library import EngineError, load_library
from jumok.engine.platforms import PLATFORMS, file_name, here
from jumok.errors import ConfigError, JumokError

FILE = file_name(here() or "none")
LINUX_X86 = pytest.mark.skipif(here() != "linux-x86_64", reason="asks Linux which instructions this CPU has")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small source, and beside it the library of it, for every level of this machine."""
    place = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        small_source(place / "source", patch)
        build_here(place / "libraries")
    return place


@pytest.fixture
def folder(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own with that library, and the source taken for that of the engine."""
    shutil.copytree(built, tmp_path / "small")
    monkeypatch.setattr(platforms, "SOURCE", tmp_path / "small" / "source")
    return tmp_path / "small" / "libraries"


def reason(folder: Path, level: int | None = None) -> str:
    with pytest.raises(JumokError) as caught:
        load_library(level, folder=folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@NEEDS_CC
def test_the_highest_level_is_taken_and_each_lower_one_can_be_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best = load_library(folder=folder)
    assert best.level == best.handle.engine_best_level()
    for level in (n for n in (1, 3, 4) if best.handle.engine_levels() >> n & 1 and n <= best.level):
        assert load_library(level, folder).function("step")(7) == 100 * level + 7
        monkeypatch.setenv(library.LEVEL, str(level))
        assert load_library(folder=folder).level == level
        assert load_library(best.level, folder).level == best.level  # the argument goes before
    assert load_library(1, folder).instructions == {"x86_64": "SSE2", "arm64": "NEON"}.get(str(here()).split("-")[1], "plain C")


@NEEDS_CC
@pytest.mark.parametrize("level", ["2", "9", "31", "32", "-1", "x", "1.5", "³"])
def test_a_level_that_is_not_there_is_refused(level: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.LEVEL, level)
    with pytest.raises(ConfigError, match=level):
        load_library(folder=folder)


@NEEDS_CC
def test_a_level_beyond_this_cpu_is_refused_and_one_below_every_level_means_numpy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that has level 31 alone stands for one that is newer than the CPU."""
    small_source(tmp_path / "source", monkeypatch)
    monkeypatch.setattr(build, "_try", lambda path: None)
    build_here(tmp_path, {31: ()})
    assert "older" in reason(tmp_path)
    with pytest.raises(EngineError):
        load_library(folder=tmp_path)
    assert "31 came" in reason(tmp_path, 31) and "none" in reason(tmp_path, 31)
    with pytest.raises(build.BuildError, match="cannot be loaded"):  # nor does the building take it
        monkeypatch.undo()
        small_source(tmp_path / "again", monkeypatch)
        build_here(tmp_path, {31: ()})


def test_a_missing_library_says_how_to_build_it(tmp_path: Path) -> None:
    assert "python -m jumok.engine.build" in reason(tmp_path)
    assert "python -m jumok.engine.build" in reason(tmp_path / "no folder")
    (tmp_path / FILE).mkdir()
    assert FILE in reason(tmp_path)


@NEEDS_CC
def test_a_library_of_other_source_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_library(folder=folder)
    file = platforms.SOURCE / "engine.c"
    file.write_bytes(file.read_bytes() + b"\n")
    library._read.clear()
    assert "built from other source" in reason(folder)


@NEEDS_CC
def test_a_damaged_library_is_refused(folder: Path) -> None:
    """Cut short anywhere; or something else: text, a picture, an empty file, the library of another machine."""
    whole = (folder / FILE).read_bytes()
    for content in (
        b"",
        b"MZ",
        b"\x7fELF",
        b"#!/bin/sh\n",
        os.urandom(5000),
        *(whole[:n] for n in (20, 100, 800, len(whole) // 3)),
    ):
        (folder / FILE).unlink()
        (folder / FILE).write_bytes(content)
        assert "cannot be loaded" in reason(folder) and "python -m jumok.engine.build" in reason(folder)


@NEEDS_CC
def test_a_library_without_the_functions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int engine_levels(void) { return 2; }\n", encoding="utf-8")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(tmp_path / FILE), str(tmp_path / "a.c")], check=True)
    assert "cannot be loaded" in reason(tmp_path)


@pytest.mark.parametrize(("system", "machine", "name"), [
    ("linux", "x86_64", "linux-x86_64"), ("linux", "aarch64", "linux-arm64"), ("darwin", "arm64", "macos-arm64"),
    ("darwin", "x86_64", "macos-x86_64"), ("win32", "AMD64", "windows-x86_64"), ("win32", "ARM64", "windows-arm64"),
])  # fmt: skip
def test_every_platform_is_recognised(system: str, machine: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert here() == name and name in PLATFORMS


@pytest.mark.parametrize(("system", "machine", "pointer"), [
    ("linux", "riscv64", 8), ("linux", "s390x", 8), ("freebsd14", "amd64", 8), ("linux", "", 8),
    ("linux", "x86_64", 4), ("linux", "i686", 4), ("win32", "AMD64", 4), ("emscripten", "wasm32", 4),
])  # fmt: skip
def test_an_unknown_machine_has_no_library(
    system: str, machine: str, pointer: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(struct, "calcsize", lambda form: pointer)
    assert here() not in PLATFORMS and (here() is None) == (pointer == 4)
    for name in PLATFORMS:
        (tmp_path / file_name(name)).write_bytes(b"not for this machine")
    assert "64-bit" in reason(tmp_path) if pointer == 4 else "there is no compiled engine for" in reason(tmp_path)


@pytest.mark.parametrize("what", ["unknown machine", "no library", "damaged", "old CPU"])
def test_numpy_computes_where_no_library_can(
    what: str, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answers, a reason in `info`, and an error for who asks for the engine by name."""
    import jumok
    from jumok.runtime.model import NumpyModel

    wanted = jumok.load(model_folder, engine="numpy").translate(["cat", "jumok"])
    monkeypatch.setattr(library, "LIBRARIES", tmp_path)
    monkeypatch.setattr(library.load_library, "__defaults__", (None, tmp_path))
    if what == "unknown machine":
        monkeypatch.setattr(library, "here", lambda: None)
    elif what == "damaged":
        (tmp_path / FILE).write_bytes(b"damaged")
    elif what == "old CPU":
        monkeypatch.setattr(library, "_opened", lambda path, name: (None, 0, (1, 3, 4)))
    model = jumok.load(model_folder)
    assert type(model.backend) is NumpyModel and [t.text for t in model.translate(["cat", "jumok"])] == [t.text for t in wanted]
    assert model.info().engine == "numpy" and model.info().no_engine
    with pytest.raises(EngineError, match=str(model.info().no_engine)[:20]):
        jumok.load(model_folder, engine="exact").translate("cat")


# The CPU's level


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that prints the level of the CPU."""
    place = tmp_path_factory.mktemp("level")
    text = '#include <stdio.h>\n#include "levels.c"\nint main(void) { printf("%d", engine_best_level()); return 0; }\n'
    (place / "main.c").write_text(text, encoding="utf-8")
    make = ["cc", "-static", f"-I{platforms.SOURCE}", "-DENGINE_LEVELS=26u", "-o", str(place / "level"), str(place / "main.c")]
    subprocess.run(make, check=True)
    return place / "level"


# of /proc/cpuinfo, what each level asks for; the x86-64 psABI
V1 = "sse sse2"
V3 = "pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm fma movbe xsave avx f16c bmi1 avx2 bmi2 abm"
V4 = "avx512f avx512dq avx512cd avx512bw avx512vl avx512_vnni"


def level_of(flags: set[str]) -> int:
    """The level of a CPU by the words of the system, which also looks at what it saves for each thread."""
    levels = [(1, V1), (3, f"{V1} {V3}"), (4, f"{V1} {V3} {V4}")]
    return max((n for n, words in levels if set(words.split()) <= flags), default=0)


@NEEDS_CC
@LINUX_X86
def test_the_level_of_this_cpu_is_what_the_system_says(folder: Path) -> None:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = next(set(line.split(":")[1].split()) for line in lines if line.startswith("flags"))
    assert load_library(folder=folder).handle.engine_best_level() == level_of(flags)


@NEEDS_CC
@LINUX_X86
@pytest.mark.skipif(not shutil.which("qemu-x86_64"), reason="qemu-user is not installed")
@pytest.mark.parametrize(
    ("cpu", "level"),
    [
        ("qemu64", 1),
        ("Nehalem", 1),
        ("SandyBridge", 1),  # AVX without AVX2
        ("Haswell", 3),
        ("Haswell,-avx2", 1),
        ("Haswell,-fma", 1),
        ("Haswell,-bmi2", 1),
        ("Haswell,-movbe", 1),
        ("Haswell,-xsave", 1),  # the system does not save the upper halves of registers
        ("qemu64,-sse2", 0),
    ],
)
def test_the_level_of_other_cpus(cpu: str, level: int, program: Path) -> None:
    done = subprocess.run(["qemu-x86_64", "-cpu", cpu, str(program)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, str(level)), done.stderr


MUSL = Path("/lib/ld-musl-x86_64.so.1")


@NEEDS_CC
@LINUX_X86
@pytest.mark.skipif(not MUSL.exists(), reason="musl is not installed")
def test_the_library_of_linux_is_loaded_by_musl(folder: Path, tmp_path: Path) -> None:
    """One file for glibc, as in all other tests, and for musl, as in Alpine: a program that has musl's loader as its only library."""
    (tmp_path / "main.c").write_text(
        "void *dlopen(const char *, int), *dlsym(void *, const char *); char *dlerror(void);\n"
        "int printf(const char *, ...); void __libc_start_main(int (*)(int, char **), int, char **);\n"
        "int main(int n, char **words) { (void)n; void *l = dlopen(words[1], 2);\n"
        '  if (!l) { printf("%s", dlerror()); return 1; }\n'
        '  int (*step)(int) = (int (*)(int))dlsym(l, "engine_step_1"); printf("%d", step(7)); return 0; }\n'
        "void begin(long *stack) { __libc_start_main(main, (int)*stack, (char **)(stack + 1)); }\n"
        '__asm__(".globl _start\\n_start: mov %rsp, %rdi; and $-16, %rsp; call begin");\n',
        encoding="utf-8",
    )
    make = ["cc", "-nostdlib", "-no-pie", "-o", str(tmp_path / "main"), str(tmp_path / "main.c"), str(MUSL)]
    subprocess.run([*make, f"-Wl,--dynamic-linker={MUSL}"], check=True)
    done = subprocess.run([str(tmp_path / "main"), str(folder / FILE)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "107"), done.stdout + done.stderr
