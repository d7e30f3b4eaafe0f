"""The docs are run: links resolve, named files exist, marked examples work, option tables are those of the dataclasses, and
what "From the lecture to the code" points at is there."""

import ast
import importlib
import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from jumok import cli
from jumok.config import SearchConfig, TrainConfig, options, type_hints

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
PAGES += sorted((ROOT / "docs").glob("**/*.md"))
IDS = [str(p.relative_to(ROOT)) for p in PAGES]

FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# `jumok/scores.py`, `docs/`, `tests/test_house.py`: a path in code marks that begins with a folder of ours
NAMED = re.compile(r"`((?:jumok|tests|docs|examples|benchmarks)/[\w./*-]*)`")


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def runnable() -> list[Any]:
    """Every block that is marked ```python run, with its page."""
    found = []
    for page, name in zip(PAGES, IDS, strict=True):
        for i, (info, code) in enumerate(FENCE.findall(page.read_text(encoding="utf-8"))):
            if info.split() == ["python", "run"]:
                found.append(pytest.param(code, id=f"{name}-{i}"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_resolve(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        assert "://" not in link, f"{page.name}: {link} needs a network to read"
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_named_files_exist(page: Path) -> None:
    for name in NAMED.findall(prose(page)):
        assert list(ROOT.glob(name)) or "*" in name, f"{page.name} names {name}, which does not exist"


def test_named_files_and_links_are_found_at_all() -> None:
    assert "jumok/scores.py" in NAMED.findall(prose(ROOT / "docs/adding-a-score.md"))
    assert "docs/training.md" in LINK.findall(prose(ROOT / "README.md"))
    assert anchors(ROOT / "docs/commands.md") >= {"train", "translate", "evaluate"}


@pytest.mark.parametrize("code", runnable())
def test_marked_examples_run(code: str, tmp_path: Path, model_folder: Path) -> None:
    """Each in a folder of its own that holds a model folder `model` (with random weights)."""
    (tmp_path / "model").symlink_to(model_folder)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_readme_has_an_example_that_runs() -> None:
    assert {"README.md-1", "docs/adding-a-score.md-0"} <= {parameter.id for parameter in runnable()}


def test_command_reference_is_up_to_date() -> None:
    make = runpy.run_path(str(ROOT / "docs" / "make_commands.py"))
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page == make["filled"](page), "run .venv/bin/python docs/make_commands.py"
    for name in (*options(TrainConfig), *options(SearchConfig)):
        row = "PAIRS" if name == "pairs" else name.replace("_", "-")
        assert f"| `{row}` |" in page, f"docs/commands.md has no table row for {name}"


def test_every_option_has_a_meaning() -> None:
    make = runpy.run_path(str(ROOT / "docs" / "make_commands.py"))
    page = make["table"](SearchConfig)
    assert "| `beam` | whole number | `1` | Hypotheses kept at each step; 1 = greedy. |" in page
    assert "| `max-length` | whole number | – | Most tokens" in page


@pytest.mark.parametrize("command", ["train", "translate", "evaluate", "explain", "align", "info", "quickstart"])
def test_every_command_has_its_section(command: str) -> None:
    assert command in anchors(ROOT / "docs/commands.md")


def test_make_targets_in_the_docs_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"(?:^    |`)make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert target in targets, f"{page.name} says make {target}"


LECTURE = {"en": ROOT / "docs/lecture.md", "ko": ROOT / "docs/ko/lecture.md"}
FORMULAS = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
# in a line of code: [`a file`](link), and after it the `names` that it must define
CODE = re.compile(r"\[`([\w./-]+)`\]\([^)]+\)((?:,? `[A-Za-z_][\w.]*`)*)")
OPTION = re.compile(r"`--([a-z-]+)(?: ([a-z0-9-]+))?`")
STUDY = re.compile(r"`jumok study ([a-z]+)`")
COMMAND = re.compile(r"`jumok ([a-z]+)`")


def ideas(page: Path) -> list[str]:
    """The numbered sections of a page."""
    text = page.read_text(encoding="utf-8")
    numbers = [int(n) for n in re.findall(r"^## (\d+)\. ", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1)), f"{page.name}: sections are numbered {numbers}"
    return re.split(r"^## ", text, flags=re.MULTILINE)[1:]


def named(text: str) -> list[tuple[str, list[str]]]:
    """Files linked in a text, each with the names said to be in it."""
    return [(file, re.findall(r"`([^`]+)`", names)) for file, names in CODE.findall(text)]


def defined(file: str) -> set[str]:
    """What a Python file defines: functions, classes and their methods as Class.method, names given a value."""
    found: set[str] = set()

    def walk(body: list[ast.stmt], before: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(before + node.name)
            if isinstance(node, ast.ClassDef):
                walk(node.body, f"{node.name}.")
            if isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
                found.update(before + n.id for n in names)

    walk(ast.parse((ROOT / file).read_text(encoding="utf-8")).body, "")
    return found


def choices() -> dict[str, set[str]]:
    """Every option of every command, with the values it can have where these are names."""
    found: dict[str, set[str]] = {}
    for kind in (TrainConfig, SearchConfig, *(kind for kind, _ in cli.COMMANDS.values())):
        for name in options(kind):
            hints = next((h for h in _hints(kind) if name in h), {})
            literal = [c for part in (get_args(hints[name]) or ()) for c in (get_args(part) or (part,))]
            found.setdefault(name.replace("_", "-"), set()).update(c for c in literal if isinstance(c, str))
    return found


def _hints(kind: type) -> list[dict[str, Any]]:
    own = type_hints(kind)
    return [
        own,
        *(
            hints
            for hint in own.values()
            if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__")
            for hints in _hints(hint)
        ),
    ]


def studies() -> set[str] | None:
    """Names of the studies there are; None where the room is absent."""
    if importlib.util.find_spec("jumok.study") is None:
        return None
    return set(importlib.import_module("jumok.study.studies").STUDIES)


@pytest.mark.parametrize("language", LECTURE)
def test_every_idea_of_the_lecture_has_formula_code_option_and_study(language: str) -> None:
    found = ideas(LECTURE[language])
    assert len(found) >= 20
    for section in found:
        title = section.split("\n")[0]
        assert FORMULAS.search(section), f"{title}: no formula"
        code, option, study = re.findall(r"^- [^:\n]+: (.*)$", section, re.MULTILINE)
        assert named(code) and all(names for _, names in named(code)), f"{title}: no file with a name in it"
        assert CODE.sub("", code).strip(" ·") == "", f"{title}: {code!r} has what is neither a file nor a name"
        assert option and (STUDY.search(study) or NAMED.search(study)), f"{title}: no study, and no test instead"


@pytest.mark.parametrize("language", LECTURE)
def test_what_the_lecture_points_at_exists(language: str) -> None:
    text = LECTURE[language].read_text(encoding="utf-8")
    for file, names in named(text):
        assert (ROOT / file).is_file(), f"{file} does not exist"
        assert set(names) <= defined(file), f"{file} does not define {sorted(set(names) - defined(file))}"
    known = choices()
    for name, value in OPTION.findall(text):
        bare = name.removeprefix("no-")
        assert bare in known, f"there is no option --{name}"
        assert not value or value in known[bare], f"--{name} cannot be {value}; it can be {sorted(known[bare])}"
    for command in set(COMMAND.findall(text)):
        assert command in cli.COMMANDS, f"there is no command {command}"
    there = studies()
    assert there is None or there == set(STUDY.findall(text))


def test_both_languages_of_the_lecture_point_at_the_same() -> None:
    english, korean = (page.read_text(encoding="utf-8") for page in LECTURE.values())
    assert named(english) == named(korean)
    for pattern in (FORMULAS, OPTION, STUDY, COMMAND):
        assert pattern.findall(english) == pattern.findall(korean)
    assert len(ideas(LECTURE["en"])) == len(ideas(LECTURE["ko"]))
    papers = re.compile(r"[A-Z][a-z]+ (?:et al\. )?(\d{4})")
    assert [papers.findall(a) for a in ideas(LECTURE["en"])] == [papers.findall(b) for b in ideas(LECTURE["ko"])]


def test_the_lecture_page_is_read_rightly() -> None:
    """What the checks above look at is found at all, and what is wrong would be seen."""
    assert named("[`jumok/scores.py`](x) `context`, `SCORES` · [`a.py`](y) `B.c`") == [
        ("jumok/scores.py", ["context", "SCORES"]),
        ("a.py", ["B.c"]),
    ]
    found = defined("jumok/scores.py")
    assert {"SCORES", "weights", "Score.keys", "_products"} <= found and "softmax" not in found
    assert {"Seq2Seq.read", "Encoder"} <= defined("jumok/learn/model.py")
    known = choices()
    assert (
        known["attention"] >= {"none", "dot"}
        and known["tie"] == {"none", "target", "all"}
        and known["method"] == {"argmax", "path"}
    )
    assert known["beam"] == set() and "compare" in known and "no-such" not in known
    assert OPTION.findall("`--attention dot`, `--no-bidirectional`") == [("attention", "dot"), ("no-bidirectional", "")]
