"""The docs are run: links resolve, named files exist, marked examples work, option tables are those of the dataclasses."""

import re
import runpy
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from pages import FENCE, LINK, NAMED, ROOT, prose

from jumok.config import SearchConfig, StudyConfig, TrainConfig, flag, options
from jumok.explain.color import PANEL

PAGES = [ROOT / name for name in ("README.md", "README.ko.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
PAGES += sorted((ROOT / "docs").glob("**/*.md"))
IDS = [str(p.relative_to(ROOT)) for p in PAGES]


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


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_every_page_can_be_reached_from_the_readme(readme: str) -> None:
    """Each page of docs/, or its translation, from its list; what lies deeper from one of these pages."""
    docs, linked = ROOT / "docs", {ROOT / link.partition("#")[0] for link in LINK.findall(prose(ROOT / readme))}
    assert [p.name for p in docs.glob("*.md") if not linked & {p, docs / "ko" / p.name}] == []
    further = {
        (p.parent / link.partition("#")[0]).resolve() for p in linked if p.suffix == ".md" for link in LINK.findall(prose(p))
    }
    assert [p.name for p in docs.glob("*/*.md") if p not in linked | further] == []


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
    for name in (*options(TrainConfig), *options(SearchConfig), *options(StudyConfig)):
        row = "PAIRS" if name == "pairs" else flag(name)
        assert f"| `{row}` |" in page, f"docs/commands.md has no table row for {name}"


def test_the_picture_of_readme_is_up_to_date_and_reads_on_any_page() -> None:
    picture = (ROOT / "docs" / "images" / "attention.svg").read_text(encoding="utf-8")
    assert "docs/images/attention.svg" in LINK.findall(prose(ROOT / "README.md"))
    make = runpy.run_path(str(ROOT / "docs" / "make_picture.py"))
    assert picture == make["drawn"](), "run .venv/bin/python docs/make_picture.py"
    panel = next(element for element in ET.fromstring(picture) if element.tag.endswith("rect"))
    assert panel.get("fill") == PANEL  # a light ground of its own, on a white and on a dark page


def test_every_option_has_a_meaning() -> None:
    make = runpy.run_path(str(ROOT / "docs" / "make_commands.py"))
    page = make["table"](SearchConfig)
    assert "| `beam` | whole number | `1` | Hypotheses kept at each step; 1 = greedy. |" in page
    assert "| `max-length` | whole number | – | Most tokens" in page


COMMANDS = ("train", "translate", "evaluate", "explain", "next", "page", "align", "study", "info", "quickstart")


@pytest.mark.parametrize("command", [*COMMANDS, "score", "rescore", "average"])
def test_every_command_has_its_section(command: str) -> None:
    assert command in anchors(ROOT / "docs/commands.md")


def test_every_study_has_its_page() -> None:
    from jumok.studies.studies import STUDIES

    assert {p.stem for p in (ROOT / "docs" / "studies").glob("*.md")} == set(STUDIES)
    for name in STUDIES:
        page = ROOT / "docs" / "studies" / f"{name}.md"
        assert f"jumok study {name}" in page.read_text(encoding="utf-8") and "a-real-run" in anchors(page)


def test_make_targets_in_the_docs_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"(?:^    |`)make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert target in targets, f"{page.name} says make {target}"
