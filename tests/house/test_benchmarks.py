"""The benchmarks can be run: each stands in a room, is imported from the repository's root, asks one question, and is named right."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.support import measure
from jumok.runtime.folder import CONFIG, WEIGHTS
from jumok.runtime.members import member_folder, write_ensemble

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("speed", "quality", "robust", "scale", "peers")
SCRIPTS = sorted(f for room in ROOMS for f in (ROOT / "benchmarks" / room).glob("*.py"))
SUPPORT = sorted((ROOT / "benchmarks" / "support").glob("*.py"))


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_every_benchmark_stands_in_a_room() -> None:
    found = {f for f in (ROOT / "benchmarks").rglob("*.py") if "__pycache__" not in f.parts}
    assert found == {*SCRIPTS, *SUPPORT}, "a script goes into the folder of its room, as benchmarks/speed/train.py"
    assert len(SCRIPTS) > 10 and {f.parent.name for f in SCRIPTS} == set(ROOMS)


@pytest.mark.parametrize("path", SCRIPTS, ids=module)
def test_a_benchmark_asks_a_question_and_says_how_it_is_run(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert "?" in text.split("\n\n")[0], "the first sentence is the question"
    assert re.search(rf"^    python -m {re.escape(module(path))}\b", text, re.MULTILINE)


def test_every_benchmark_is_imported_from_the_root() -> None:
    """All in one process; what they do stands in `main`."""
    code = f"import importlib\nfor n in {[module(f) for f in SCRIPTS + SUPPORT]}: print(callable(getattr(importlib.import_module(n), 'main', None)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"] * len(SCRIPTS) + ["False"] * len(SUPPORT)


def test_a_benchmark_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks.quality.task", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "--minutes" in done.stdout, done.stderr


def test_words_without_a_teacher_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.quality.task", "cmudict", "data", str(tmp_path / "out"), "--words", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "give --distilled, or a variant with --teacher" in done.stderr
    assert not (tmp_path / "out").exists()


def test_steps_of_a_model_and_of_an_ensemble(tmp_path: Path) -> None:
    write_ensemble(tmp_path, 2)
    for number, count in (1, 30), (2, 50):
        folder = member_folder(tmp_path, number)
        folder.mkdir()
        for name in (CONFIG, WEIGHTS):
            (folder / name).touch()
        (folder / "history.json").write_text(json.dumps([{"step": 10}, {"step": count}]))
    assert measure.steps(member_folder(tmp_path, 2)) == 50 and measure.steps(tmp_path) == 80


@pytest.mark.parametrize("more", ["--members 3", "--dropout 0 --members=2"])
@pytest.mark.parametrize("script", ["defaults", "multi30k"])
def test_scripts_that_show_one_training_refuse_an_ensemble_before_it(script: str, more: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"benchmarks.quality.{script}", "none", str(tmp_path / "out"), f"--more={more}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "benchmarks.quality.task measures --members" in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name == "nt", reason="the other command is a shell script here")
def test_another_checkout_trains_with_its_own_command(tmp_path: Path) -> None:
    """The one that is given, with the task's options, and not led back here by the environment."""
    other = tmp_path / "jumok"
    other.write_text('#!/bin/sh\necho "$PYTHONPATH|$*" >&2\nexit 3\n')
    other.chmod(0o755)
    command = [sys.executable, "-m", "benchmarks.quality.task", "dates", "none", str(tmp_path / "out"), "--before", str(other)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, "--steps", "7"], cwd=ROOT, env=env, capture_output=True, text=True)
    heard = done.stderr.split(": ")[-1]
    assert done.returncode == 1 and heard.startswith("|train ") and "--steps 7" in heard and "dates-1-before" in heard, (
        done.stderr
    )


def test_the_other_checkouts_variant_keeps_its_name() -> None:
    command = [sys.executable, "-m", "benchmarks.quality.task", "dates", "none", "none", "--variants", "before: --layers 2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "'before' is the name of what --before trains" in done.stderr


def test_benchmarks_of_speed_want_no_arguments() -> None:
    """`make bench` runs them all without any."""
    code = (
        "import argparse, importlib\n"
        "def look(parser, *arguments): raise SystemExit(','.join(a.dest for a in parser._actions if a.required))\n"
        "argparse.ArgumentParser.parse_args = look\n"
        f"for name in {[module(f) for f in SCRIPTS if f.parent.name == 'speed']}:\n"
        "    try: importlib.import_module(name).main()\n"
        "    except SystemExit as end: print(name, end)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    asked = [line.split() for line in done.stdout.splitlines()]
    assert len(asked) == len([f for f in SCRIPTS if f.parent.name == "speed"])
    assert not [words for words in asked if len(words) > 1]


@pytest.mark.parametrize(
    "page",
    [*sorted((ROOT / "docs").glob("**/*.md")), ROOT / "benchmarks" / "README.md", ROOT / "Makefile"],
    ids=lambda page: page.name,
)
def test_commands_in_the_docs_name_benchmarks_that_exist(page: Path) -> None:
    names = {module(f) for f in SCRIPTS}
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(rf"\bbenchmarks\.(?:{'|'.join(ROOMS)})\.[a-z]\w*", text))
    assert named <= names, page
    assert not re.search(rf"\b(?:{'|'.join(ROOMS)})_\w+\.py\b", text), f"{page}: benchmarks stand in folders"
    assert page.name != "figures.md" or len(named) > 10
