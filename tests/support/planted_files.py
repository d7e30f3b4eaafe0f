"""A scratch copy of the package for tests that plant something in it, and edits of its files."""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copy_of_the_package(folder: Path) -> None:
    """`jumok/`, `docs/` with the scripts that fill it, and pairs for training and dev: words and the same reversed."""
    shutil.copytree(ROOT / "jumok", folder / "jumok", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "docs").mkdir()
    for file in (*(ROOT / "docs").glob("make_*.py"), *(ROOT / "docs").glob("*.md")):
        shutil.copy(file, folder / "docs" / file.name)
    words = ["".join("abcde"[(7 * i // 5**k) % 5] for k in range(1 + i % 6)) for i in range(150)]
    pairs = [f"{w}\t{w[::-1].upper()}\n" for w in dict.fromkeys(words)]
    (folder / "pairs.tsv").write_text("".join(pairs[:-20]), encoding="utf-8")
    (folder / "dev.tsv").write_text("".join(pairs[-20:]), encoding="utf-8")
    (folder / "lines.txt").write_text("abc\nde\nabcde\n", encoding="utf-8")


def change(file: Path, pattern: str, replacement: object) -> None:
    """One edit by a regular expression, which has to match once."""
    text, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"), flags=re.MULTILINE)  # type: ignore[call-overload]
    assert count == 1, f"{file}: {pattern} is there {count} times"
    file.write_text(text, encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the package, by its path from the folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in (folder / "jumok").rglob("*.py")}
