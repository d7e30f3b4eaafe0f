"""The engine's library is built: with the machine's compiler, whatever that is, and with zig for all platforms, byte for byte."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from binaries import read_binary
from engine_builds import NEEDS_CC, NEEDS_ZIG, ROOT, small_source

from jumok.engine import build, platforms
from jumok.engine.build import BuildError, build_all, build_here, build_wasm, is_current
from jumok.engine.platforms import CC_LEVELS, PLATFORMS, SOURCE, WASM_EXPORTS, WASM_FILE, file_name, here, mark

X86 = pytest.mark.skipif("x86_64" not in (here() or ""), reason="levels of x86-64")


def fake(folder: Path, script: str) -> str:
    """A program that stands in for a C compiler."""
    path = folder / "fake-cc"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


# With the compiler of this machine


@pytest.fixture(autouse=True)
def small(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is built in no time, but for tests of the real one."""
    if "real_source" not in request.keywords:
        small_source(tmp_path / "small source", monkeypatch)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> build.Built:
    """The library of the small source, built by this machine's compiler."""
    place = tmp_path_factory.mktemp("library")
    with pytest.MonkeyPatch.context() as patch:
        small_source(place / "source", patch)
        return build_here(place / "libraries")


@NEEDS_CC
def test_the_library_needs_no_other_and_has_every_level(library: build.Built) -> None:
    check_contents(library.path, library.levels)
    assert library.path.name == file_name(here() or "") and is_current(library.path)


@pytest.mark.real_source
def test_the_library_of_this_machine_needs_no_other_either() -> None:
    """With the engine's own source, as it was built for these tests."""
    path = platforms.LIBRARIES / file_name(here() or "")
    if not is_current(path):
        pytest.skip("not built from the source as it is: python -m jumok.engine.build")
    check_contents(path, levels_of(path))


def levels_of(path: Path) -> tuple[int, ...]:
    bits = ctypes.CDLL(str(path)).engine_levels()
    return tuple(n for n in range(32) if bits >> n & 1)


def check_contents(path: Path, levels: tuple[int, ...]) -> None:
    found = read_binary(path)
    assert found.needs == found.imports == []
    assert "stack" in found.marks  # without this mark, or with an executable stack, new systems refuse it
    assert {name for name in found.exports if re.fullmatch(r"engine_step_\d", name)} == {f"engine_step_{n}" for n in levels}
    assert all(name.startswith("engine_") for name in found.exports)


@NEEDS_CC
def test_no_path_of_this_machine_is_in_the_library(library: build.Built) -> None:
    content = library.path.read_bytes()
    assert not [p for p in (str(ROOT), str(library.path.parent), "jumok-engine-", "/source") if p.encode() in content]


@NEEDS_CC
def test_flags_of_the_environment_change_nothing(library: build.Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-ffast-math would change the bits, -march=native the machines that it runs on."""
    for name in ("CFLAGS", "CPPFLAGS", "LDFLAGS"):
        monkeypatch.setenv(name, "-ffast-math -march=native -Wl,--no-such-option")
    assert build_here(tmp_path).path.read_bytes() == library.path.read_bytes()


@NEEDS_CC
def test_a_compiler_with_options_is_taken(library: build.Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", f"{shutil.which('cc')} -DNOTHING=1")
    assert build_here(tmp_path).levels == library.levels


@NEEDS_CC
@X86
def test_an_old_compiler_leaves_out_what_it_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'case "$*" in *avx512vnni*) echo "error: unrecognized option" >&2; exit 1;; esac\nexec cc "$@"'
    monkeypatch.setenv("CC", fake(tmp_path, script))
    built = build_here(tmp_path)
    assert built.levels == (1, 3)
    handle = ctypes.CDLL(str(built.path))
    assert handle.engine_levels() == 0b1010 and handle.engine_best_level() in (1, 3)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo broken >&2; exit 1", "broken"),
        ("echo 'x.c: error: no such thing' >&2; exit 1", "no such thing"),
        ("exit 127", "exit status 127"),
        ("exit 0", "engine"),  # says that all is well, and makes nothing
        ('for last; do :; done; echo garbage > "$last"', "cannot be loaded"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="stands in for the compiler with a shell script")
def test_a_compiler_that_fails_is_one_line(script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", fake(tmp_path, script))
    with pytest.raises(BuildError, match=message) as caught:
        build_here(tmp_path / "libraries")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "libraries").exists()


@pytest.mark.parametrize("cc", ["/nonexistent", "no-such-compiler -O2", '"/a path/cc"'])
def test_a_compiler_that_is_not_there_is_named(cc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", cc)
    with pytest.raises(BuildError, match=r"CC is .*name a C compiler"):
        build_here(tmp_path)


def test_without_any_compiler_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="install one, or name it in CC"):
        build_here(tmp_path)


def test_a_source_that_does_not_compile_keeps_the_old_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("cc"):
        pytest.skip("no C compiler here")
    shutil.copytree(SOURCE, tmp_path / "source")
    (tmp_path / "source" / "engine.c").write_text("int broken(void) { return }\n", encoding="utf-8")
    monkeypatch.setattr(build, "SOURCE", tmp_path / "source")
    (tmp_path / file_name(here() or "")).write_bytes(b"old")
    with pytest.raises(BuildError, match="error"):
        build_here(tmp_path)
    assert (tmp_path / file_name(here() or "")).read_bytes() == b"old"


@pytest.mark.real_source
def test_other_source_and_other_options_have_another_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = {mark()}
    shutil.copytree(SOURCE, tmp_path / "source")
    monkeypatch.setattr(platforms, "SOURCE", tmp_path / "source")
    assert mark() in marks  # wherever it stands
    file = tmp_path / "source" / "engine.h"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert mark() in marks  # as git may write it on Windows
    file.write_bytes(file.read_bytes() + b"\n")
    marks.add(mark())
    (tmp_path / "source" / "new.h").write_bytes(b"")
    marks.add(mark())
    monkeypatch.setattr(platforms, "FLAGS", (*platforms.FLAGS, "-O2"))
    marks.add(mark())
    monkeypatch.setattr(platforms, "CC_LEVELS", CC_LEVELS | {"riscv64": {1: ()}})
    marks.add(mark())
    assert len(marks) == 5


def test_building_needs_nothing_but_python() -> None:
    """An installation builds in an environment that has setuptools alone."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import jumok.engine.build, jumok.engine.library; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, str(ROOT)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


@NEEDS_CC
def test_the_command_builds_what_is_missing_and_keeps_what_is_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "LIBRARIES", tmp_path)
    monkeypatch.setattr(build.build_here, "__defaults__", (tmp_path, {1: ()}))
    assert build.main([]) == 0 and "levels 1" in capsys.readouterr().out
    before = (tmp_path / file_name(here() or "")).stat().st_mtime_ns
    assert build.main([]) == 0 and "is up to date" in capsys.readouterr().out
    assert (tmp_path / file_name(here() or "")).stat().st_mtime_ns == before


def test_an_unknown_argument_of_the_command_is_refused() -> None:
    done = subprocess.run([sys.executable, "-m", "jumok.engine.build", "--al"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "--all" in done.stderr


# With zig


def test_the_time_of_the_build_is_taken_out_of_a_library_of_windows(tmp_path: Path) -> None:
    """Otherwise two builds differ, unless they fall into the same second."""
    header = bytearray(200)
    header[:2], header[60:64], header[128:132] = b"MZ", (120).to_bytes(4, "little"), b"time"
    (tmp_path / "a.dll").write_bytes(header)
    (tmp_path / "a.so").write_bytes(b"\x7fELF" + bytes(header[4:]))
    for name in ("a.dll", "a.so"):
        build._without_time(tmp_path / name)
    header[128:132] = bytes(4)
    assert (tmp_path / "a.dll").read_bytes() == header
    assert b"time" in (tmp_path / "a.so").read_bytes()


def test_zig_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "0.16.0")
    with pytest.raises(BuildError, match=r"0\.16\.0.*make engine"):
        build_all(tmp_path / "libraries")
    assert not (tmp_path / "libraries").exists()


def test_zig_has_one_version_everywhere() -> None:
    assert f'engine = ["ziglang=={build.ZIG}"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.real_source
def test_the_wasm_file_is_small_and_asks_for_memory_alone() -> None:
    found = read_binary(WASM_FILE)
    assert WASM_FILE.stat().st_size < 20_000
    assert found.imports == ["env.memory"]
    assert set(found.exports) == {"__heap_base", *(f"engine_{name}" for name in WASM_EXPORTS)}


@pytest.mark.real_source
@NEEDS_ZIG
def test_the_wasm_file_is_that_of_the_source(tmp_path: Path) -> None:
    built = build_wasm(tmp_path / "engine.wasm")
    assert built.path.read_bytes() == WASM_FILE.read_bytes(), "build it again: python -m jumok.engine.build --wasm"


@pytest.mark.real_source
@pytest.mark.slow
@NEEDS_ZIG
def test_every_platform_twice_in_two_folders_has_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SOURCE, tmp_path / "a" / "source")
    shutil.copytree(tmp_path / "a" / "source", tmp_path / "another folder" / "source")
    for name in ("a", "another folder"):
        monkeypatch.setattr(build, "SOURCE", tmp_path / name / "source")
        monkeypatch.setenv("ZIG_LOCAL_CACHE_DIR", str(tmp_path / name / "cache"))
        monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(tmp_path / name / "cache"))
        build_all(tmp_path / name / "libraries", tmp_path / name / "engine.wasm")
    first, second = (tmp_path / name / "libraries" for name in ("a", "another folder"))
    assert sorted(f.name for f in first.iterdir()) == sorted(map(file_name, PLATFORMS))
    for name, platform in PLATFORMS.items():
        file = first / file_name(name)
        assert file.read_bytes() == (second / file.name).read_bytes(), name
        assert is_current(file) and str(tmp_path).encode() not in file.read_bytes()
        found = read_binary(file)
        system, machine = name.split("-")
        assert (found.system, found.machine) == (system, machine)
        assert {n for n in found.exports if re.fullmatch(r"engine_step_\d", n)} == {f"engine_step_{n}" for n in platform.cpus}
        assert {"engine_mark", "engine_levels", "engine_best_level"} <= set(found.exports)
        wanted = {"linux": {"stack"}, "windows": {"any address", "no executable data"}, "macos": {"uuid", "version"}}[system]
        assert wanted <= found.marks and "executable stack" not in found.marks
        if system == "macos":  # it loads no library that needs not even the system's
            assert found.needs == ["/usr/lib/libSystem.B.dylib"]
            assert machine != "arm64" or "signature" in found.marks
        else:
            assert found.needs == found.imports == []
    assert (tmp_path / "a" / "engine.wasm").read_bytes() == (tmp_path / "another folder" / "engine.wasm").read_bytes()
