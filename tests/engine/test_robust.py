"""Short runs of the long checks: random calls under sanitizers, one hash over all levels, damaged model folders."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from engine_builds import NEEDS_CC, ROOT

from jumok.engine.library import load_library
from jumok.errors import JumokError


def run(module: str, *arguments: str) -> dict[str, object]:
    """What the benchmark says at its end."""
    command = [sys.executable, "-m", f"benchmarks.robust.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def has_sanitizers(folder: Path) -> bool:
    (folder / "a.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    make = ["cc", "-fsanitize=address,undefined", "-o", str(folder / "a"), str(folder / "a.c")]
    return subprocess.run(make, capture_output=True).returncode == 0


@pytest.mark.slow
@NEEDS_CC
def test_random_calls_under_sanitizers(tmp_path: Path) -> None:
    if not has_sanitizers(tmp_path):
        pytest.skip("this compiler has no sanitizers")
    found = run("engine_calls", "--cases", "400")
    assert found["cases"] == 400 and found["calls"] > 3000 and found["refused"] > 50 and found["damaged_and_taken"] > 50


@pytest.mark.slow
@NEEDS_CC
def test_random_calls_have_the_same_bits_on_every_target() -> None:
    try:
        load_library()
    except JumokError as e:
        pytest.skip(str(e))
    found = run("engine_calls", "--same", "--cases", "300")
    assert {"plain", "level 1"} <= set(found["targets"])  # type: ignore[call-overload]


def test_damaged_model_folders_end_in_an_answer_or_one_error() -> None:
    try:
        load_library()
    except JumokError as e:
        pytest.skip(str(e))
    found = run("engine_folders", "--inputs", "400")
    assert found["inputs"] == 400
    assert found["outcomes"]["answered"] > 20 and found["outcomes"]["FolderError"] > 200  # type: ignore[index]
