"""The list of faulty inputs in docs/robustness.md: every test that it names is there, every kind has three."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "robustness.md").read_text(encoding="utf-8")
NAME = re.compile(r"`([a-z]+/test_\w+\.py)::(test_\w+)`")


def test_every_test_named_there_is_there() -> None:
    named = NAME.findall(PAGE)
    assert len(named) == PAGE.count("::") - 1  # one says how they are named
    missing = [
        f"{file}::{name}" for file, name in named if not re.search(rf"\bdef {name}\(", (TESTS / file).read_text("utf-8"))
    ]
    assert named and missing == []


def test_every_row_names_a_test_and_every_kind_three() -> None:
    cases, kinds = PAGE.split("\n## Kinds\n")
    rows = [row for part in (cases, kinds) for row in part.splitlines() if row.startswith("| ") and "|---" not in row]
    assert [row for row in rows if not NAME.search(row) and not row.endswith("| test |")] == []
    counts: list[int] = []
    for row in kinds.splitlines():
        if row.startswith("| ") and NAME.search(row):
            if not row.startswith("| |"):
                counts.append(0)
            counts[-1] += len(NAME.findall(row))
    assert len(counts) == 8 and min(counts) >= 3
