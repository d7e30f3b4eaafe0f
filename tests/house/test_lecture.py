"""What "From the lecture to the code" points at is there: files, names in them, options, studies; in English as in Korean."""

import ast
import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pages import LINK, NAMED, ROOT, prose

from jumok import cli
from jumok.config import SearchConfig, TrainConfig, flag, options, type_hints

LECTURE = {"en": ROOT / "docs/lecture.md", "ko": ROOT / "docs/ko/lecture.md"}
FORMULAS = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
# in a line of code: [`a file`](link to it), and after it the `names` that it must define
CODE = re.compile(r"\[`([\w./-]+)`\]\((?:\.\./)+\1\)((?:,? `[A-Za-z_][\w.]*`)*)")
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
            found.setdefault(flag(name), set()).update(c for c in literal if isinstance(c, str))
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
    if importlib.util.find_spec("jumok.studies") is None:
        return None
    return set(importlib.import_module("jumok.studies.studies").STUDIES)


@pytest.mark.parametrize("language", LECTURE)
def test_every_idea_of_the_lecture_has_formula_code_option_and_study(language: str) -> None:
    found = ideas(LECTURE[language])
    assert len(found) >= 20
    for section in found:
        title = section.split("\n")[0]
        assert FORMULAS.search(section), f"{title}: no formula"
        code, option, study, *page = re.findall(r"^- [^:\n]+: (.*)$", section, re.MULTILINE)
        assert named(code) and all(names for _, names in named(code)), f"{title}: no file with a name in it"
        assert CODE.sub("", code).strip(" ·") == "", f"{title}: {code!r} has what is neither a file nor a name"
        assert option and (STUDY.search(study) or NAMED.search(study)), f"{title}: no study, and no test instead"
        assert len(page) <= 1
        for stop in page:  # of the page's tour
            name = stop.split("*")[1]
            assert f'["{name}", ' in (ROOT / "jumok" / "page" / "js" / f"tour-{language}.js").read_text(encoding="utf-8"), name


@pytest.mark.parametrize("language", LECTURE)
def test_what_the_lecture_points_at_exists(language: str) -> None:
    text = LECTURE[language].read_text(encoding="utf-8")
    for link in LINK.findall(prose(LECTURE[language])):
        assert (LECTURE[language].parent / link).resolve().exists(), f"{link} leads nowhere"
    assert all((ROOT / file).exists() for file in NAMED.findall(text))
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
    assert named(
        "[`jumok/scores.py`](../jumok/scores.py) `context`, `SCORES` · [`a.py`](../../a.py) `B.c`, [`b.py`](../a.py)"
    ) == [
        ("jumok/scores.py", ["context", "SCORES"]),
        ("a.py", ["B.c"]),
    ]
    found = defined("jumok/scores.py")
    assert {"SCORES", "weights", "Score.keys", "_products"} <= found and "softmax" not in found
    assert {"Seq2Seq.read", "Encoder"} <= defined("jumok/net/model.py")
    known = choices()
    assert (
        known["attention"] >= {"none", "dot"}
        and known["tie"] == {"none", "target", "all"}
        and known["method"] == {"argmax", "path", "viterbi"}
    )
    assert known["beam"] == set() and "compare" in known and "no-such" not in known
    assert OPTION.findall("`--attention dot`, `--no-bidirectional`") == [("attention", "dot"), ("no-bidirectional", "")]
