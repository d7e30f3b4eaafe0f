"""Jumok is installed with the engine where there is a compiler, without one where there is none, and the wheel for all has all."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from engine_builds import NEEDS_CC, ROOT, write_small_source

from jumok.engine.platforms import PLATFORMS, file_name, here


def _setuptools() -> int:
    try:
        return int(metadata.version("setuptools").split(".")[0])
    except metadata.PackageNotFoundError:
        return 0


pytestmark = pytest.mark.skipif(_setuptools() < 77, reason="building a wheel needs setuptools 77 or newer in this Python")
INSIDE = "jumok/engine/libraries/"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as far as an installation reads it, but with a small source of the engine, and with an old library beside it."""
    place = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "jumok", place / "jumok", ignore=shutil.ignore_patterns("__pycache__", "libraries", "source"))
    write_small_source(place / "jumok" / "engine" / "source")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place)
    (place / INSIDE).mkdir()
    (place / INSIDE / file_name(here() or "")).write_bytes(b"left over")
    return place


def make(clone: Path, kind: str, out: Path, **environment: str) -> Path:
    """Makes a wheel, an editable one or an sdist, as pip does it, and gives its file."""
    code = f"import setuptools.build_meta as b, sys; print(b.build_{kind}(sys.argv[1]))"
    asked = {k: v for k, v in os.environ.items() if k not in ("CC", "JUMOK_LIBRARIES")} | environment
    done = subprocess.run([sys.executable, "-c", code, str(out)], cwd=clone, env=asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


def unpacked(wheel: Path, folder: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as f:
        f.extractall(folder)
        return [name.removeprefix(INSIDE) for name in f.namelist() if name.startswith(INSIDE) and name != INSIDE]


def used(place: Path) -> str:
    """What the Jumok at this place would compute with: the level of instructions, or why there is none."""
    code = (
        "from jumok.engine.library import load_library, EngineError\n"
        "try: print(load_library().instructions)\nexcept EngineError as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def mark_there(clone: Path) -> str:
    code = "from jumok.engine.platforms import mark; print(mark())"
    return subprocess.run([sys.executable, "-c", code], cwd=clone, capture_output=True, text=True, check=True).stdout.strip()


def test_an_installation_without_a_compiler_works_and_has_no_engine(clone: Path, tmp_path: Path) -> None:
    wheel = make(clone, "wheel", tmp_path, CC="/nonexistent")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert unpacked(wheel, tmp_path / "there") == []
    assert "there is no compiled engine" in used(tmp_path / "there")


@NEEDS_CC
def test_an_installation_with_a_compiler_builds_for_this_machine(clone: Path, tmp_path: Path) -> None:
    wheel = make(clone, "wheel", tmp_path)
    assert wheel.name.split("-")[2:4] == ["py3", "none"] and not wheel.name.endswith("-any.whl")
    assert unpacked(wheel, tmp_path / "there") == [file_name(here() or "")]
    assert used(tmp_path / "there") in ("SSE2", "AVX2", "AVX-512", "NEON", "plain C")


@pytest.mark.slow
@NEEDS_CC
def test_an_earlier_build_leaves_nothing_in_the_next_wheel(clone: Path, tmp_path: Path) -> None:
    """setuptools takes whatever lies in build/lib."""
    make(clone, "wheel", tmp_path)
    stale = clone / "build" / "lib" / "jumok" / "removed.py"
    stale.write_text("gone = True\n", encoding="utf-8")
    wheel = make(clone, "wheel", tmp_path, CC="/nonexistent")
    assert unpacked(wheel, tmp_path / "there") == [] and not (tmp_path / "there" / "jumok" / "removed.py").exists()


def test_the_wheel_for_all_holds_the_libraries_that_it_is_given(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "libraries").mkdir()
    for name in PLATFORMS:
        (tmp_path / "libraries" / file_name(name)).write_bytes(name.encode() + mark_there(clone).encode() + b"\0")
    wheel = make(clone, "wheel", tmp_path, JUMOK_LIBRARIES=str(tmp_path / "libraries"))
    assert wheel.name.endswith("-py3-none-any.whl")
    assert sorted(unpacked(wheel, tmp_path / "there")) == sorted(map(file_name, PLATFORMS))
    assert {f.name for f in (tmp_path / "there" / "jumok" / "engine").iterdir()} >= {"engine.wasm", "source"}


@pytest.mark.slow
@pytest.mark.parametrize("what", ["missing", "of other source"])
def test_the_wheel_for_all_is_not_made_of_less(what: str, clone: Path, tmp_path: Path) -> None:
    (tmp_path / "libraries").mkdir()
    for name in list(PLATFORMS)[what == "missing" :]:
        (tmp_path / "libraries" / file_name(name)).write_bytes(b"of other source")
    with pytest.raises(AssertionError, match="make engine"):
        make(clone, "wheel", tmp_path, JUMOK_LIBRARIES=str(tmp_path / "libraries"))


@NEEDS_CC
def test_an_editable_installation_builds_beside_the_source(clone: Path, tmp_path: Path) -> None:
    """And again only where it is needed."""
    file = clone / INSIDE / file_name(here() or "")
    make(clone, "editable", tmp_path, CC="/nonexistent")
    assert file.read_bytes() == b"left over" and "cannot be loaded" in used(clone)
    make(clone, "editable", tmp_path)
    assert used(clone) in ("SSE2", "AVX2", "AVX-512", "NEON", "plain C")
    before = file.stat().st_mtime_ns
    make(clone, "editable", tmp_path)
    assert file.stat().st_mtime_ns == before
    file.write_bytes(b"left over")


@pytest.mark.slow
@NEEDS_CC
def test_a_source_distribution_has_all_that_a_build_needs(clone: Path, tmp_path: Path) -> None:
    with tarfile.open(make(clone, "sdist", tmp_path)) as f:
        f.extractall(tmp_path, filter="data")
    (place,) = (p for p in tmp_path.iterdir() if p.is_dir())
    assert not (place / INSIDE).exists()
    unpacked(make(place, "wheel", tmp_path), tmp_path / "there")
    assert used(tmp_path / "there") in ("SSE2", "AVX2", "AVX-512", "NEON", "plain C")
