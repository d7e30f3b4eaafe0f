"""A light install: with NumPy, safetensors and nothing else, everything but training works."""

import contextlib
import io
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import jumok
from jumok.errors import MissingExtra
from jumok.measure import edits

ROOT = Path(__file__).resolve().parents[2]
BOTH = {"numpy", "safetensors"}
BPE_LINES = ["a man in a hat", "two men in hats", "zwei männer", "모자를 쓴 두 사람", "a man and a hat"]

# Run before jumok: no package can be found but the two. A finder that says it has none, as where it is not installed.
ONLY = f"""
import sys

class Only:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        allowed = top in sys.stdlib_module_names or top == "jumok" or top in {BOTH}
        return self.finder.find_spec(name, path, target) if allowed else None

sys.meta_path[:] = [Only(finder) for finder in sys.meta_path]
"""

# Then many commands in one process, each with what it gave: [code, standard output, standard error], as JSON lines.
RUN = """
import contextlib, io, json
from jumok.cli import main

for arguments, given in json.loads(sys.stdin.read()):
    out, err = io.StringIO(), io.StringIO()
    sys.stdin = io.TextIOWrapper(io.BytesIO(given.encode()), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def light(*commands: list[str | Path], given: str = "") -> list[tuple[int, str, str]]:
    """(status, standard output, standard error) of each `jumok ARGUMENTS`, in a Python that has the two packages alone."""
    asked = json.dumps([[list(map(str, arguments)), given] for arguments in commands])
    done = subprocess.run([sys.executable, "-c", ONLY + RUN], input=asked, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def bpe_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights and BPE on both sides."""
    from jumok.config import ModelConfig, TextConfig
    from jumok.runtime.folder import FolderConfig, write_folder
    from jumok.runtime.parameters import random_parameters
    from jumok.text import Pair, build_codec

    text = TextConfig(source_tokenizer="bpe", target_tokenizer="bpe", bpe_size=60)
    model = ModelConfig(attention="concat", size="small", embedding=6, hidden=8, score_size=8, readout_size=8, tie="none")
    pairs = [Pair(a, b, (), f"lines:{i}") for i, (a, b) in enumerate(zip(BPE_LINES, BPE_LINES[::-1], strict=True), 1)]
    codec = build_codec(pairs, text)
    parameters = random_parameters(model, len(codec.source.vocabulary), len(codec.target.vocabulary), seed=1)
    folder = tmp_path_factory.mktemp("bpe") / "model"
    write_folder(folder, FolderConfig(text, model, (1.0, 5.0), {}), parameters, codec, "# Random weights\n", [])
    return folder


@pytest.fixture(scope="module", params=["char", "bpe"])
def model(request: pytest.FixtureRequest, model_folder: Path, bpe_folder: Path) -> tuple[Path, list[str]]:
    """A model folder and lines for it."""
    return (model_folder, ["cat", "zebra why"]) if request.param == "char" else (bpe_folder, ["a man 모자를", "Жук in hats"])


@pytest.mark.parametrize("package", ["torch", "tokenizers", "rich", "wcwidth", "rapidfuzz", "sacrebleu", "matplotlib"])
def test_only_the_two_can_be_found(package: str) -> None:
    code = f"import importlib.util, numpy; print(importlib.util.find_spec({package!r}))\nimport {package}"
    done = subprocess.run([sys.executable, "-c", ONLY + code], capture_output=True, text=True)
    assert done.stdout == "None\n" and f"No module named '{package}'" in done.stderr


def test_the_two_are_what_a_plain_install_brings() -> None:
    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^\w.-]", r)[0].replace("-", "_").lower() for r in requirements if "extra ==" not in r}

    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    found, new = set(), names(asked)
    while new:
        found |= new
        old_python = "python_version <"  # what only a Python too old for Jumok needs
        required = (metadata.requires(name) or [] for name in new)
        new = {n for r in required for n in names([one for one in r if old_python not in one])} - found
    assert found == BOTH


def test_every_help_in_a_light_install() -> None:
    from jumok.cli import COMMANDS

    for code, out, err in light(["--help"], *([name, "--help"] for name in COMMANDS), ["study", "gradients", "--help"]):
        assert (code, err) == (0, "") and "--help" in out


def test_translate_and_info_in_a_light_install(model: tuple[Path, list[str]]) -> None:
    from jumok.runtime import load

    folder, lines = model
    found = light(
        ["translate", folder],
        ["translate", folder, "--json", "--beam", "3", "--nbest", "2"],
        ["info", folder],
        ["info", folder, "--json"],
        given="\n".join(lines) + "\n",
    )
    assert [code for code, _, _ in found] == [0, 0, 0, 0]
    assert found[0][1].splitlines() == [t.text for t in load(folder).translate(lines)]
    assert [json.loads(line)["source"] for line in found[1][1].splitlines()] == lines
    assert "attention" in found[2][1] and json.loads(found[3][1])["folder"] == str(folder)


def test_evaluate_in_a_light_install(model: tuple[Path, list[str]], tmp_path: Path) -> None:
    from jumok.cli import main

    folder, lines = model
    (tmp_path / "test.tsv").write_text("".join(f"{line}\t{line} x\n" for line in lines), encoding="utf-8")
    plain: list[str | Path] = ["evaluate", folder, tmp_path / "test.tsv", "--json"]
    chosen = [*plain, "--metrics", "accuracy", "token-error-rate"]
    (code, out, err), (_, again, nothing), (wrong, _, alone) = light(plain, chosen, [*plain, "--metrics", "bleu"])
    left_out = [line.split(" needs")[0] for line in err.splitlines() if "left out" in line]
    assert code == 0 and left_out == ["warning: left out: the metric bleu", "warning: left out: the metric chrf"]
    assert out == again and "left out" not in nothing
    assert wrong == 2 and alone.count("\n") == 1 and "pip install 'jumok[train]'" in alone
    with contextlib.redirect_stdout(io.StringIO()) as here:
        main(list(map(str, chosen)))
    assert again == here.getvalue()


def test_explain_in_a_light_install(model: tuple[Path, list[str]], tmp_path: Path) -> None:
    from jumok.cli import main

    folder, lines = model
    files = [tmp_path / f"picture.{ending}" for ending in ("svg", "html", "csv", "json")]
    pictures: list[list[str | Path]] = [["explain", folder, lines[1], "--out", file] for file in files]
    page: list[str | Path] = ["page", folder, "--out", tmp_path / "page.html"]
    found = light(["explain", folder, lines[1]], ["explain", folder, lines[0], "--compare", folder], page, *pictures)
    assert all(code == 0 and all(line.startswith("warning: ") for line in err.splitlines()) for code, _, err in found)
    assert found[0][1].count("\n") > 3
    for file, command in zip(files, pictures, strict=True):
        light_one = file.read_bytes()
        main(list(map(str, command)))
        assert light_one == file.read_bytes()
    ((code, _, err),) = light(["explain", folder, lines[0], "--out", tmp_path / "picture.png"])
    assert code == 2 and "pip install 'jumok[plots]'" in err


def test_align_and_faithful_in_a_light_install(model: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, lines = model
    (tmp_path / "pairs.tsv").write_text("".join(f"{line}\t{line}\n" for line in lines), encoding="utf-8")
    (tmp_path / "gold.tsv").write_text("1-1\n" * len(lines), encoding="utf-8")
    aligned, studied = light(
        ["align", folder, tmp_path / "pairs.tsv", "--gold", tmp_path / "gold.tsv"],
        ["study", "faithful", "--model", folder, "--test", tmp_path / "pairs.tsv", "--out", tmp_path / "study"],
    )
    assert aligned[0] == 0, aligned
    assert aligned[1].count("\n") == len(lines) and "aer" in aligned[2]
    assert studied[0] == 0 and (tmp_path / "study" / "report.html").exists()


def test_what_trains_names_its_extra_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("a\tb\n" * 30, encoding="utf-8")
    train, study, quickstart = light(
        ["train", tmp_path / "pairs.tsv", "--out", tmp_path / "model", "--source-tokenizer", "bpe"],
        ["study", "bottleneck", "--out", tmp_path / "study"],
        ["quickstart", "--out", tmp_path / "first"],
    )
    for (code, _, err), extra in ((train, "train"), (study, "train"), (quickstart, "quickstart")):
        assert code == 2 and err.count("\n") == 1 and f"pip install 'jumok[{extra}]'" in err
    assert [p.name for p in tmp_path.iterdir()] == ["pairs.tsv"]


# Training where some packages of the extra are there


@pytest.mark.parametrize(
    ("missing", "options"),
    [
        ("rich", {}),
        ("tokenizers", {"source_tokenizer": "bpe"}),
        ("sacrebleu", {"metric": "bleu"}),
    ],
)
def test_training_names_the_package_that_it_lacks_and_leaves_nothing(
    missing: str, options: dict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pairs.tsv").write_text("".join(f"{a}{b}\t{b}{a}\n" for a in "abcdefg" for b in "uvwxyz"), encoding="utf-8")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtra, match=rf"'{missing}'.*pip install 'jumok\[train\]'"):
        out, began = tmp_path / "model", lambda step, model: pytest.fail("it trained before it said so")
        jumok.train(tmp_path / "pairs.tsv", out=out, steps=2, hidden=8, embedding=8, threads=1, observe=began, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["pairs.tsv"]


def test_training_on_letters_needs_torch_and_rich_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("".join(f"{a}{b}\t{b}{a}\n" for a in "abcdefg" for b in "uvwxyz"), encoding="utf-8")
    for package in ("tokenizers", "sacrebleu", "rapidfuzz"):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(edits, "_edits", lambda: edits.plain)
    done = jumok.train(tmp_path / "pairs.tsv", out=tmp_path / "model", steps=2, hidden=8, embedding=8, threads=1, quiet=True)
    assert len(done.history) >= 1 and jumok.load(done.folder).translate("ua")
